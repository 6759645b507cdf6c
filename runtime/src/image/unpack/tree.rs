//! A layer's directory, written entry by entry.
//!
//! Parents are opened by `openat2` beneath the directory, so that a symlink of the layer leads nowhere else; the last part
//! of a name is never followed. Only this code writes there meanwhile.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::entry::Attributes;
use super::fault::{Fault, Unpacked};
use super::name::{Name, Quoted};

pub(super) struct Tree {
    root: OwnedFd,
    trash: OwnedFd,
    trashed: u64,
    /// The parent used last: entries of one directory follow each other.
    parent: Option<(Vec<u8>, Rc<OwnedFd>)>,
    /// Times of directories, set at the end because making entries changes them.
    times: Vec<(Vec<u8>, (i64, u32))>,
    times_bytes: usize,
    buffer: Box<[u8]>,
}

/// Memory for directories' names. A layer with more than that keeps the time of unpacking on the rest.
const TIMES_BYTES_MAX: usize = 64 << 20;
/// What is written at once.
const BUFFER_BYTES: usize = 128 << 10;
/// Tries when a rename elsewhere on the host disturbs the resolution of a name with `..` in a symlink.
const RESOLVE_TRIES: u32 = 100;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const NEW_FILE: OFlags = OFlags::WRONLY.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
/// For the last part of a name.
const HERE: ResolveFlags = BENEATH.union(ResolveFlags::NO_SYMLINKS);
/// Mode of directories that a layer needs but does not list.
const IMPLIED: Mode = Mode::from_raw_mode(0o755);

impl Tree {
    pub(super) fn new(root: OwnedFd, trash: OwnedFd) -> Tree {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Tree { root, trash, trashed: 0, parent: None, times: Vec::new(), times_bytes: 0, buffer }
    }

    /// Sets the attributes of the layer's own directory.
    pub(super) fn root(&mut self, attributes: &Attributes) -> Unpacked {
        self.remember_time(b".", attributes.mtime);
        set_attributes(&self.root, &".", attributes)
    }

    pub(super) fn file(&mut self, name: &Name, attributes: &Attributes, data: &mut impl Read) -> Unpacked {
        let (_, fd) = self.make(name, "create", |parent, last| resolve(parent, last, NEW_FILE, Mode::RUSR | Mode::WUSR, HERE))?;
        let mut file = File::from(fd);
        loop {
            match data.read(&mut self.buffer)? {
                0 => break,
                read => file.write_all(&self.buffer[..read]).map_err(|error| Fault::Disk("write a file of a layer", error))?,
            }
        }
        set_attributes(&file, name, attributes)?;
        fs::futimens(&file, &times(attributes.mtime)).map_err(|error| Fault::of("set the time of", name, error))
    }

    pub(super) fn directory(&mut self, name: &Name, attributes: &Attributes) -> Unpacked {
        let (parent, last) = self.locate(name)?;
        let make = || fs::mkdirat(&parent, last, Mode::RWXU);
        let mut hides = false;
        let made = match make() {
            Err(Errno::EXIST) if kind(&parent, last) == Some(FileType::Directory) => Ok(()),
            Err(Errno::EXIST) => {
                hides = kind(&parent, last) == Some(FileType::CharacterDevice);
                self.discard(&parent, last)?;
                make()
            }
            made => made,
        };
        made.map_err(|error| Fault::of("make directory", name, error))?;
        let fd =
            resolve(&parent, last, DIRECTORY, Mode::empty(), HERE).map_err(|error| Fault::of("open directory", name, error))?;
        if hides {
            set_opaque(&fd, name)?;
        }
        self.remember_time(name.as_bytes(), attributes.mtime);
        set_attributes(&fd, name, attributes)
    }

    pub(super) fn symlink(&mut self, name: &Name, target: &[u8], attributes: &Attributes) -> Unpacked {
        let (parent, ()) = self.make(name, "make symlink", |parent, last| fs::symlinkat(target, parent, last))?;
        set_attributes_at(&parent, name, attributes)
    }

    /// Links to a file of the same layer.
    pub(super) fn hard_link(&mut self, name: &Name, target: &Name) -> Unpacked {
        let (target_parent, target_last) = target.split().ok_or_else(|| name.hostile("a hard link to the root"))?;
        let source = self.open(target_parent).map_err(|error| Fault::of("find hard link's target", target, error))?;
        let link = |parent: &OwnedFd, last: &[u8]| match fs::linkat(&source, target_last, parent, last, AtFlags::empty()) {
            // Links to directories.
            Err(Errno::PERM) => Err(Errno::ISDIR),
            linked => linked,
        };
        self.make(name, "make hard link", link).map(drop)
    }

    pub(super) fn fifo(&mut self, name: &Name, attributes: &Attributes) -> Unpacked {
        let mode = Mode::from_raw_mode(attributes.mode);
        let (parent, ()) = self.make(name, "make fifo", |parent, last| {
            fs::mknodat(parent, last, FileType::Fifo, Mode::empty(), 0)?;
            fs::chmodat(parent, last, mode, AtFlags::empty())
        })?;
        set_attributes_at(&parent, name, attributes)
    }

    /// Hides a name of the layers below: overlayfs takes a device 0:0 for that.
    ///
    /// What this layer itself has by that name stays (image-spec `layer.md`, "Whiteouts").
    pub(super) fn whiteout(&mut self, parent: &[u8], hidden: &[u8]) -> Unpacked {
        let directory = self.parent(parent)?;
        match fs::mknodat(&directory, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Err(Errno::EXIST) if kind(&directory, hidden) == Some(FileType::Directory) => {
                let fd = resolve(&directory, hidden, DIRECTORY, Mode::empty(), HERE)
                    .map_err(|error| Fault::of("open directory", &Quoted(hidden), error))?;
                set_opaque(&fd, &Quoted(hidden))
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(Fault::of("make the whiteout of", &Quoted(hidden), error)),
        }
    }

    /// Hides all that the layers below have in a directory.
    pub(super) fn opaque(&mut self, directory: &[u8]) -> Unpacked {
        let fd = self.parent(directory)?;
        set_opaque(&fd, &Quoted(directory))
    }

    /// Sets directories' times; those that are gone by now need none.
    pub(super) fn finish(&mut self) {
        for (name, time) in std::mem::take(&mut self.times) {
            if let Ok(fd) = resolve(&self.root, &name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty(), BENEATH) {
                let _ = fs::futimens(fd, &times(time));
            }
        }
    }

    /// Makes the last part of a name in its parent, in place of whatever has that name.
    fn make<T>(
        &mut self,
        name: &Name,
        action: &'static str,
        make: impl Fn(&OwnedFd, &[u8]) -> Result<T, Errno>,
    ) -> Unpacked<(Rc<OwnedFd>, T)> {
        let (parent, last) = self.locate(name)?;
        let made = match make(&parent, last) {
            Err(Errno::EXIST) => {
                self.discard(&parent, last)?;
                make(&parent, last)
            }
            made => made,
        };
        made.map(|made| (parent, made)).map_err(|error| Fault::of(action, name, error))
    }

    fn locate<'a>(&mut self, name: &'a Name) -> Unpacked<(Rc<OwnedFd>, &'a [u8])> {
        let (parent, last) = name.split().ok_or_else(|| name.hostile("only a directory can be the root"))?;
        Ok((self.parent(parent)?, last))
    }

    /// Opens a directory of the layer, and makes it when the layer did not list it.
    fn parent(&mut self, path: &[u8]) -> Unpacked<Rc<OwnedFd>> {
        if let Some((_, fd)) = self.parent.as_ref().filter(|(cached, _)| cached == path) {
            return Ok(Rc::clone(fd));
        }
        let opened = match self.open(path) {
            Err(Errno::NOENT) => self.make_parents(path),
            opened => opened,
        };
        let fd = Rc::new(opened.map_err(|error| Fault::of("enter directory", &Quoted(path), error))?);
        self.parent = Some((path.to_vec(), Rc::clone(&fd)));
        Ok(fd)
    }

    fn open(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        resolve(&self.root, if path.is_empty() { b"." } else { path }, DIRECTORY, Mode::empty(), BENEATH)
    }

    fn make_parents(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        let mut directory = self.open(b"")?;
        let mut start = 0;
        for part in path.split(|&byte| byte == b'/') {
            let prefix = &path[..start + part.len()];
            start = prefix.len() + 1;
            directory = match self.open(prefix) {
                Err(Errno::NOENT) => {
                    fs::mkdirat(&directory, part, IMPLIED)?;
                    let made = self.open(prefix)?;
                    fs::fchmod(&made, IMPLIED)?;
                    made
                }
                opened => opened?,
            };
        }
        Ok(directory)
    }

    /// Takes a name out of the tree; whole directories at once.
    fn discard(&mut self, parent: &OwnedFd, last: &[u8]) -> Unpacked {
        self.parent = None;
        let removed = match fs::unlinkat(parent, last, AtFlags::empty()) {
            Err(Errno::ISDIR) => {
                self.trashed += 1;
                fs::renameat(parent, last, &self.trash, self.trashed.to_string())
            }
            removed => removed,
        };
        removed.map_err(|error| Fault::of("replace", &Quoted(last), error))
    }

    fn remember_time(&mut self, name: &[u8], time: (i64, u32)) {
        self.times_bytes += name.len() + size_of::<(Vec<u8>, (i64, u32))>();
        if self.times_bytes < TIMES_BYTES_MAX {
            self.times.push((name.to_vec(), time));
        }
    }
}

/// Opens a name beneath a directory.
fn resolve(directory: &OwnedFd, name: &[u8], flags: OFlags, mode: Mode, how: ResolveFlags) -> Result<OwnedFd, Errno> {
    for _ in 1..RESOLVE_TRIES {
        match fs::openat2(directory, name, flags, mode, how) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            opened => return opened,
        }
    }
    fs::openat2(directory, name, flags, mode, how)
}

fn kind(parent: &OwnedFd, last: &[u8]) -> Option<FileType> {
    let stat = fs::statat(parent, last, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

/// Owner first: changing it drops set-uid bits and capabilities.
fn set_attributes(fd: impl AsFd, name: &dyn std::fmt::Display, attributes: &Attributes) -> Unpacked {
    let fd = fd.as_fd();
    fs::fchown(fd, Some(Uid::from_raw(attributes.uid)), Some(Gid::from_raw(attributes.gid)))
        .map_err(|error| Fault::of("set the owner of", name, error))?;
    for (key, value) in attributes.xattrs.iter().filter(|(key, _)| is_kept(key)) {
        fs::fsetxattr(fd, key.as_slice(), value, XattrFlags::empty())
            .map_err(|error| Fault::of("set extended attribute", &Quoted(key), error))?;
    }
    fs::fchmod(fd, Mode::from_raw_mode(attributes.mode)).map_err(|error| Fault::of("set the mode of", name, error))
}

/// For what cannot be opened, or need not: owner and time, by name.
fn set_attributes_at(parent: &OwnedFd, name: &Name, attributes: &Attributes) -> Unpacked {
    let Some((_, last)) = name.split() else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(attributes.uid), Gid::from_raw(attributes.gid));
    fs::chownat(parent, last, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .and_then(|()| fs::utimensat(parent, last, &times(attributes.mtime), AtFlags::SYMLINK_NOFOLLOW))
        .map_err(|error| Fault::of("set the owner and time of", name, error))
}

/// Attributes that mean something to overlayfs or to a security module would be instructions to the host.
fn is_kept(key: &[u8]) -> bool {
    key == b"security.capability" || (key.starts_with(b"user.") && !key.starts_with(b"user.overlay."))
}

fn set_opaque(fd: &OwnedFd, name: &dyn std::fmt::Display) -> Unpacked {
    fs::fsetxattr(fd, "trusted.overlay.opaque", b"y", XattrFlags::empty()).map_err(|error| Fault::of("make opaque", name, error))
}

fn times((seconds, nanos): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
