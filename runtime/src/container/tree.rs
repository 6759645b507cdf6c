//! Removes a directory whatever a hostile container left in it.
//!
//! The usual way descends: a tree 100,000 directories deep exhausts its file handles or its stack. This one flattens: what
//! is in a directory below moves up to the top, so that two levels are all it ever looks at.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Most names held at a time: a container can make more entries, and longer names, than this process has memory for.
const NAMES: usize = 4096;

/// Removes the directory `path` and all below it; follows no symbolic link. Does nothing where there is none.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP) => return std::fs::remove_file(path),
        top => top?,
    };
    let mut moved = 0u64;
    while empty_once(top.as_fd(), &mut moved)? {}
    std::fs::remove_dir(path)
}

/// Removes entries, with the entries of directories moved up; returns whether anything was found.
fn empty_once(top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<bool> {
    let mut found = false;
    for_each(top, |name| {
        found = true;
        if !unlinked(top, name)? {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below = rustix::fs::openat(top, name, flags, Mode::empty())?;
            for_each(below.as_fd(), |inner| {
                if !unlinked(below.as_fd(), inner)? {
                    *moved += 1;
                    move_up(below.as_fd(), inner, top, moved)?;
                }
                Ok(())
            })?;
            ignore(Errno::NOTEMPTY, rustix::fs::unlinkat(top, name, AtFlags::REMOVEDIR))?;
        }
        Ok(())
    })?;
    Ok(found)
}

fn move_up(from: BorrowedFd<'_>, name: &CStr, top: BorrowedFd<'_>, moved: &mut u64) -> io::Result<()> {
    loop {
        match rustix::fs::renameat(from, name, top, format!(".removed-{moved}")) {
            // The container chose this very name.
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => *moved += 1,
            other => return Ok(other?),
        }
    }
}

/// Removes `name` unless it is a directory; returns whether it is gone.
fn unlinked(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR | Errno::PERM) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Acts on the first [`NAMES`] entries of a directory.
fn for_each(dir: BorrowedFd<'_>, mut act: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_type() != FileType::Directory || (entry.file_name() != c"." && entry.file_name() != c"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == NAMES {
            break;
        }
    }
    names.iter().try_for_each(|name| act(name))
}

fn ignore(errno: Errno, result: Result<(), Errno>) -> io::Result<()> {
    match result {
        Err(error) if error != errno => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_deeper_than_any_path_is_removed_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let canary = dir.path().join("canary");
        std::fs::write(&canary, "alive").unwrap();
        let target = dir.path().join("target");
        std::fs::create_dir_all(target.join(".removed-1/full")).unwrap();
        std::os::unix::fs::symlink(dir.path(), target.join("up")).unwrap();

        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut deep = rustix::fs::open(&target, flags, Mode::empty()).unwrap();
        for _ in 0..2200 {
            rustix::fs::mkdirat(&deep, "d", Mode::RWXU).unwrap();
            deep = rustix::fs::openat(&deep, "d", flags, Mode::empty()).unwrap();
        }
        remove(&target).unwrap();
        assert!(!target.exists());
        assert_eq!(std::fs::read_to_string(canary).unwrap(), "alive");
        remove(&target).unwrap();
    }

    #[test]
    fn a_directory_of_any_size_is_removed_a_handful_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        std::fs::create_dir_all(target.join("below")).unwrap();
        for number in 0..=NAMES {
            std::fs::write(target.join(number.to_string()), "").unwrap();
            std::fs::create_dir(target.join("below").join(number.to_string())).unwrap();
        }
        let mut seen = 0;
        let count = |_: &CStr| {
            seen += 1;
            Ok(())
        };
        for_each(std::fs::File::open(&target).unwrap().as_fd(), count).unwrap();
        assert_eq!(seen, NAMES);
        remove(&target).unwrap();
        assert!(!target.exists());
    }
}
