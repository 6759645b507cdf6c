//! What a store's bytes are on: a file, memory, or anything that tests make of it.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{BackendError, StorageBackend};

/// Holds the bytes of one store, and can be opened again after it failed.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Opens what is held; no bytes at all stand for a store that is not made yet.
    fn open(&self) -> io::Result<Backend>;

    /// Returns how many bytes there is room for.
    fn free_bytes(&self) -> io::Result<u64>;

    /// Returns what errors call it.
    fn path(&self) -> &Path;
}

/// The bytes of one store, opened.
#[derive(Debug)]
pub struct Backend(Box<dyn StorageBackend>);

impl Backend {
    pub fn new(backend: impl StorageBackend) -> Backend {
        Backend(Box::new(backend))
    }
}

/// A file that exists.
#[derive(Debug)]
pub(crate) struct FileDisk(pub PathBuf);

impl Disk for FileDisk {
    fn open(&self) -> io::Result<Backend> {
        let file = OpenOptions::new().read(true).write(true).open(&self.0)?;
        if file.metadata()?.len() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
        }
        FileBackend::new(file).map(Backend::new).map_err(io::Error::other)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.0)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// A file that is read, with what would be written kept in memory and forgotten.
#[derive(Debug)]
pub(crate) struct ReadDisk(pub PathBuf);

impl ReadDisk {
    /// Returns whether a process uses the file.
    pub(crate) fn is_held(&self) -> io::Result<bool> {
        let backend = FileBackend::new(OpenOptions::new().read(true).write(true).open(&self.0)?).map_err(io::Error::other)?;
        let free = backend.try_lock_range(Bound::Unbounded, Bound::Unbounded).map_err(io::Error::from)?;
        backend.close()?;
        Ok(!free)
    }
}

impl Disk for ReadDisk {
    fn open(&self) -> io::Result<Backend> {
        if self.is_held()? {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        let bytes = std::fs::read(&self.0)?;
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is empty"));
        }
        let memory = InMemoryBackend::new();
        memory.set_len(bytes.len() as u64)?;
        memory.write(0, &bytes)?;
        Ok(Backend::new(memory))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

/// Memory, empty each time it is opened.
#[derive(Debug)]
pub(crate) struct MemoryDisk;

impl Disk for MemoryDisk {
    fn open(&self) -> io::Result<Backend> {
        Ok(Backend::new(InMemoryBackend::new()))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn path(&self) -> &Path {
        Path::new("memory")
    }
}

type Locked<T> = Result<T, BackendError>;

impl StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<()> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Locked<bool> {
        self.0.query_lock_range(start, end)
    }
}
