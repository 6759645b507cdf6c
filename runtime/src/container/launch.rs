//! What a shim is told: one file, written by the daemon and read once.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use spec::kind::container::Spec;

/// What to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    pub spec: Spec,
    /// Directories of the image's layers, the top one first.
    pub layers: Vec<PathBuf>,
    /// The complete environment; `spec.process.env` is what it was made from.
    pub env: BTreeMap<String, String>,
    /// Numbers the starts of one container.
    pub attempt: u64,
    pub role: Role,
}

/// What a process is to its container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The container itself.
    Main,
    /// An init step, in the same root and network. It ends when the [`Running`](super::Running) is dropped.
    Step { index: usize, id: String, args: Vec<String> },
}

impl Launch {
    pub(crate) fn args(&self) -> &[String] {
        match &self.role {
            Role::Main => &self.spec.process.args,
            Role::Step { args, .. } => args,
        }
    }
}

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub launch: Launch,
    pub run: PathBuf,
    pub state: PathBuf,
    pub log: PathBuf,
    pub netns: PathBuf,
    pub cgroup: String,
}

impl Order {
    pub(crate) const FILE: &str = "launch.json";

    /// Writes it into the run directory; it holds secrets of the environment, so nobody else may read it.
    pub(crate) fn write(&self) -> io::Result<()> {
        let path = self.run.join(Self::FILE);
        let file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        Ok(serde_json::to_writer(io::BufWriter::new(file), self)?)
    }

    pub(crate) fn read(path: &Path) -> io::Result<Order> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}
