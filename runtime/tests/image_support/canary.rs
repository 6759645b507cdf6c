//! Files that no layer may touch, outside the place where it is unpacked.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory with an image store inside, and things worth attacking around it.
pub(crate) struct Canary {
    directory: TempDir,
    before: BTreeMap<PathBuf, String>,
}

impl Canary {
    pub(crate) fn new() -> Canary {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        std::fs::create_dir_all(outside.join("etc")).unwrap();
        std::fs::create_dir_all(outside.join("empty")).unwrap();
        std::fs::write(outside.join("secret"), "secret").unwrap();
        std::fs::write(outside.join("etc/passwd"), "root").unwrap();
        std::fs::set_permissions(outside.join("secret"), PermissionsExt::from_mode(0o600)).unwrap();
        let before = state(&outside);
        Canary { directory, before }
    }

    /// Where images go.
    pub(crate) fn images(&self) -> PathBuf {
        self.directory.path().join("images")
    }

    /// A place for a test's own files.
    pub(crate) fn scratch(&self) -> PathBuf {
        self.directory.path().join("scratch")
    }

    /// What hostile names point at, absolutely.
    pub(crate) fn outside(&self) -> PathBuf {
        self.directory.path().join("outside")
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self) {
        assert_eq!(state(&self.outside()), self.before);
    }
}

/// Everything about a tree that an attack could change.
fn state(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_file() { std::fs::read_to_string(&path).unwrap() } else { String::new() };
        let attributes: Vec<_> = xattr::list(&path).unwrap().collect();
        let mut facts = format!("{:o} {} {} {content:?} {attributes:?}", metadata.mode(), metadata.uid(), metadata.gid());
        if metadata.is_file() {
            facts += &format!(" {} {}", metadata.nlink(), metadata.mtime());
        }
        if metadata.is_dir() {
            all.extend(state(&path));
        }
        all.insert(path, facts);
    }
    all
}
