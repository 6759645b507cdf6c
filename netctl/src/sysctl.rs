//! Settings of the kernel, as files.

use std::fs;

use crate::Error;

/// Writes `value` to `path` unless it is there already: where /proc/sys is read-only, that may be enough.
pub(crate) fn ensure(path: &str, value: &str) -> Result<(), Error> {
    if fs::read_to_string(path).is_ok_and(|found| found.trim() == value) {
        return Ok(());
    }
    fs::write(path, value).map_err(Error::io(format!("write {value} to {path}")))
}
