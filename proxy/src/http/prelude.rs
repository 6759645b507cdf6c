//! The byte stream of one backend: bounds what comes before an answer.
//!
//! hyper passes over interim answers (1xx) as long as they come, and a backend that sends nothing else would keep a thread busy
//! that others need.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that a backend may send until the head of its answer is seen here: the longest head, some interim ones, and what hyper
/// reads ahead of the body.
const PRELUDE_MAX: usize = 1 << 20;

/// Stands for an answer that has begun: its body may have any length.
const ANSWERED: usize = usize::MAX;

/// How many bytes may still come before the answer.
#[derive(Debug)]
pub(super) struct Prelude(AtomicUsize);

impl Prelude {
    /// A request is about to be sent.
    pub(super) fn begin(&self) {
        self.0.store(PRELUDE_MAX, Ordering::Relaxed);
    }

    /// The head of the answer is here.
    pub(super) fn end(&self) {
        self.0.store(ANSWERED, Ordering::Relaxed);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let left = self.0.load(Ordering::Relaxed);
        if left != ANSWERED {
            let rest = left.checked_sub(bytes);
            let rest = rest.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "too much before the answer"))?;
            self.0.store(rest, Ordering::Relaxed);
        }
        Ok(())
    }
}

pub(super) struct Watched {
    stream: TcpStream,
    prelude: Arc<Prelude>,
}

impl Watched {
    pub(super) fn new(stream: TcpStream) -> (Watched, Arc<Prelude>) {
        let prelude = Arc::new(Prelude(AtomicUsize::new(PRELUDE_MAX)));
        (Watched { stream, prelude: prelude.clone() }, prelude)
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        Poll::Ready(self.prelude.spend(buffer.filled().len() - before))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
}
