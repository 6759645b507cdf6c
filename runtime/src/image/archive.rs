//! Images from files: OCI layouts, as a directory or a tar archive, and what `docker save` writes.
//!
//! Source: image-spec `image-layout.md`. Archives are read where they lie; only an index of their members is kept.

mod docker;
mod layout;
mod members;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Error;
use super::digest::Digest;
use super::document::{Descriptor, MANIFEST_MAX};
use members::Members;

/// An opened archive.
pub(super) struct Archive {
    path: PathBuf,
    content: Content,
    /// Content that has no place of its own by digest: Docker's older format.
    extra: HashMap<Digest, Extra>,
}

enum Content {
    Directory,
    Tar(Members),
}

enum Extra {
    Bytes(Vec<u8>),
    Member(String),
}

/// An image of an archive.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) digest: Digest,
    /// Complete references.
    pub(super) references: Vec<String>,
}

/// A part of an archive, to be read once.
pub(super) struct Member {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) size: u64,
}

impl Archive {
    /// Opens an archive and finds this node's images in it; blocks.
    pub(super) fn open(path: &Path) -> Result<(Archive, Vec<Found>), Error> {
        let is_directory = path.metadata().map_err(Error::io("open", path))?.is_dir();
        let content = if is_directory { Content::Directory } else { Content::Tar(Members::scan(path)?) };
        let mut archive = Archive { path: path.to_owned(), content, extra: HashMap::new() };
        let found = if let Some(index) = archive.small("index.json", MANIFEST_MAX)? {
            layout::images(&archive, &index)?
        } else if let Some(list) = archive.small("manifest.json", MANIFEST_MAX)? {
            docker::images(&mut archive, &list)?
        } else {
            return Err(archive.wrong("neither an OCI layout (index.json) nor of `docker save` (manifest.json)"));
        };
        if found.is_empty() {
            return Err(archive.wrong("no image for this node in it"));
        }
        Ok((archive, found))
    }

    /// Reads a manifest or configuration and checks it against its descriptor.
    pub(super) fn document(&self, descriptor: &Descriptor, max: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.by_digest(&descriptor.digest, max)?;
        if bytes.len() as u64 != descriptor.size {
            return Err(self.wrong(format!("{} has {} bytes, not {}", descriptor.digest, bytes.len(), descriptor.size)));
        }
        Ok(bytes)
    }

    /// Reads a manifest or configuration and checks its hash.
    pub(super) fn by_digest(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, Error> {
        let bytes = match self.extra.get(digest) {
            Some(Extra::Bytes(bytes)) => Some(bytes.clone()),
            _ => self.small(&blob_name(digest), max)?,
        };
        let bytes = bytes.ok_or_else(|| self.wrong(format!("{digest} is missing")))?;
        if Digest::of(&bytes) != *digest { Err(self.wrong(format!("{digest} is damaged"))) } else { Ok(bytes) }
    }

    /// Opens a layer.
    pub(super) fn layer(&self, digest: &Digest) -> Result<Member, Error> {
        let name = match self.extra.get(digest) {
            Some(Extra::Member(name)) => name.clone(),
            _ => blob_name(digest),
        };
        self.member(&name)?.ok_or_else(|| self.wrong(format!("{digest} is missing")))
    }

    fn small(&self, name: &str, max: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(member) = self.member(name)? else { return Ok(None) };
        if member.size > max {
            return Err(self.wrong(format!("{name:?} has {} bytes; at most {max} are read", member.size)));
        }
        let mut bytes = Vec::new();
        member.reader.take(member.size).read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        Ok(Some(bytes))
    }

    fn member(&self, name: &str) -> Result<Option<Member>, Error> {
        match &self.content {
            Content::Directory => self.file(name),
            Content::Tar(members) => members.open(&self.path, name),
        }
    }

    fn file(&self, name: &str) -> Result<Option<Member>, Error> {
        let path = self.path.join(name);
        let opened = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&path);
        let file = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(Error::io("open", &path))?,
        };
        let metadata = file.metadata().map_err(Error::io("read", &path))?;
        if !metadata.is_file() {
            return Err(self.wrong(format!("{name:?} is not a file")));
        }
        Ok(Some(Member { reader: Box::new(file), size: metadata.len() }))
    }

    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Archive { path: self.path.clone(), reason: reason.into() }
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}
