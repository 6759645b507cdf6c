//! The program that shims run: one sealed copy in memory, shared by all of them.
//!
//! A container that gets hold of `/proc/self/exe` of the process that starts it must not reach the binary on disk
//! (CVE-2019-5736): a sealed copy cannot be written by anybody. And a shim goes on when the binary is replaced.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, SealFlags};

pub(crate) struct Binary(OwnedFd);

impl Binary {
    /// Copies the program at `path` and seals the copy.
    pub(crate) fn copy(path: &Path) -> io::Result<Binary> {
        let mut source = std::fs::File::open(path)?;
        let mut copy = std::fs::File::from(memfd()?);
        io::copy(&mut source, &mut copy)?;
        rustix::fs::fcntl_add_seals(&copy, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
        Ok(Binary(copy.into()))
    }

    /// Returns the path by which a child of this process executes it.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }
}

fn memfd() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
    // EXEC is asked for since Linux 6.3, where `vm.memfd_noexec` may forbid it otherwise; earlier kernels do not know it.
    match rustix::fs::memfd_create("stead", flags | MemfdFlags::EXEC) {
        Err(rustix::io::Errno::INVAL) => Ok(rustix::fs::memfd_create("stead", flags)?),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_copy_runs_and_cannot_be_written() {
        let binary = Binary::copy(Path::new("/bin/true")).unwrap();
        assert!(std::process::Command::new(binary.path()).status().unwrap().success());
        let written = std::fs::File::options().write(true).open(binary.path()).and_then(|mut file| file.write_all(b"x"));
        assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
