//! Making the file.

use std::fs::{File, OpenOptions, hard_link, remove_file};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{builder, initialise, random};

/// Makes an empty store in `file`, unless there is one.
///
/// It is made beside it and put in place whole, so that a crash leaves no half of one.
pub(super) fn unless_exists(file: &Path) -> io::Result<()> {
    if file.try_exists()? {
        return Ok(());
    }
    let mut name = file.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = file.with_file_name(name);
    let linked = fill(&new).and_then(|()| match hard_link(&new, file) {
        // Another process was faster; then its lock on the file decides.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    });
    let removed = remove_file(&new);
    linked.and(removed)?;
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn fill(file: &Path) -> io::Result<()> {
    let handle = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(file)?;
    let db = builder().create_file(handle).map_err(io::Error::other)?;
    initialise(&db, random()).map_err(io::Error::other)
}
