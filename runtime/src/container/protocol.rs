//! What a daemon and a shim say to each other: JSON, one message a line, over a Unix stream socket.
//!
//! ```text
//! shim    {"running":{"version":1,"pid":812,"attempt":3,"started":1700000000000,"step":false}}   first, on each connection
//! shim    {"not_started":"exec: no such file: /x"}                                              instead of it, when it failed
//! daemon  {"stop":{"signal":"SIGTERM","grace_ms":10000}}
//! shim    {"exited":{"attempt":3,"started":…,"ended":…,"cause":{"code":0}}}                     and it hangs up
//! ```
//!
//! Shims outlive upgrades of the daemon. So a change that an older shim would not understand needs a new [`VERSION`], and
//! the daemon goes on speaking the one before. Fields and messages that are unknown are passed over.

use serde::{Deserialize, Serialize};
use spec::Timestamp;

use super::ExitRecord;

pub(crate) const VERSION: u32 = 1;

/// Longest message a shim takes: requests are tiny.
pub(crate) const REQUEST_BYTES: usize = 4096;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Message {
    Running(Hello),
    NotStarted(String),
    Exited(ExitRecord),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub version: u32,
    /// The container's first process, in the host's numbers.
    pub pid: u32,
    pub attempt: u64,
    pub started: Timestamp,
    /// It is an init step: it ends with the connection that started it.
    pub step: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Stop { signal: String, grace_ms: u64 },
}

/// Returns `message` as one line.
pub(crate) fn line<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use spec::kind::container::Cause;

    use super::*;

    #[test]
    fn messages_keep_their_form() {
        let hello = Hello { version: VERSION, pid: 812, attempt: 3, started: Timestamp(7), step: false };
        let exit = ExitRecord { attempt: 3, started: Timestamp(7), ended: Timestamp(9), cause: Cause::Code(0) };
        let stop = Request::Stop { signal: "SIGTERM".to_owned(), grace_ms: 10_000 };
        let lines = [line(&Message::Running(hello)), line(&Message::Exited(exit)), line(&stop)].concat();
        insta::assert_snapshot!(String::from_utf8(lines).unwrap(), @r#"
        {"running":{"version":1,"pid":812,"attempt":3,"started":7,"step":false}}
        {"exited":{"attempt":3,"started":7,"ended":9,"cause":{"code":0}}}
        {"stop":{"signal":"SIGTERM","grace_ms":10000}}
        "#);
    }
}
