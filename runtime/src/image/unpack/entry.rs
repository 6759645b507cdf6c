//! The entries of a tar stream, with bounded memory.
//!
//! The `tar` crate decodes the headers. Framing is here, because that crate reads long names of any length into memory and
//! cuts pax values at newlines.

use std::borrow::Cow;
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::fault::{Fault, Unpacked};
use super::limit::Meter;
use super::name::Quoted;
use super::pax::Pax;
use crate::image::digest::Hashing;

/// A tar stream's unit.
const BLOCK: u64 = 512;
/// Longest name or extended header of one entry: Go, which writes most images, stops there too.
const EXTENSION_MAX: u64 = 1 << 20;

/// One entry; its data is read from [`Entries`] before the next one.
pub(in crate::image) struct Entry {
    pub(in crate::image) kind: EntryType,
    pub(in crate::image) path: Vec<u8>,
    pub(in crate::image) link: Option<Vec<u8>>,
    pub(in crate::image) size: u64,
    pub(in crate::image) attributes: Attributes,
}

/// What an entry has beside its content.
pub(in crate::image) struct Attributes {
    pub(in crate::image) uid: u32,
    pub(in crate::image) gid: u32,
    pub(in crate::image) mode: u32,
    /// Seconds since 1970 and nanoseconds.
    pub(in crate::image) mtime: (i64, u32),
    pub(in crate::image) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Returns where a link leads.
    pub(in crate::image) fn link(&self) -> Unpacked<&[u8]> {
        self.link.as_deref().ok_or_else(|| Fault::hostile(format!("{}: a link to nowhere", Quoted(&self.path))))
    }
}

/// Reads entries one after the other, and the data of the current one.
pub(in crate::image) struct Entries<R> {
    stream: R,
    /// Of the current entry: data not yet read, and padding after it.
    data: u64,
    padding: usize,
}

/// What comes before an entry and describes it.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

/// What entries are read from.
pub(in crate::image) trait Stream: Read {
    /// Passes over bytes that are not wanted.
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.take(bytes), &mut io::sink())?;
        if skipped < bytes { Err(io::Error::other("the archive ends inside an entry")) } else { Ok(()) }
    }
}

impl Stream for Hashing<Meter<'_>> {}

impl<R: Stream> Entries<R> {
    pub(in crate::image) fn new(stream: R) -> Entries<R> {
        Entries { stream, data: 0, padding: 0 }
    }

    pub(in crate::image) fn get_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    pub(super) fn into_inner(self) -> R {
        self.stream
    }

    /// Returns the next entry that is more than a description of another; none at the archive's end.
    pub(in crate::image) fn next_entry(&mut self) -> Unpacked<Option<Entry>> {
        let mut extensions = Extensions::default();
        while let Some(header) = self.next_header()? {
            let size = header.entry_size()?;
            match header.entry_type() {
                EntryType::GNULongName => set(&mut extensions.path, trim(self.extension(size)?))?,
                EntryType::GNULongLink => set(&mut extensions.link, trim(self.extension(size)?))?,
                EntryType::XHeader => set(&mut extensions.pax, Pax::parse(&self.extension(size)?)?)?,
                EntryType::XGlobalHeader => drop(self.extension(size)?),
                _ => return self.begin(&header, size, extensions).map(Some),
            }
        }
        let is_dangling = extensions.path.is_some() || extensions.link.is_some() || extensions.pax.is_some();
        if is_dangling { Err(Fault::hostile("the archive ends before the entry it announced")) } else { Ok(None) }
    }

    /// Skips what is left of the current entry and reads a header; none at a zero block or the stream's end.
    fn next_header(&mut self) -> Unpacked<Option<Header>> {
        self.stream.skip(self.data)?;
        self.data = 0;
        let mut padding = [0; BLOCK as usize];
        // Some writers end without padding the last entry, `umoci insert` for one; Go reads such archives as well.
        if self.padding > 0 && !self.fill(&mut padding[..self.padding])? {
            return Ok(None);
        }
        self.padding = 0;
        let mut header = Header::new_old();
        if !self.fill(header.as_mut_bytes())? || header.as_bytes().iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if header.cksum().ok() != Some(checksum(&header)) {
            return Err(Fault::hostile("a damaged tar header"));
        }
        Ok(Some(header))
    }

    /// Fills a block, or the rest of one; false at the stream's end.
    fn fill(&mut self, block: &mut [u8]) -> Unpacked<bool> {
        let mut filled = 0;
        while filled < block.len() {
            match self.stream.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(false),
                0 => return Err(Fault::hostile("the archive ends inside a block")),
                read => filled += read,
            }
        }
        Ok(true)
    }

    /// Reads the data of a header that describes another.
    fn extension(&mut self, size: u64) -> Unpacked<Vec<u8>> {
        if size > EXTENSION_MAX {
            return Err(Fault::hostile(format!("a name or extended header of {size} bytes")));
        }
        self.frame(size);
        let mut data = Vec::new();
        self.read_to_end(&mut data)?;
        Ok(data)
    }

    fn frame(&mut self, size: u64) {
        self.data = size;
        self.padding = ((BLOCK - size % BLOCK) % BLOCK) as usize;
    }

    fn begin(&mut self, header: &Header, size: u64, extensions: Extensions) -> Unpacked<Entry> {
        let pax = extensions.pax.unwrap_or_default();
        let path = pax.path.or(extensions.path).unwrap_or_else(|| header.path_bytes().into_owned());
        let link = pax.link.or(extensions.link).or_else(|| header.link_name_bytes().map(Cow::into_owned));
        let is_old_directory = header.as_ustar().is_none() && header.as_gnu().is_none() && path.ends_with(b"/");
        let kind = match header.entry_type() {
            EntryType::Regular if is_old_directory => EntryType::Directory,
            kind => kind,
        };
        let size = if has_data(kind) { pax.size.unwrap_or(size) } else { 0 };
        self.frame(size);
        let attributes = Attributes {
            uid: id(pax.uid.map_or_else(|| header.uid(), Ok)?, &path)?,
            gid: id(pax.gid.map_or_else(|| header.gid(), Ok)?, &path)?,
            mode: header.mode()? & 0o7777,
            mtime: pax.mtime.unwrap_or((i64::try_from(header.mtime()?).unwrap_or(i64::MAX), 0)),
            xattrs: pax.xattrs,
        };
        Ok(Entry { kind, path, link, size, attributes })
    }
}

impl Entries<Hashing<Meter<'_>>> {
    /// Counts an entry against the layer's limits.
    pub(super) fn count_apparent(&mut self, size: u64) -> io::Result<()> {
        self.stream.get_mut().entry(size)
    }
}

/// Reads the current entry's data.
impl<R: Read> Read for Entries<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.data).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.stream.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::Error::other("the archive ends inside an entry"));
        }
        self.data -= read as u64;
        Ok(read)
    }
}

/// Writers that set a size on links and directories do not mean it; Go ignores it as well.
fn has_data(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link | EntryType::Symlink | EntryType::Char | EntryType::Block | EntryType::Directory | EntryType::Fifo
    )
}

/// Two descriptions of one entry would leave it to the reader which counts.
fn set<T>(place: &mut Option<T>, value: T) -> Unpacked {
    if place.replace(value).is_some() { Err(Fault::hostile("one entry is described twice")) } else { Ok(()) }
}

fn trim(mut name: Vec<u8>) -> Vec<u8> {
    name.pop_if(|last| *last == 0);
    name
}

/// Sums a header's bytes, those of the sum itself as spaces.
fn checksum(header: &Header) -> u32 {
    const SUM: std::ops::Range<usize> = 148..156;
    header.as_bytes().iter().enumerate().map(|(at, &byte)| u32::from(if SUM.contains(&at) { b' ' } else { byte })).sum()
}

fn id(number: u64, path: &[u8]) -> Unpacked<u32> {
    // The highest number means "unchanged" to the kernel.
    u32::try_from(number)
        .ok()
        .filter(|id| *id != u32::MAX)
        .ok_or_else(|| Fault::hostile(format!("{}: owner {number} does not exist", Quoted(path))))
}
