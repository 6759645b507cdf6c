//! Puts a new text into a file in one step: who reads it meanwhile sees the old one or the new one, and nothing in between.

use std::ffi::CStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Gid, Uid, XattrFlags, fchown, fgetxattr, flistxattr, fsetxattr};

/// Most bytes of a file's extended attributes' names, and of one's value (xattr(7)).
const XATTR_MAX: usize = 64 << 10;

/// Replaces the text of a file that exists. Its mode, owner and attributes stay, and a symbolic link to it stays a link.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file)?;
    let metadata = fs::metadata(&file)?;
    replaceable(&metadata)?;
    // Only who may write to the file may put another in its place.
    let old = File::options().read(true).write(true).open(&file)?;
    let folder = file.parent().ok_or(io::ErrorKind::IsADirectory)?;
    let mut new = tempfile::Builder::new().prefix(".stead-").tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    let own = new.as_file().metadata()?;
    if (own.uid(), own.gid()) != (metadata.uid(), metadata.gid()) {
        fchown(new.as_file(), Some(Uid::from_raw(metadata.uid())), Some(Gid::from_raw(metadata.gid())))?;
    }
    copy_attributes(&old, new.as_file())?;
    // After the owner: a change of that takes bits of the mode away.
    new.as_file().set_permissions(metadata.permissions())?;
    new.as_file().sync_all()?;
    new.persist(&file)?;
    Ok(())
}

/// Returns why a file cannot have another put in its place.
pub(super) fn replaceable(metadata: &Metadata) -> io::Result<()> {
    match (metadata.is_file(), metadata.nlink()) {
        (false, _) => Err(io::Error::other("it is no regular file")),
        (true, links @ 2..) => {
            Err(io::Error::other(format!("it has {links} names (hard links), and one of them would go on with the old text")))
        }
        (true, _) => Ok(()),
    }
}

/// Gives a file the extended attributes of another, its access list among them.
fn copy_attributes(from: &File, to: &File) -> io::Result<()> {
    let (mut names, mut value) = (vec![0; XATTR_MAX], vec![0; XATTR_MAX]);
    let length = match flistxattr(from, &mut names[..]) {
        Err(rustix::io::Errno::NOTSUP) => 0,
        length => length?,
    };
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(io::Error::other)?;
        let length = fgetxattr(from, name, &mut value[..])?;
        let there = &value[..length];
        // A new file has some from its folder and its system already, which not everybody may set.
        let mut own = vec![0; XATTR_MAX];
        if fgetxattr(to, name, &mut own[..]).is_ok_and(|length| own[..length] == *there) {
            continue;
        }
        fsetxattr(to, name, there, XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn mode_and_links_stay_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("a.yaml"), dir.path().join("b.yaml"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("a.yaml", &link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn attributes_stay() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.yaml");
        fs::write(&path, "old").unwrap();
        let set = fsetxattr(File::open(&path).unwrap(), c"user.note", b"kept", XattrFlags::empty());
        // Not every file system has them.
        if set != Err(rustix::io::Errno::NOTSUP) {
            set.unwrap();
            replace(&path, "new").unwrap();
            let mut value = [0; 16];
            let length = fgetxattr(File::open(&path).unwrap(), c"user.note", &mut value[..]).unwrap();
            assert_eq!((&value[..length], &*fs::read(&path).unwrap()), (&b"kept"[..], &b"new"[..]));
        }
    }

    #[test]
    fn what_has_other_names_or_is_no_file_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other, pipe) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        fs::write(&file, "old").unwrap();
        fs::hard_link(&file, &other).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
        assert!(replace(&file, "new").unwrap_err().to_string().contains("2 names"));
        assert!(replace(&pipe, "new").unwrap_err().to_string().contains("no regular file"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_is_not_there_is_not_made() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(replace(&dir.path().join("a.yaml"), "").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
