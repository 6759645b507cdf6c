//! The events of a watch, as they arrive.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http_body_util::{BodyDataStream, BodyExt};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::Error;
use crate::wire::Event;

/// Silence after which the daemon is taken for stuck: it says something every 10 s.
const SILENCE: Duration = Duration::from_secs(35);

/// Longest event: an object of 1 MiB, and its envelope.
const EVENT_BYTES: usize = 2 << 20;

/// The events of a watch. They end when the daemon ends them, as when it shuts down or the reader is too far behind.
pub struct Events(Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>);

impl Events {
    pub(super) fn new(body: Incoming) -> Events {
        let lines = Lines { chunks: body.into_data_stream(), buffer: BytesMut::new(), searched: 0 };
        let events = stream::try_unfold(lines, |mut lines| async {
            let Some(line) = lines.next().await? else { return Ok(None) };
            let event = serde_json::from_slice(&line).map_err(Error::broken)?;
            Ok(Some((event, lines)))
        });
        Events(Box::pin(events))
    }
}

impl Stream for Events {
    type Item = Result<Event, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

struct Lines {
    chunks: BodyDataStream<Incoming>,
    buffer: BytesMut,
    /// Bytes of the buffer that have no end of line.
    searched: usize,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(end) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(self.searched + end + 1);
                self.searched = 0;
                return Ok(Some(line.freeze()));
            }
            self.searched = self.buffer.len();
            if self.searched > EVENT_BYTES {
                return Err(Error::broken(format!("an event is longer than {EVENT_BYTES} bytes")));
            }
            match timeout(SILENCE, self.chunks.next()).await {
                Ok(Some(chunk)) => self.buffer.extend_from_slice(&chunk.map_err(Error::broken)?),
                Ok(None) if self.buffer.is_empty() => return Ok(None),
                Ok(None) => return Err(Error::closed()),
                Err(_) => return Err(Error::Timeout { what: "sign of life", after: SILENCE }),
            }
        }
    }
}
