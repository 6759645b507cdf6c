//! Backups: a copy of all objects in a file of its own, its way back, and the check of a file that nobody uses.
//!
//! A backup is a store's file that says it is one. Put in the place of a store, by [`Store::restore`] or by hand, it becomes a store
//! with a new epoch: what comes after it is another history than what came after it before, and no cursor of that one is good here.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{FileDisk, ReadDisk};
use crate::log::{self, Log};
use crate::{Cursor, Error, Options, Store};

/// What a file holds, all of which was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Version of the file's format.
    pub format: u64,
    pub is_backup: bool,
    pub objects: usize,
    /// Transactions that a watcher can go back.
    pub history: usize,
    /// The place behind all transactions it holds.
    pub head: Cursor,
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    pub objects: usize,
    /// Where the file that was there before is now.
    pub replaced: Option<PathBuf>,
}

impl Store {
    /// Writes all objects, as they are together at one place in the history, to a new file; commits go on meanwhile.
    ///
    /// The file is there whole and on disk, or not at all; one that is there already is replaced. It takes as long as encoding all
    /// objects, so it is not for an async task.
    pub fn backup(&self, file: &Path) -> Result<Checked, Error> {
        let mut snapshot = self.snapshot();
        let state = self.shared().read();
        snapshot.objects.retain(|object| !state.volatile.holds(object.key.kind));
        drop(state);
        let result = Beside::new(file, "new").and_then(|beside| {
            log::write_backup(beside.create()?, &snapshot).map_err(io_error)?;
            beside.put_in_place()
        });
        result.map_err(|source| unwritable(file, source))?;
        Store::check(file)
    }

    /// Checks all of a file that no process uses, and changes nothing of it.
    pub fn check(file: &Path) -> Result<Checked, Error> {
        log::check(&ReadDisk(file.to_owned()))
    }

    /// Makes a store of a backup in `file`, which no process may be using. What is there is kept beside it.
    pub fn restore(backup: &Path, file: &Path) -> Result<Restored, Error> {
        let Checked { objects, .. } = Store::check(backup)?;
        if held(file).map_err(|source| unwritable(file, source))? {
            return Err(Error::Held { file: file.to_owned() });
        }
        let replaced = copy_into_place(backup, file).map_err(|source| unwritable(file, source))?;
        Ok(Restored { objects, replaced })
    }
}

fn copy_into_place(backup: &Path, file: &Path) -> io::Result<Option<PathBuf>> {
    let beside = Beside::new(file, "new")?;
    io::copy(&mut File::open(backup)?, &mut beside.create()?)?;
    // It gets its epoch, and is checked once more, before it is in the store's place.
    drop(Log::open_on(Arc::new(FileDisk(beside.new.clone())), &Options::default()).map_err(io::Error::other)?);
    let replaced = if file.try_exists()? { Some(keep_old(file)?) } else { None };
    beside.put_in_place()?;
    Ok(replaced)
}

/// Gives the file that is to be replaced another name, which no file has.
fn keep_old(file: &Path) -> io::Result<PathBuf> {
    for number in 1.. {
        let old = file.with_file_name(with_suffix(file, &format!("replaced-{number}"))?);
        match fs::hard_link(file, &old) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            result => return result.map(|()| old),
        }
    }
    unreachable!("a directory has fewer files than there are numbers")
}

fn held(file: &Path) -> io::Result<bool> {
    if file.try_exists()? { ReadDisk(file.to_owned()).is_held() } else { Ok(false) }
}

fn unwritable(file: &Path, source: io::Error) -> Error {
    if crate::error::is_full(&source) {
        return Error::Full;
    }
    Error::Backup { file: file.to_owned(), source: Arc::new(source) }
}

fn io_error(error: redb::Error) -> io::Error {
    match error {
        redb::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

fn with_suffix(file: &Path, suffix: &str) -> io::Result<OsString> {
    let mut name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{suffix}"));
    Ok(name)
}

/// A file that is made beside the one it is to be, and gone if it never is.
struct Beside<'a> {
    new: PathBuf,
    file: &'a Path,
}

impl Beside<'_> {
    fn new<'a>(file: &'a Path, suffix: &str) -> io::Result<Beside<'a>> {
        let name = with_suffix(file, &format!("{}.{suffix}", std::process::id()))?;
        Ok(Beside { new: file.with_file_name(name), file })
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&self.new)
    }

    fn put_in_place(&self) -> io::Result<()> {
        File::open(&self.new)?.sync_all()?;
        fs::rename(&self.new, self.file)?;
        let directory = self.file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        // Once in place it is no longer here.
        drop(fs::remove_file(&self.new));
    }
}
