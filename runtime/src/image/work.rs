//! Directories for unfinished work, which end by being renamed into place or removed.
//!
//! Each is locked by who works in it, so that an opening node removes only what nobody works in any more.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, syncfs};
use rustix::io::Errno;

use super::{Error, tidy};

pub(super) struct Work {
    path: PathBuf,
    directory: OwnedFd,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Work {
    /// Makes a directory of its own below `parent`.
    pub(super) fn begin(parent: &Path) -> Result<Work, Error> {
        loop {
            let path = parent.join(unique());
            match rustix::fs::mkdir(&path, Mode::RWXU) {
                Err(Errno::EXIST) => continue,
                made => made.map_err(failed("make", &path))?,
            }
            let directory = open(&path)?;
            flock(&directory, FlockOperation::LockExclusive).map_err(failed("lock", &path))?;
            // Someone who cleans up may have been faster than the lock.
            if path.exists() {
                return Ok(Work { path, directory });
            }
        }
    }

    /// Makes a subdirectory.
    pub(super) fn directory(&self, name: &str, mode: Mode) -> Result<OwnedFd, Error> {
        let path = self.path.join(name);
        rustix::fs::mkdir(&path, mode).map_err(failed("make", &path))?;
        rustix::fs::chmod(&path, mode).map_err(failed("set the mode of", &path))?;
        open(&path)
    }

    /// Puts a finished subdirectory durably into place; what is there already stays.
    pub(super) fn publish_directory(self, name: &str, target: &Path) -> Result<(), Error> {
        syncfs(self.directory.as_fd()).map_err(failed("sync", &self.path))?;
        match rustix::fs::rename(self.path.join(name), target) {
            Err(Errno::EXIST | Errno::NOTEMPTY) => {}
            renamed => renamed.map_err(failed("rename to", target))?,
        }
        sync_parent(target)
    }

    /// Puts a file durably into place, instead of what is there.
    pub(super) fn publish_file(self, bytes: &[u8], target: &Path) -> Result<(), Error> {
        let path = self.path.join("file");
        let write = || {
            fs::write(&path, bytes)?;
            File::open(&path)?.sync_all()?;
            fs::rename(&path, target)
        };
        write().map_err(Error::io("write", target))?;
        sync_parent(target)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path, &self.directory) {
            tracing::warn!(%error, path = %self.path.display(), "unfinished work stays until the next start");
        }
    }
}

/// Removes what interrupted work left below `parent`.
pub(super) fn clean(parent: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(parent).map_err(Error::io("read", parent))? {
        let path = entry.map_err(Error::io("read", parent))?.path();
        let Ok(directory) = open(&path) else { continue };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(&path, &directory).map_err(failed("remove", &path))?;
        }
    }
    Ok(())
}

fn remove(path: &Path, directory: &OwnedFd) -> Result<(), Errno> {
    tidy::clear(directory)?;
    rustix::fs::rmdir(path)
}

fn sync_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(path);
    File::open(parent).and_then(|parent| parent.sync_all()).map_err(Error::io("sync", parent))
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(failed("open", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(Errno) -> Error {
    let failed = Error::io(action, path);
    move |error| failed(error.into())
}

fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_work_leaves_nothing() {
        let parent = tempfile::tempdir().unwrap();
        let work = Work::begin(parent.path()).unwrap();
        work.directory("tree", Mode::RWXU).unwrap();
        fs::write(work.path.join("tree/file"), "x").unwrap();
        drop(work);
        assert!(fs::read_dir(parent.path()).unwrap().next().is_none());
    }

    #[test]
    fn cleaning_spares_work_in_progress() {
        let parent = tempfile::tempdir().unwrap();
        fs::create_dir_all(parent.path().join("old/deep/er")).unwrap();
        let work = Work::begin(parent.path()).unwrap();
        clean(parent.path()).unwrap();
        let left: Vec<_> = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(left, std::slice::from_ref(&work.path));
    }

    #[test]
    fn a_published_directory_is_complete_and_the_first_one_stays() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("target");
        for content in ["first", "second"] {
            let work = Work::begin(parent.path()).unwrap();
            work.directory("tree", Mode::RWXU).unwrap();
            fs::write(work.path.join("tree/file"), content).unwrap();
            work.publish_directory("tree", &target).unwrap();
        }
        assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "first");
    }
}
