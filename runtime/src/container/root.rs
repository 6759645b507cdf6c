//! The root directory of a container before it runs, as hostile ground: every path in it is the image's choice.
//!
//! All access goes by `openat2` with the root as its limit: a symbolic link is followed as the container would see it, and
//! never out of it.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Longest passwd or group file that is read.
const FILE_BYTES: u64 = 4 << 20;

/// Most symbolic links followed on one path, as in the kernel.
const LINKS: u32 = 40;

/// Directories that become mounts of the kernel's: nothing is put there, and nothing runs in there.
const KERNEL: [&str; 3] = ["dev", "proc", "sys"];

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the image's /{0} is not a directory of its own; refused")]
    NotADirectory(String),
    #[error("working directory {0} leads into /dev, /proc or /sys; refused")]
    Workdir(PathBuf),
    #[error("working directory {0} follows too many symbolic links")]
    Links(PathBuf),
    #[error("{act} /{path} in the container's root: {source}")]
    Io { act: &'static str, path: String, source: Errno },
}

pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(path: &Path) -> Result<Root, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(Root).map_err(io("open", ""))
    }

    /// Refuses a root in which one of the kernel's directories would be mounted somewhere else.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for name in KERNEL {
            match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {}
                Err(Errno::NOENT) => {}
                Ok(_) => return Err(Error::NotADirectory(name.to_owned())),
                Err(error) => return Err(io("look at", name)(error)),
            }
        }
        Ok(())
    }

    /// Returns the content of a file, nothing where there is none or where it is no plain file.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        // Without waiting: it may be a pipe that nobody writes to.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match self.resolve(path, flags) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(vec![]),
            file => std::fs::File::from(file.map_err(io("open", path))?),
        };
        let mut content = Vec::new();
        if file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            let read = file.take(FILE_BYTES).read_to_end(&mut content);
            read.map_err(|error| io("read", path)(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
        }
        Ok(content)
    }

    /// Puts a file into `/etc`, in place of what has its name there.
    pub(crate) fn write_etc(&self, name: &str, content: &str) -> Result<(), Error> {
        let path = format!("etc/{name}");
        let fail = |act| io(act, &path);
        match rustix::fs::mkdirat(&self.0, "etc", Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(fail("make the directory of")(error)),
        }
        let etc = self.resolve("etc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC).map_err(fail("find"))?;
        match rustix::fs::unlinkat(&etc, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(fail("replace")(error)),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(etc, name, flags, Mode::from_raw_mode(0o644)).map_err(fail("create"))?;
        let written = std::fs::File::from(file).write_all(content.as_bytes());
        written.map_err(|error| fail("write")(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
    }

    /// Makes the working directory where it is missing, and returns its path with all symbolic links followed.
    ///
    /// Nothing is mounted in this root yet. So a link into `/proc`, by which a process could step out through one of its
    /// open files (CVE-2024-21626), is recognised by where it leads and not by what is there.
    pub(crate) fn workdir(&self, workdir: &str) -> Result<PathBuf, Error> {
        let wanted = Path::new(workdir);
        let mut todo: Vec<String> = parts(wanted).rev().collect();
        let (mut here, mut links) = (PathBuf::from("/"), 0);
        while let Some(part) = todo.pop() {
            if part == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&part);
            if next.strip_prefix("/").is_ok_and(|path| KERNEL.iter().any(|kernel| path.starts_with(kernel))) {
                return Err(Error::Workdir(wanted.to_owned()));
            }
            match self.step(&next)? {
                Step::Directory => here = next,
                Step::Link(target) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Error::Links(wanted.to_owned()));
                    }
                    if target.is_absolute() {
                        here = PathBuf::from("/");
                    }
                    todo.extend(parts(&target).rev());
                }
            }
        }
        Ok(here)
    }

    fn step(&self, path: &Path) -> Result<Step, Error> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let name = relative.display().to_string();
        match rustix::fs::mkdirat(&self.0, relative, Mode::from_raw_mode(0o755)) {
            Ok(()) => return Ok(Step::Directory),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(io("make the directory", &name)(error)),
        }
        let stat = rustix::fs::statat(&self.0, relative, AtFlags::SYMLINK_NOFOLLOW).map_err(io("look at", &name))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Ok(Step::Directory),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&self.0, relative, vec![]).map_err(io("read the link", &name))?;
                Ok(Step::Link(PathBuf::from(target.to_string_lossy().into_owned())))
            }
            _ => Err(Error::NotADirectory(name)),
        }
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let limits = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(self.0.as_fd(), path, flags, Mode::empty(), limits)
    }
}

enum Step {
    Directory,
    Link(PathBuf),
}

fn parts(path: &Path) -> impl DoubleEndedIterator<Item = String> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        Component::ParentDir => Some("..".to_owned()),
        _ => None,
    })
}

fn io(act: &'static str, path: &str) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { act, path, source }
}

/// Returns a file's content as text, whatever is in it.
pub(crate) fn text(content: Vec<u8>) -> String {
    String::from_utf8(content).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    struct Image {
        _dir: tempfile::TempDir,
        path: PathBuf,
        outside: PathBuf,
        root: Root,
    }

    fn image() -> Image {
        let dir = tempfile::tempdir().unwrap();
        let (path, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir(&path).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("canary"), "alive").unwrap();
        let root = Root::open(&path).unwrap();
        Image { _dir: dir, path, outside, root }
    }

    #[test]
    fn links_in_place_of_the_kernels_directories_are_refused() {
        for name in KERNEL {
            let image = image();
            image.root.check().unwrap();
            symlink(&image.outside, image.path.join(name)).unwrap();
            assert_eq!(
                image.root.check().unwrap_err().to_string(),
                format!("the image's /{name} is not a directory of its own; refused")
            );
        }
    }

    #[test]
    fn files_are_read_inside_the_root_only() {
        let image = image();
        symlink(image.outside.join("canary"), image.path.join("absolute")).unwrap();
        symlink("../outside/canary", image.path.join("relative")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, image.path.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        for name in ["absolute", "relative", "missing", "pipe", "missing/x"] {
            assert_eq!(image.root.read(name).unwrap(), b"", "{name}");
        }
        fs::write(image.path.join("real"), "text").unwrap();
        symlink("/real", image.path.join("inside")).unwrap();
        assert_eq!(image.root.read("inside").unwrap(), b"text");
    }

    #[test]
    fn files_in_etc_replace_links_instead_of_following_them() {
        let image = image();
        fs::create_dir(image.path.join("etc")).unwrap();
        symlink(image.outside.join("canary"), image.path.join("etc/hosts")).unwrap();
        image.root.write_etc("hosts", "127.0.0.1 localhost\n").unwrap();
        image.root.write_etc("hosts", "again\n").unwrap();
        assert_eq!(fs::read_to_string(image.path.join("etc/hosts")).unwrap(), "again\n");
        assert_eq!(fs::read_to_string(image.outside.join("canary")).unwrap(), "alive");

        fs::remove_dir_all(image.path.join("etc")).unwrap();
        symlink(&image.outside, image.path.join("etc")).unwrap();
        image.root.write_etc("hosts", "x").unwrap_err();
        assert_eq!(fs::read_dir(&image.outside).unwrap().count(), 1);
    }

    #[test]
    fn a_working_directory_is_made_and_its_links_are_followed_inside() {
        let image = image();
        assert_eq!(image.root.workdir("/srv/app/../data").unwrap(), Path::new("/srv/data"));
        assert!(image.path.join("srv/data").is_dir() && image.path.join("srv/app").is_dir());
        assert_eq!(image.root.workdir("").unwrap(), Path::new("/"));
        symlink("/var/lib", image.path.join("lib")).unwrap();
        assert_eq!(image.root.workdir("/lib/app").unwrap(), Path::new("/var/lib/app"));
        symlink("../../../outside", image.path.join("up")).unwrap();
        assert_eq!(image.root.workdir("/up/new").unwrap(), Path::new("/outside/new"));
        assert_eq!(fs::read_dir(&image.outside).unwrap().count(), 1);
    }

    #[test]
    fn a_working_directory_in_the_kernels_file_systems_is_refused() {
        let image = image();
        symlink("/proc/self/fd/7", image.path.join("handle")).unwrap();
        symlink("handle", image.path.join("indirect")).unwrap();
        symlink("loop", image.path.join("loop")).unwrap();
        fs::write(image.path.join("file"), "").unwrap();
        for workdir in ["/proc/self/fd/7", "/handle", "/indirect/x", "/a/../proc/1/cwd", "/dev/fd/3", "/sys", "/loop", "/file/x"]
        {
            assert!(image.root.workdir(workdir).is_err(), "{workdir}");
        }
        assert_eq!(image.root.workdir("/process").unwrap(), Path::new("/process"));
    }
}
