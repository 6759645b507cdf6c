//! Connections of daemons: usually one, the one that started the container or came back for it.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use crate::container::protocol::{REQUEST_BYTES, Request};

/// Most connections at a time: a daemon, its successor, and a person who looks.
const CLIENTS: usize = 8;

pub(super) struct Client {
    stream: UnixStream,
    input: Vec<u8>,
    /// The connection that came with the start of the process.
    pub first: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream, first: bool) -> std::io::Result<Client> {
        stream.set_nonblocking(true)?;
        Ok(Client { stream, input: Vec::new(), first })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Sends one line; false when the client does not take it, and shall be dropped: it may come again.
    pub(super) fn send(&mut self, line: &[u8]) -> bool {
        matches!(self.stream.write(line), Ok(length) if length == line.len())
    }

    /// Reads requests; `None` when the client is gone or talks nonsense.
    pub(super) fn receive(&mut self) -> Option<Vec<Request>> {
        let mut block = [0; REQUEST_BYTES];
        match self.stream.read(&mut block) {
            Ok(0) => return None,
            Ok(length) => self.input.extend_from_slice(&block[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => return None,
        }
        let mut requests = Vec::new();
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            // A request of a later version is passed over.
            requests.extend(serde_json::from_slice(&line).ok());
        }
        (self.input.len() <= REQUEST_BYTES).then_some(requests)
    }
}

/// Takes a new connection, if one waits and there is room.
pub(super) fn accept(listener: &UnixListener, clients: &[Client]) -> Option<Client> {
    let (stream, _) = listener.accept().ok()?;
    if clients.len() < CLIENTS { Client::new(stream, false).ok() } else { None }
}
