//! Ctrl-C, noticed instead of obeyed: what was started is ended in order first.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Result;

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
        self.0.set_read_timeout(None)?;
        Ok((&self.0).read_exact(&mut [0])?)
    }

    /// Waits for at most `patience`, which is not zero; returns whether somebody has asked.
    pub fn wait_for(&self, patience: Duration) -> Result<bool> {
        self.0.set_read_timeout(Some(patience))?;
        Ok((&self.0).read_exact(&mut [0]).is_ok())
    }
}

extern "C" fn on_signal(_: libc::c_int) {
    if let Some(mut pipe) = WAKE.get() {
        let _ = pipe.write(&[0]);
    }
}
