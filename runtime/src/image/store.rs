//! Images on disk.
//!
//! ```text
//!  blobs/sha256/<hex>   manifests and configurations, as registries hold them
//!  layers/<hex>/        unpacked layers by diff id, ready as lower directories of overlayfs, shared by all images
//!  images/<hex>         one record for each image that is complete: the last thing written
//!  names/<hex>          references, by the hash of their text
//!  empty/               the one layer of an image that has none
//!  tmp/                 unfinished work
//! ```

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use spec::Timestamp;

use super::digest::Digest;
use super::unpack::{Expected, Fault, Limits, unpack};
use super::work::{self, Work};
use super::{Error, document};

pub(super) struct Store {
    directory: PathBuf,
}

/// A complete image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Image {
    pub(super) digest: Digest,
    pub(super) repository: String,
    pub(super) config: Digest,
    /// Diff ids, lowest first.
    pub(super) layers: Vec<Digest>,
    /// What its manifest declares: configuration and compressed layers.
    pub(super) bytes: u64,
    pub(super) created: Option<Timestamp>,
}

impl Image {
    /// Returns what an image without a name is called; nothing when no repository is known either.
    pub(super) fn nameless(&self) -> Option<String> {
        (!self.repository.is_empty()).then(|| format!("{}@{}", self.repository, self.digest))
    }
}

/// A reference, and the image it means here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) reference: String,
    pub(super) digest: Digest,
}

const DIRECTORIES: [&str; 6] = ["blobs", "blobs/sha256", "layers", "images", "names", "tmp"];
const EMPTY: &str = "empty";
/// Layers hold set-uid programs, which no user of the host may reach.
const PRIVATE: Mode = Mode::RWXU;
const TREE: &str = "tree";
const TRASH: &str = "trash";

impl Store {
    /// Opens or makes the directory, and removes what interrupted work left.
    pub(super) fn open(directory: &Path) -> Result<Store, Error> {
        let directory = std::path::absolute(directory).map_err(Error::io("find", directory))?;
        make_directory(&directory, PRIVATE)?;
        for name in DIRECTORIES {
            make_directory(&directory.join(name), PRIVATE)?;
        }
        make_directory(&directory.join(EMPTY), Mode::from_raw_mode(0o755))?;
        work::clean(&directory.join("tmp"))?;
        Ok(Store { directory })
    }

    /// Returns an image's record; none unless all of it is there.
    pub(super) fn image(&self, digest: &Digest) -> Result<Option<Image>, Error> {
        let image: Option<Image> = read_json(&self.path("images", digest))?;
        Ok(image.filter(|image| image.layers.iter().all(|layer| self.has_layer(layer))))
    }

    pub(super) fn images(&self) -> Result<Vec<Image>, Error> {
        read_all(&self.directory.join("images"))
    }

    pub(super) fn put_image(&self, image: &Image) -> Result<(), Error> {
        self.write_json(&self.path("images", &image.digest), image)
    }

    /// Returns the digest that a complete reference means here.
    pub(super) fn name(&self, reference: &str) -> Result<Option<Digest>, Error> {
        let name: Option<Name> = read_json(&self.path("names", &Digest::of(reference.as_bytes())))?;
        Ok(name.filter(|name| name.reference == reference).map(|name| name.digest))
    }

    pub(super) fn names(&self) -> Result<Vec<Name>, Error> {
        read_all(&self.directory.join("names"))
    }

    pub(super) fn put_name(&self, name: &Name) -> Result<(), Error> {
        self.write_json(&self.path("names", &Digest::of(name.reference.as_bytes())), name)
    }

    /// Returns a manifest or configuration; none when it is missing or damaged.
    pub(super) fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        let bytes = read(&self.path("blobs/sha256", digest))?;
        Ok(bytes.filter(|bytes| Digest::of(bytes) == *digest))
    }

    pub(super) fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        self.write(&self.path("blobs/sha256", digest), bytes)
    }

    pub(super) fn has_layer(&self, diff_id: &Digest) -> bool {
        self.path("layers", diff_id).is_dir()
    }

    /// Returns an image's layers as overlayfs wants them: top first, none twice.
    ///
    /// Of a layer that occurs twice the upper occurrence decides everything the lower one would.
    pub(super) fn lower_directories(&self, image: &Image) -> Vec<PathBuf> {
        let mut seen = HashSet::new();
        let once = image.layers.iter().rev().filter(|layer| seen.insert(*layer));
        let directories: Vec<PathBuf> = once.map(|layer| self.path("layers", layer)).collect();
        if directories.is_empty() { vec![self.directory.join(EMPTY)] } else { directories }
    }

    /// Unpacks a layer into place; blocks.
    pub(super) fn unpack(&self, stream: impl Read, expected: &Expected, limits: &Limits) -> Result<(), Error> {
        let work = Work::begin(&self.directory.join("tmp"))?;
        let tree = work.directory(TREE, Mode::from_raw_mode(0o755))?;
        let trash = work.directory(TRASH, Mode::RWXU)?;
        unpack(stream, expected, limits, tree, trash).map_err(|fault| self.fault(expected, fault))?;
        work.publish_directory(TREE, &self.path("layers", &expected.diff_id))
    }

    fn fault(&self, expected: &Expected, fault: Fault) -> Error {
        let layer = expected.digest.to_string();
        match fault {
            Fault::Hostile(reason) => Error::Layer { layer, reason },
            Fault::Interrupted => Error::Interrupted { what: format!("layer {layer}") },
            Fault::Disk(action, source) => Error::Io { action, path: self.directory.clone(), source },
        }
    }

    fn path(&self, kind: &str, digest: &Digest) -> PathBuf {
        self.directory.join(kind).join(digest.hex())
    }

    fn write_json(&self, target: &Path, value: &impl Serialize) -> Result<(), Error> {
        let json = serde_json::to_vec(value).map_err(io::Error::from).map_err(Error::io("write", target))?;
        self.write(target, &json)
    }

    fn write(&self, target: &Path, bytes: &[u8]) -> Result<(), Error> {
        Work::begin(&self.directory.join("tmp"))?.publish_file(bytes, target)
    }
}

fn make_directory(directory: &Path, mode: Mode) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
    rustix::fs::chmod(directory, mode).map_err(|error| Error::io("protect", directory)(error.into()))
}

/// Reads a small file; none when there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut bytes = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(document::CONFIG_MAX).read_to_end(&mut bytes));
    match read {
        Ok(_) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// A damaged record is as good as none: what it described is fetched again.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let parsed = read(path)?.map(|bytes| serde_json::from_slice(&bytes));
    parsed.transpose().or_else(|error| {
        tracing::warn!(%error, path = %path.display(), "damaged record");
        Ok(None)
    })
}

fn read_all<T: DeserializeOwned>(directory: &Path) -> Result<Vec<T>, Error> {
    let entries = fs::read_dir(directory).map_err(Error::io("read", directory))?;
    let paths: Result<Vec<PathBuf>, io::Error> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(Error::io("read", directory))?;
    paths.sort();
    paths.iter().filter_map(|path| read_json(path).transpose()).collect()
}
