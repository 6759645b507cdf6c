//! The wish to stop: SIGTERM from whoever runs the program, SIGINT from a person at a terminal.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// Where the handler writes to: a write is one of the few things a signal handler may do.
static WAKE: OnceLock<UnixStream> = OnceLock::new();

pub(crate) struct Signal(UnixStream);

impl Signal {
    /// Begins to listen. The first process of a container must: the kernel ignores a SIGTERM that it has no handler for.
    pub(crate) fn install() -> io::Result<Signal> {
        let (reader, writer) = UnixStream::pair()?;
        // When the pipe is full the wish is known already; the handler must not wait for room.
        writer.set_nonblocking(true)?;
        WAKE.set(writer).map_err(|_| io::Error::other("signals are listened to already"))?;
        for number in [SIGINT, SIGTERM] {
            // SAFETY: the declaration matches C's `signal`; the handler only writes a byte to a socket that is never closed.
            unsafe { signal(number, on_signal) };
        }
        Ok(Signal(reader))
    }

    /// Returns when a signal has come.
    pub(crate) fn wait(&self) {
        // The other end is never closed, so the only way out is a byte.
        let _ = (&self.0).read_exact(&mut [0]);
    }
}

extern "C" fn on_signal(_: i32) {
    if let Some(mut pipe) = WAKE.get() {
        let _ = pipe.write(&[0]);
    }
}

// The standard library has no signals, and its own C library does.
unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn raise(number: i32) -> i32;
    }

    #[test]
    fn a_signal_ends_the_wait_instead_of_the_process() {
        let stop = Signal::install().unwrap();
        // SAFETY: `raise` is C's, and the signal has a handler.
        assert_eq!(unsafe { raise(SIGTERM) }, 0);
        stop.wait();
    }
}
