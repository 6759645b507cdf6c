//! Brings bytes from an async task to a blocking thread, with a bound on what lies between them.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::unpack::INTERRUPTED;

/// Chunks in between: some hundred KiB each, so at most a few MiB for a layer.
const CHUNKS: usize = 16;

enum Message {
    Chunk(Bytes),
    /// Tells a stream's end from a feeder that was dropped.
    End,
}

pub(super) struct Feeder(mpsc::Sender<Message>);

pub(super) struct Feed {
    receiver: mpsc::Receiver<Message>,
    chunk: Bytes,
    has_ended: bool,
}

pub(super) fn channel() -> (Feeder, Feed) {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    (Feeder(sender), Feed { receiver, chunk: Bytes::new(), has_ended: false })
}

/// The reader does not want any more.
pub(super) struct Closed;

impl Feeder {
    pub(super) async fn send(&self, chunk: Bytes) -> Result<(), Closed> {
        self.0.send(Message::Chunk(chunk)).await.map_err(|_| Closed)
    }

    pub(super) async fn end(self) -> Result<(), Closed> {
        self.0.send(Message::End).await.map_err(|_| Closed)
    }
}

/// Blocks; only for threads of their own.
impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() && !self.has_ended {
            match self.receiver.blocking_recv() {
                Some(Message::Chunk(chunk)) => self.chunk = chunk,
                Some(Message::End) => self.has_ended = true,
                None => return Err(io::Error::new(INTERRUPTED, "the stream stopped")),
            }
        }
        let read = buffer.len().min(self.chunk.len());
        self.chunk.copy_to_slice(&mut buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dropped_feeder_is_not_an_end() {
        for ends in [true, false] {
            let (feeder, mut feed) = channel();
            let reading = tokio::task::spawn_blocking(move || {
                let mut bytes = Vec::new();
                feed.read_to_end(&mut bytes).map(|_| bytes)
            });
            assert!(feeder.send(Bytes::from_static(b"abc")).await.is_ok());
            if ends {
                assert!(feeder.end().await.is_ok());
            } else {
                drop(feeder);
            }
            assert_eq!(reading.await.unwrap().ok(), ends.then(|| b"abc".to_vec()));
        }
    }
}
