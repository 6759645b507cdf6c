//! Where an archive's members are, so that each can be read by name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use tar::EntryType;

use super::Member;
use crate::image::Error;
use crate::image::unpack::Fault;
use crate::image::unpack::entry::{Entries, Stream};

#[derive(Debug, Default)]
pub(super) struct Members(HashMap<String, Place>);

#[derive(Debug)]
enum Place {
    File {
        offset: u64,
        size: u64,
    },
    /// Older `docker save` links to the first occurrence of a layer.
    Link(String),
}

/// Most members: an image has some per layer, an archive has some images.
const MEMBERS_MAX: usize = 100_000;

struct Seekable(BufReader<File>);

impl Read for Seekable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Stream for Seekable {
    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = i64::try_from(bytes).map_err(|_| io::Error::other("an entry of absurd size"))?;
        self.0.seek_relative(bytes)
    }
}

impl Members {
    /// Reads an archive's headers.
    pub(super) fn scan(path: &Path) -> Result<Members, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length = file.metadata().map_err(Error::io("read", path))?.len();
        let mut entries = Entries::new(Seekable(BufReader::new(file)));
        let mut members = Members::default();
        loop {
            let entry = match entries.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) => return Ok(members),
                Err(fault) => return Err(wrong(path, fault)),
            };
            let offset = entries.get_mut().0.stream_position().map_err(Error::io("read", path))?;
            if members.0.len() >= MEMBERS_MAX || entry.size > length.saturating_sub(offset) {
                return Err(wrong(path, Fault::Hostile("too many members, or one that is cut off".to_owned())));
            }
            let Ok(name) = String::from_utf8(entry.path) else { continue };
            let place = match (entry.kind, entry.link.map(String::from_utf8)) {
                (EntryType::Regular, _) => Place::File { offset, size: entry.size },
                (EntryType::Symlink, Some(Ok(target))) => Place::Link(join(&name, &target)),
                (EntryType::Link, Some(Ok(target))) => Place::Link(normal(&target)),
                _ => continue,
            };
            members.0.insert(normal(&name), place);
        }
    }

    pub(super) fn open(&self, path: &Path, name: &str) -> Result<Option<Member>, Error> {
        let place = match self.0.get(&normal(name)) {
            Some(Place::Link(target)) => self.0.get(target),
            place => place,
        };
        let Some(Place::File { offset, size }) = place else { return Ok(None) };
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        file.seek(SeekFrom::Start(*offset)).map_err(Error::io("read", path))?;
        Ok(Some(Member { reader: Box::new(file.take(*size)), size: *size }))
    }
}

/// Resolves a link's target relative to the link; names stay keys of the index and never reach the file system.
fn join(link: &str, target: &str) -> String {
    let parent = link.rsplit_once('/').map_or("", |(parent, _)| parent);
    normal(&format!("{parent}/{target}"))
}

fn normal(name: &str) -> String {
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn wrong(path: &Path, fault: Fault) -> Error {
    match fault {
        Fault::Disk(action, source) => Error::io(action, path)(source),
        Fault::Hostile(reason) => Error::Archive { path: path.to_owned(), reason: explain(path, reason) },
        Fault::Interrupted => Error::Interrupted { what: "reading an archive".to_owned() },
    }
}

/// A compressed archive is the likeliest reason why a header makes no sense.
fn explain(path: &Path, reason: String) -> String {
    let mut start = [0; 2];
    let is_gzip = File::open(path).is_ok_and(|mut file| file.read_exact(&mut start).is_ok()) && start == [0x1f, 0x8b];
    if is_gzip { "it is compressed; decompress it first (gunzip)".to_owned() } else { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_resolve_inside_the_archive() {
        assert_eq!(join("b/layer.tar", "../a/layer.tar"), "a/layer.tar");
        assert_eq!(join("layer.tar", "../../../etc/passwd"), "etc/passwd");
        assert_eq!(normal("./index.json"), "index.json");
    }
}
