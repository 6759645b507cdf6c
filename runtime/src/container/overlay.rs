//! The root of a container: its image's layers, with a writable directory of its own on top.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the image has no layer")]
    NoLayer,
    #[error("mount the container's root: {act}: {source}{log}")]
    Mount { act: &'static str, log: String, source: Errno },
}

/// The directories an overlay is made of, all absolute.
pub(crate) struct Overlay<'a> {
    /// The top one first.
    pub layers: &'a [PathBuf],
    pub upper: &'a Path,
    pub work: &'a Path,
}

impl Overlay<'_> {
    /// Mounts it at `target`.
    pub(crate) fn mount(&self, target: &Path) -> Result<(), Error> {
        if self.layers.is_empty() {
            return Err(Error::NoLayer);
        }
        match self.configure() {
            Ok(mount) => {
                let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                rustix::mount::move_mount(&mount, "", CWD, target, flags).map_err(failed("put it in its place"))
            }
            // `lowerdir+` came with Linux 6.5. Before, some kernels refuse it at once, others only when all is to be made.
            Err(Error::Mount { act: LAYER | MAKE, source: Errno::INVAL | Errno::NOSYS, .. }) => self.mount_with_options(target),
            Err(error) => Err(error),
        }
    }

    /// Gives the layers one by one, so that their number is not bounded by the length of one text.
    fn configure(&self) -> Result<OwnedFd, Error> {
        let overlay = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("open overlayfs"))?;
        let set = |act, key, value: &Path| {
            rustix::mount::fsconfig_set_string(overlay.as_fd(), key, value).map_err(|errno| logged(act, errno, overlay.as_fd()))
        };
        self.layers.iter().try_for_each(|layer| set(LAYER, "lowerdir+", layer))?;
        set("set its upper directory", "upperdir", self.upper)?;
        set("set its work directory", "workdir", self.work)?;
        rustix::mount::fsconfig_create(overlay.as_fd()).map_err(|errno| logged(MAKE, errno, overlay.as_fd()))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        rustix::mount::fsmount(overlay.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(failed("mount it"))
    }

    /// The way of older kernels: all in one text of at most 4 KiB.
    fn mount_with_options(&self, target: &Path) -> Result<(), Error> {
        let lower = self.layers.iter().map(|layer| escape(layer)).collect::<Vec<_>>().join(&b':');
        let parts: [&[u8]; 6] = [b"lowerdir=", &lower, b",upperdir=", &escape(self.upper), b",workdir=", &escape(self.work)];
        let options = CString::new(parts.concat()).map_err(|_| failed("set its options")(Errno::INVAL))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("overlay", target, "overlay", flags, options.as_c_str()).map_err(failed("mount it with options"))
    }
}

const LAYER: &str = "add a layer";
const MAKE: &str = "make it";

/// Writes a backslash before what overlayfs would take for the end of a path.
fn escape(path: &Path) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b'\\' | b':' | b',') {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

fn failed(act: &'static str) -> impl FnOnce(Errno) -> Error {
    move |source| Error::Mount { act, log: String::new(), source }
}

/// Adds what the kernel says about it.
fn logged(act: &'static str, source: Errno, overlay: BorrowedFd<'_>) -> Error {
    let mut line = [0; 256];
    let log = match rustix::io::read(overlay, &mut line) {
        Ok(length) if length > 0 => format!(" ({})", String::from_utf8_lossy(&line[..length]).trim()),
        _ => String::new(),
    };
    Error::Mount { act, log, source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::mount::MountPropagationFlags;
    use rustix::thread::UnshareFlags;

    use super::*;

    /// Mounts two layers in a mount namespace of its own, in one text or layer by layer, and returns what is seen there. Needs root.
    fn seen(by_options: bool) -> (String, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["top:layer", "bottom,layer", "upper", "work", "root"] {
            fs::create_dir(path(name)).unwrap();
        }
        fs::write(path("top:layer").join("both"), "top").unwrap();
        fs::write(path("bottom,layer").join("both"), "bottom").unwrap();
        fs::write(path("bottom,layer").join("below"), "bottom").unwrap();
        std::thread::scope(|scope| {
            let mounted = scope.spawn(|| {
                // SAFETY: only the mount namespace (and with it the working directory) of this thread is its own.
                unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
                rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
                let layers = [path("top:layer"), path("bottom,layer")];
                let overlay = Overlay { layers: &layers, upper: &path("upper"), work: &path("work") };
                let root = path("root");
                if by_options { overlay.mount_with_options(&root) } else { overlay.mount(&root) }.unwrap();
                fs::write(path("root").join("new"), "").unwrap();
                let read = |name: &str| fs::read_to_string(path("root").join(name)).unwrap();
                (read("both"), read("below"))
            });
            let seen = mounted.join().unwrap();
            assert!(path("upper").join("new").exists());
            seen
        })
    }

    #[test]
    fn upper_layers_hide_lower_ones_by_either_way_of_mounting() {
        let expected = ("top".to_owned(), "bottom".to_owned());
        assert_eq!(seen(false), expected);
        assert_eq!(seen(true), expected);
    }
}
