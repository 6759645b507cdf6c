//! The byte stream of one client, between the socket and hyper: strict about what comes in, impatient with what stands still.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::Limits;
use super::crowd::Visit;
use super::scan::{Place, Scanner, Violation};

/// A byte that no head may have: hyper answers 400 to it and closes.
const POISON: u8 = 0;

pub(super) struct Gate {
    stream: TcpStream,
    scanner: Scanner,
    limits: Limits,
    visit: Arc<Visit>,
    /// Nothing more is read.
    shut: bool,
    head: Alarm,
    write: Alarm,
}

impl Gate {
    pub(super) fn new(stream: TcpStream, limits: Limits, visit: Arc<Visit>) -> Gate {
        Gate { stream, scanner: Scanner::new(), limits, visit, shut: false, head: Alarm::default(), write: Alarm::default() }
    }

    /// Reads and checks; returns how many bytes are for hyper.
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if self.visit.is_tunnel() {
            return Poll::Ready(Ok(()));
        }
        let Err(Violation { at, place }) = self.scanner.scan(buffer.filled()) else { return Poll::Ready(Ok(())) };
        self.shut = true;
        match place {
            Place::Head => {
                buffer.filled_mut()[at] = POISON;
                buffer.set_filled(at + 1);
            }
            Place::Body => buffer.set_filled(at),
        }
        if buffer.filled().is_empty() { Poll::Ready(Err(malformed())) } else { Poll::Ready(Ok(())) }
    }

    /// Watches over a head that has begun and is the next thing to answer.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.scanner.is_in_head() && !self.visit.is_busy() && !self.visit.is_tunnel() {
            self.head.poll(cx, self.limits.head)
        } else {
            self.head.disarm();
            Poll::Pending
        }
    }

    fn watch_write<T>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.write.disarm();
            return result;
        }
        // A reader of a tunnel may take its time: what it carries is not ours to judge.
        if !self.visit.is_tunnel() && self.write.poll(cx, self.limits.stall).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")));
        }
        Poll::Pending
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a malformed chunk")
}

impl Read for Gate {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, mut cursor: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.shut {
            return Poll::Ready(Err(malformed()));
        }
        // SAFETY: the slice is only written through `ReadBuf`, which never makes initialised bytes uninitialised.
        let mut buffer = ReadBuf::uninit(unsafe { cursor.as_mut() });
        match self.read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                let count = buffer.filled().len();
                // SAFETY: `ReadBuf` counts as filled only what has been initialised.
                unsafe { cursor.advance(count) };
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // Too late: to hyper the client has gone, which is what it will see.
            Poll::Pending => self.poll_patience(cx).map(Ok),
        }
    }
}

impl Write for Gate {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch_write(cx, result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch_write(cx, result)
    }
}

/// A deadline that is set by the first poll and lifted by [`Alarm::disarm`].
///
/// The timer itself is left running when the alarm is lifted: most are set again long before it would ring.
#[derive(Default)]
pub(super) struct Alarm {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    pub(super) fn disarm(&mut self) {
        self.deadline = None;
    }

    /// Is ready once `patience` has passed since the first poll.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, patience: Duration) -> Poll<()> {
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + patience);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}
