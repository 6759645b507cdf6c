//! Bounds on what a layer may unpack to.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use crate::image::digest::{Digest, Hashing};

/// How large a layer may become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one unpacked layer, holes of sparse files included.
    pub unpacked_bytes: u64,
    /// Files, directories and links of one layer.
    pub entries: u64,
    /// Unpacked bytes for each compressed byte, once [`Limits::free_bytes`] are unpacked.
    pub ratio: u64,
    /// Unpacked bytes that may come from any number of compressed ones.
    pub free_bytes: u64,
}

impl Default for Limits {
    /// The largest real layers (machine learning) unpack to some 10 GiB and 500,000 entries; gzip alone reaches 1032 to 1.
    fn default() -> Limits {
        Limits { unpacked_bytes: 16 << 30, entries: 2_000_000, ratio: 1000, free_bytes: 64 << 20 }
    }
}

/// Bytes that have come in, as seen by the readers further on.
pub(super) type Count = Rc<Cell<u64>>;

/// A hashed reader that ends with an error at the first byte beyond the declared size.
pub(super) struct Declared<R> {
    inner: Hashing<R>,
    size: u64,
    count: Count,
}

impl<R: Read> Declared<R> {
    pub(super) fn new(inner: Hashing<R>, size: u64) -> Declared<R> {
        Declared { inner, size, count: Count::default() }
    }

    pub(super) fn count(&self) -> Count {
        Rc::clone(&self.count)
    }

    pub(super) fn finish(self) -> (Digest, u64) {
        let size = self.inner.count();
        (self.inner.digest(), size)
    }
}

impl<R: Read> Read for Declared<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count.set(self.inner.count());
        if self.inner.count() > self.size {
            return Err(io::Error::other(format!("more than the declared {} bytes", self.size)));
        }
        Ok(read)
    }
}

/// What decoding gives, with the count of what went in.
pub(super) struct Decoded<'a> {
    pub(super) reader: Box<dyn Read + 'a>,
    pub(super) compressed: Count,
}

/// A reader that stops a layer that grows too large.
pub(super) struct Meter<'a> {
    inner: Decoded<'a>,
    limits: &'a Limits,
    unpacked: u64,
    entries: u64,
    /// What files' sizes add up to.
    apparent: u64,
}

impl<'a> Meter<'a> {
    pub(super) fn new(inner: Decoded<'a>, limits: &'a Limits) -> Meter<'a> {
        Meter { inner, limits, unpacked: 0, entries: 0, apparent: 0 }
    }

    /// Counts an entry before it is made; it may claim any size.
    pub(super) fn entry(&mut self, size: u64) -> io::Result<()> {
        self.entries += 1;
        self.apparent = self.apparent.saturating_add(size);
        let Limits { entries, unpacked_bytes, .. } = *self.limits;
        if self.entries > entries {
            return Err(io::Error::other(format!("more than {entries} entries")));
        }
        if self.apparent > unpacked_bytes {
            return Err(io::Error::other(format!("unpacks to more than {unpacked_bytes} bytes")));
        }
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        let Limits { unpacked_bytes, ratio, free_bytes, .. } = *self.limits;
        if self.unpacked > unpacked_bytes {
            return Err(io::Error::other(format!("unpacks to more than {unpacked_bytes} bytes")));
        }
        if self.unpacked > free_bytes && self.unpacked > self.inner.compressed.get().saturating_mul(ratio) {
            return Err(io::Error::other(format!("unpacks to more than {ratio} times its size")));
        }
        Ok(())
    }
}

impl Read for Meter<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.reader.read(buffer)?;
        self.unpacked += read as u64;
        self.check()?;
        Ok(read)
    }
}
