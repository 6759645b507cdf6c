//! Where everything of one container is on the host.

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::Error;

/// Longest id: it names files and control groups, whose names have at most 255 bytes.
const ID_BYTES: usize = 200;

/// ```text
/// <run>/shims/<id>/    lock, sock, stderr; while it starts: launch.json, config.json; its root's mount point; libcontainer's state
/// <state>/<id>/        upper, work (of the overlay), exit.json
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    pub run: PathBuf,
    pub state: PathBuf,
    /// Its control group, from the root of each hierarchy.
    pub cgroup: String,
}

impl Paths {
    pub(crate) fn lock(&self) -> PathBuf {
        self.run.join("lock")
    }

    pub(crate) fn exit(&self) -> PathBuf {
        self.state.join("exit.json")
    }
}

/// Checks that `id` is one plain name: letters, digits, `-`, `_` and `.`, not starting with a dot.
pub(crate) fn check_id(id: &str) -> Result<(), Error> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let good = (1..=ID_BYTES).contains(&id.len()) && !id.starts_with('.') && id.bytes().all(plain);
    if good { Ok(()) } else { Err(Error::Id(id.chars().take(ID_BYTES).collect())) }
}

/// Checks that `path` stays below the directory it is joined to.
pub(crate) fn is_below(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Runs `work` with a short path to the directory `dir`: the address of a Unix socket has room for 107 bytes only.
pub(crate) fn with_short_path<T>(dir: &Path, work: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let dir = std::fs::File::open(dir)?;
    work(Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_plain_name() {
        for id in ["web-1", "shop.web.0_a", "a"] {
            check_id(id).unwrap();
        }
        for id in ["", ".", "..", "../x", "a/b", ".hidden", "a b", "a\0", "ä", &"x".repeat(4096)] {
            assert!(matches!(check_id(id), Err(Error::Id(_))), "{id}");
        }
    }

    #[test]
    fn a_path_below_has_no_way_up() {
        assert!(is_below("shop/web/0"));
        for path in ["", "/etc", "a/../b", "..", "a/./../.."] {
            assert!(!is_below(path), "{path}");
        }
    }
}
