//! Tells whether a shim is alive: it holds a lock on a file for as long as it lives.
//!
//! It is a record lock of POSIX: the kernel drops it when the process ends, however it ends, children do not inherit it,
//! and others can ask who holds it. So a process id is only ever used while it is certain whose it is.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockOffsetType, FlockType, Pid, PidfdFlags, Signal};

/// Takes the lock, until the returned file is dropped; `None` when another process has it.
///
/// The calling process must not open the file a second time: closing it would drop the lock.
pub(crate) fn hold(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::AGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // A release may have removed the file in between; then the lock is on a file nobody looks at.
    let same = std::fs::metadata(path).is_ok_and(|now| file.metadata().is_ok_and(|held| held.ino() == now.ino()));
    Ok(same.then_some(file))
}

/// Returns the process that holds the lock.
pub(crate) fn holder(path: &Path) -> io::Result<Option<Pid>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let whole = Flock { start: 0, length: 0, pid: None, typ: FlockType::WriteLock, offset_type: FlockOffsetType::Set };
    Ok(rustix::process::fcntl_getlk(&file, &whole)?.and_then(|lock| lock.pid))
}

/// Kills the process that holds the lock, if one does.
pub(crate) fn kill_holder(path: &Path) -> io::Result<()> {
    let Some(pid) = holder(path)? else { return Ok(()) };
    let Ok(process) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    // Asked again, now that the handle cannot come to mean another process.
    if holder(path)? == Some(pid) {
        rustix::process::pidfd_send_signal(process, Signal::KILL)?;
    }
    Ok(())
}

/// Waits until nobody holds the lock; false when that takes longer than `patience`.
pub(crate) async fn wait_free(path: &Path, patience: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if holder(path)?.is_none() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
