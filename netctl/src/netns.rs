//! Network namespaces: entering one on a thread, and pins, the files that keep one alive and give it a name.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use rustix::mount::{self, MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// The network namespace of the calling thread.
const OWN: &str = "/proc/thread-self/ns/net";

/// `NSFS_MAGIC` of linux/magic.h: the file system of namespace files.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// Moves the calling thread into the network namespace pinned at `path`.
///
/// The thread stays there: use a thread of your own, never one of a runtime's.
pub fn enter(path: &Path) -> io::Result<()> {
    enter_file(&File::open(path)?)
}

/// Runs `f` on a throw-away thread inside the network namespace pinned at `path`, and waits for it.
///
/// # Errors
/// When there is no such namespace, no thread can be made, or `f` panicked.
pub fn in_netns<T: Send>(path: &Path, f: impl FnOnce() -> T + Send) -> io::Result<T> {
    let pin = File::open(path)?;
    std::thread::scope(|scope| {
        let body = || {
            enter_file(&pin)?;
            Ok(f())
        };
        let thread = std::thread::Builder::new().name("in-netns".into()).spawn_scoped(scope, body)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the function panicked")))
    })
}

pub(crate) fn enter_file(namespace: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}

/// Opens the network namespace of the calling thread.
pub(crate) fn own() -> io::Result<File> {
    File::open(OWN)
}

/// Moves the calling thread into a new, empty network namespace.
pub(crate) fn enter_new() -> io::Result<()> {
    // SAFETY: only the network namespace is left, which changes no memory, no file descriptor and no other thread.
    Ok(unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?)
}

/// Opens the namespace pinned at `path`; `None` when there is no file, or one that pins nothing.
pub(crate) fn open_pin(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(is_namespace(&file)?.then_some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Moves the calling thread into the namespace pinned at `path`, and makes namespace and pin first if need be.
pub(crate) fn ensure_pin(path: &Path) -> io::Result<File> {
    if let Some(pin) = open_pin(path)? {
        enter_file(&pin)?;
        return Ok(pin);
    }
    OpenOptions::new().create(true).append(true).open(path)?;
    enter_new()?;
    mount::mount_bind(OWN, path)?;
    own()
}

/// Unmounts and unlinks the pin at `path`; the namespace goes when its last process does.
pub(crate) fn remove_pin(path: &Path) -> io::Result<()> {
    loop {
        match mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // Once more: pins of two crashed attempts may lie on top of each other.
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes `directory` a mount point whose mounts and unmounts reach every other mount namespace, as iproute2 does.
///
/// Otherwise a pin unmounted here would live on in the mount namespaces of containers, and its file could not be removed.
pub(crate) fn share_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    match mount::mount_change(directory, MountPropagationFlags::SHARED) {
        Err(Errno::INVAL) => {
            mount::mount_bind_recursive(directory, directory)?;
            // Out of its parent's peer group first, or each pin would appear a second time below this mount.
            mount::mount_change(directory, MountPropagationFlags::PRIVATE)?;
            Ok(mount::mount_change(directory, MountPropagationFlags::SHARED)?)
        }
        result => Ok(result?),
    }
}

/// Takes away what [`share_directory`] mounted.
pub(crate) fn unshare_directory(directory: &Path) -> io::Result<()> {
    match mount::unmount(directory, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_namespace(file: &File) -> io::Result<bool> {
    Ok(rustix::fs::fstatfs(file)?.f_type as u64 == NSFS_MAGIC)
}
