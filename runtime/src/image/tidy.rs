//! Removing trees of any shape.

use std::os::fd::OwnedFd;

use rustix::fs::{self, AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes all that is in `directory`.
///
/// A layer can nest directories deeper than any stack or number of open files allows, so subdirectories are lifted up to
/// `directory` one by one instead of being descended into.
pub(super) fn clear(directory: &OwnedFd) -> Result<(), Errno> {
    let mut lifted = 0;
    loop {
        let names = names(directory)?;
        if names.is_empty() {
            return Ok(());
        }
        for name in names {
            if let Err(Errno::ISDIR) = fs::unlinkat(directory, &name, AtFlags::empty()) {
                lift_children(directory, &name, &mut lifted)?;
                fs::unlinkat(directory, &name, AtFlags::REMOVEDIR)?;
            }
        }
    }
}

/// Removes a directory's files and moves its subdirectories up.
fn lift_children(directory: &OwnedFd, name: &[u8], lifted: &mut u64) -> Result<(), Errno> {
    let inner = fs::openat(directory, name, DIRECTORY, Mode::empty())?;
    loop {
        let names = names(&inner)?;
        if names.is_empty() {
            return Ok(());
        }
        for child in names {
            match fs::unlinkat(&inner, &child, AtFlags::empty()) {
                Err(Errno::ISDIR) => lift(&inner, &child, directory, lifted)?,
                removed => removed?,
            }
        }
    }
}

fn lift(from: &OwnedFd, name: &[u8], to: &OwnedFd, lifted: &mut u64) -> Result<(), Errno> {
    loop {
        *lifted += 1;
        match fs::renameat_with(from, name, to, format!(".lifted-{lifted}"), fs::RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            moved => return moved,
        }
    }
}

/// Names read in one pass: bounds the memory, and tolerates what the directory's changes do to its order.
const NAMES_MAX: usize = 10_000;

fn names(directory: &OwnedFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
        if names.len() == NAMES_MAX {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_tree_deeper_than_any_stack_is_removed_and_links_are_not_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let kept = temporary.path().join("kept");
        std::fs::write(&kept, "x").unwrap();
        let top = temporary.path().join("top");
        std::fs::create_dir(&top).unwrap();
        let root = fs::open(&top, DIRECTORY, Mode::empty()).unwrap();
        let mut at = root.try_clone().unwrap();
        for _ in 0..20_000 {
            fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = fs::openat(&at, "d", DIRECTORY, Mode::empty()).unwrap();
        }
        symlink(&kept, top.join("link")).unwrap();
        symlink(temporary.path(), top.join(".lifted-1")).unwrap();
        clear(&root).unwrap();
        assert!(std::fs::read_dir(&top).unwrap().next().is_none());
        assert!(kept.exists());
    }
}
