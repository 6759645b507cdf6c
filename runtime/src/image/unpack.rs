//! Turns a layer's stream into a directory that overlayfs can mount, in one pass.
//!
//! ```text
//!  compressed bytes ─▶ hash, size ─▶ gzip/zstd/plain ─▶ limits, hash (diff id) ─▶ tar entries ─▶ Tree (openat2, beneath)
//! ```
//!
//! The stream is hostile until both hashes are checked, and the tree is somebody else's even then. Nothing outside the
//! layer's directory can be reached: every name is resolved by the kernel beneath that directory.

mod decode;
pub(super) mod entry;
mod fault;
mod limit;
mod name;
mod pax;
mod tree;

use std::io::{self, Read};
use std::os::fd::OwnedFd;

use tar::EntryType;

use super::digest::{Digest, Hashing};
use entry::{Entries, Entry};
pub(super) use fault::{Fault, INTERRUPTED, Unpacked};
pub use limit::Limits;
use limit::Meter;
use name::Name;
use tree::Tree;

/// What a layer must turn out to be.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// Of the bytes as they are transferred.
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// Of the tar stream inside.
    pub(super) diff_id: Digest,
}

/// Unpacks `stream` into the empty directory `root`; entries that are replaced are moved to `trash`.
///
/// What is in `root` may be used only when this returns without an error.
pub(super) fn unpack(stream: impl Read, expected: &Expected, limits: &Limits, root: OwnedFd, trash: OwnedFd) -> Unpacked {
    let mut compressed = limit::Declared::new(Hashing::new(stream), expected.size);
    let diff_id = {
        let decoded = decode::open(&mut compressed)?;
        let mut entries = Entries::new(Hashing::new(Meter::new(decoded, limits)));
        let mut tree = Tree::new(root, trash);
        while let Some(entry) = entries.next_entry()? {
            entries.count_apparent(entry.size)?;
            add(&mut tree, &entry, &mut entries)?;
        }
        tree.finish();
        let mut rest = entries.into_inner();
        drain(&mut rest)?;
        rest.digest()
    };
    drain(&mut compressed)?;
    let (digest, size) = compressed.finish();
    check("size", &expected.size, &size)?;
    check("digest", &expected.digest, &digest)?;
    check("digest of its content", &expected.diff_id, &diff_id)
}

/// Padding after the archive's end belongs to both hashes.
fn drain(reader: &mut impl Read) -> Unpacked {
    io::copy(reader, &mut io::sink()).map(drop).map_err(Fault::from)
}

fn check<T: PartialEq + std::fmt::Display>(what: &str, expected: &T, found: &T) -> Unpacked {
    if expected == found { Ok(()) } else { Err(Fault::hostile(format!("its {what} is {found}, not {expected}"))) }
}

/// Names that start like this say what the layers below lose.
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Names that AUFS kept for itself.
const AUFS: &[u8] = b".wh..wh.";

fn add<R: Read>(tree: &mut Tree, entry: &Entry, data: &mut R) -> Unpacked {
    let path = Name::parse(&entry.path)?;
    let attributes = &entry.attributes;
    let Some((parent, last)) = path.split() else {
        return if entry.kind == EntryType::Directory {
            tree.root(attributes)
        } else {
            Err(path.hostile("only a directory can be the root"))
        };
    };
    if last == OPAQUE {
        return tree.opaque(parent);
    }
    if last.starts_with(AUFS) {
        return Ok(());
    }
    if let Some(hidden) = last.strip_prefix(WHITEOUT) {
        return if matches!(hidden, b"" | b"." | b"..") {
            Err(path.hostile("a whiteout of nothing"))
        } else {
            tree.whiteout(parent, hidden)
        };
    }
    match entry.kind {
        EntryType::Regular | EntryType::Continuous => tree.file(&path, attributes, data),
        EntryType::Directory => tree.directory(&path, attributes),
        EntryType::Symlink => tree.symlink(&path, entry.link()?, attributes),
        EntryType::Link => tree.hard_link(&path, &Name::parse(entry.link()?)?),
        EntryType::Fifo => tree.fifo(&path, attributes),
        // A container's devices are made by the runtime; those of an image would be the host's.
        EntryType::Char | EntryType::Block => {
            tracing::debug!(path = %path, "device node of an image skipped");
            Ok(())
        }
        other => Err(path.hostile(&format!("entries of type {:?} are not supported", char::from(other.as_byte())))),
    }
}
