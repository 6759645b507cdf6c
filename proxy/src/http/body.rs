//! Bodies on their way: streamed frame by frame, never collected.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::backend::Lease;
use super::crowd::{Busy, Fault, Visit};
use super::gate::Alarm;

/// A request's body, from the client to a backend.
pub(super) struct Inbound {
    body: Option<Incoming>,
    visit: Arc<Visit>,
    stall: Duration,
    alarm: Alarm,
}

impl Inbound {
    pub(super) fn new(body: Incoming, visit: Arc<Visit>, stall: Duration) -> Inbound {
        let body = Some(body).filter(|body| !body.is_end_stream());
        Inbound { body, visit, stall, alarm: Alarm::default() }
    }

    /// Returns a body as empty as this one is, for a second try.
    pub(super) fn again(&self) -> Option<Inbound> {
        match self.body {
            Some(_) => None,
            None => Some(Inbound { body: None, visit: self.visit.clone(), stall: self.stall, alarm: Alarm::default() }),
        }
    }

    fn fail(&mut self, fault: Fault, error: impl Into<Box<dyn StdError + Send + Sync>>) -> io::Error {
        self.visit.set_fault(fault);
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

impl Body for Inbound {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.alarm.disarm();
                Poll::Ready(frame.map(|frame| frame.map_err(|error| this.fail(Fault::Malformed, error))))
            }
            Poll::Pending => {
                this.alarm.poll(cx, this.stall).map(|()| Some(Err(this.fail(Fault::Stalled, "the body stands still"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A response's body, from a backend or from the proxy itself, to the client.
pub(super) struct Outbound {
    source: Source,
    /// The client is being answered until this is dropped.
    _busy: Busy,
}

enum Source {
    Text(Full<Bytes>),
    /// The lease gives the connection back at the end, and closes it if there is none.
    Backend {
        body: Incoming,
        lease: Option<Lease>,
    },
}

impl Outbound {
    pub(super) fn text(text: impl Into<Bytes>, busy: Busy) -> Outbound {
        Outbound { source: Source::Text(Full::new(text.into())), _busy: busy }
    }

    pub(super) fn backend(body: Incoming, lease: Lease, busy: Busy) -> Outbound {
        let mut outbound = Outbound { source: Source::Backend { body, lease: Some(lease) }, _busy: busy };
        outbound.give_back_at_end();
        outbound
    }

    fn give_back_at_end(&mut self) {
        if let Source::Backend { body, lease } = &mut self.source
            && body.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
    }
}

impl Body for Outbound {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let result = match &mut self.source {
            Source::Text(body) => return Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Source::Backend { body, .. } => Pin::new(body).poll_frame(cx),
        };
        match &result {
            Poll::Ready(Some(Ok(_))) => self.give_back_at_end(),
            Poll::Ready(None) => {
                if let Source::Backend { lease, .. } = &mut self.source
                    && let Some(lease) = lease.take()
                {
                    lease.give_back();
                }
            }
            _ => {}
        }
        result
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Text(body) => body.is_end_stream(),
            Source::Backend { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Text(body) => body.size_hint(),
            Source::Backend { body, .. } => body.size_hint(),
        }
    }
}
