//! Ctrl-C, noticed instead of obeyed: what was started is ended in order first.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

static WAKE: OnceLock<UnixStream> = OnceLock::new();

/// Says whether somebody has asked to stop.
pub struct Interrupt(UnixStream);

impl Interrupt {
    /// Takes SIGINT and SIGTERM over, for the rest of the process.
    pub fn install() -> Result<Interrupt> {
        let (reader, writer) = UnixStream::pair()?;
        writer.set_nonblocking(true)?;
        if WAKE.set(writer).is_err() {
            anyhow::bail!("signals are taken over once");
        }
        for number in [libc::SIGINT, libc::SIGTERM] {
            // SAFETY: the handler only writes a byte to a socket that is never closed, which a handler may.
            unsafe { libc::signal(number, on_signal as extern "C" fn(libc::c_int) as libc::sighandler_t) };
        }
        Ok(Interrupt(reader))
    }

    pub fn wait(&self) -> Result<()> {
        Ok((&self.0).read_exact(&mut [0])?)
    }

    /// Waits for at most `patience`; returns whether somebody has asked.
    pub fn wait_for(&self, patience: Duration) -> Result<bool> {
        // A socket's own timeout counts in ticks of the kernel's clock, which are some milliseconds long.
        match poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&Timespec::try_from(patience)?)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => self.wait_for(Duration::ZERO),
            Err(error) => Err(error.into()),
        }
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    if let Some(mut pipe) = WAKE.get() {
        let _ = pipe.write(&[0]);
    }
}
