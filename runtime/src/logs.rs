//! Log files of a container: written by its shim, read by everybody else.
//!
//! ```text
//! <log directory>/<deployment>/<service>/<replica>/current.log      one JSON object a line
//!                                                  1.log … 3.log    earlier ones, 3 the oldest
//! ```
//!
//! A line is `{"t":1700000000000,"s":"out","l":"text"}`: milliseconds since the Unix epoch, the source, the text. JSON
//! escapes control characters, so that one line of output is always one line of the file.

mod read;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::Timestamp;

pub use read::{Follow, Logs};
pub(crate) use write::{Partial, Writer};

/// Size at which `current.log` is put aside.
pub const FILE_BYTES: u64 = 8 << 20;

/// How many files are kept beside `current.log`: with it, 32 MiB a replica at most.
pub const FILES_KEPT: u32 = 3;

/// Longest text of one line; a longer one is split, so that a reader needs no more memory than this.
pub const LINE_BYTES: usize = 16 << 10;

/// One line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    #[serde(rename = "t")]
    pub time: Timestamp,
    #[serde(rename = "s")]
    pub source: Source,
    #[serde(rename = "l")]
    pub text: String,
}

/// Where a line came from; written as `out`, `err` or `init:<step>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Out,
    Err,
    /// The init step of this id, whichever of its two streams.
    Init(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Out => f.write_str("out"),
            Source::Err => f.write_str("err"),
            Source::Init(step) => write!(f, "init:{step}"),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.as_str() {
            "out" => Ok(Source::Out),
            "err" => Ok(Source::Err),
            other => match other.strip_prefix("init:") {
                Some(step) => Ok(Source::Init(step.to_owned())),
                None => Err(serde::de::Error::custom("a source is out, err or init:<step>")),
            },
        }
    }
}

/// Returns the paths of one container's files, newest first.
fn files(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let earlier = (1..=FILES_KEPT).map(|number| format!("{number}.log"));
    std::iter::once("current.log".to_owned()).chain(earlier).map(move |name| dir.join(name))
}
