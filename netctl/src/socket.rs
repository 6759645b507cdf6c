//! A netlink socket that sends several requests at once and waits with a deadline.
//!
//! Requests are answered inside `send`, so a call takes microseconds and blocks nobody for long. The socket belongs to
//! the network namespace its thread was in when it was opened, for good.

use std::fmt;
use std::io;
use std::time::Duration;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST};
use rtnetlink::sys;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size_force, set_socket_send_buffer_size_force, set_socket_timeout};

/// Longest wait for an answer. The kernel answers at once; only a kernel that is stuck takes longer.
const DEADLINE: Duration = Duration::from_secs(10);

/// Room for the kernel's answers; the largest dump buffer it uses is 32 KiB.
const RECEIVE_BYTES: usize = 64 << 10;

/// Room for answers that queue up behind one another, such as one refusal for each message of a batch.
const RECEIVE_QUEUE_BYTES: usize = 1 << 20;

/// Repetitions of a dump that changed while it was read. Each is a fresh chance; a busier table than this is an error.
const DUMP_ATTEMPTS: u32 = 32;

const HEADER_BYTES: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the netlink socket failed")]
    Io(#[source] io::Error),
    #[error("the kernel refused: {0}")]
    Refused(Refusal),
    #[error("what the kernel listed kept changing while it was read")]
    Unsteady,
    #[error("the kernel's answer cannot be read: {0}")]
    Malformed(String),
}

impl Error {
    /// Returns the error number of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused(refusal) => Some(refusal.errno),
            _ => None,
        }
    }
}

/// Why the kernel refused one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub errno: i32,
    /// The kernel's own words, where it has some.
    pub text: String,
    /// Which of the messages sent at once, counted from 0.
    pub index: usize,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// One message as it is sent: kind, flags beside the ones that every request has, and body.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) body: Vec<u8>,
}

/// One message as it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) body: &'a [u8],
}

pub(crate) struct Socket {
    socket: sys::Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket of `protocol` in the network namespace of the calling thread.
    pub(crate) fn open(protocol: isize) -> Result<Socket, Error> {
        let open = || {
            let mut socket = sys::Socket::new(protocol)?;
            socket.bind_auto()?;
            socket.set_cap_ack(true)?;
            socket.set_ext_ack(true)?;
            set_socket_timeout(&socket, Timeout::Recv, Some(DEADLINE))?;
            set_socket_recv_buffer_size_force(&socket, RECEIVE_QUEUE_BYTES)?;
            Ok(socket)
        };
        Ok(Socket { socket: open().map_err(Error::Io)?, sequence: 1, buffer: Vec::with_capacity(RECEIVE_BYTES) })
    }

    /// Lets the kernel itself filter what it lists.
    pub(crate) fn filter_strictly(&self) -> Result<(), Error> {
        self.socket.set_netlink_get_strict_chk(true).map_err(Error::Io)
    }

    /// Sends all `requests` at once and returns the ones that were refused.
    pub(crate) fn apply(&mut self, requests: &[Request]) -> Result<Vec<Refusal>, Error> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let (mut bytes, first) = (Vec::new(), self.sequence);
        for request in requests {
            self.push(&mut bytes, request, NLM_F_REQUEST | NLM_F_ACK);
        }
        self.send(&bytes)?;
        let (mut refusals, mut open) = (Vec::new(), requests.len());
        while open > 0 {
            self.receive(0)?;
            for message in messages(&self.buffer).filter(|message| message.kind == NLMSG_ERROR) {
                let index = message.sequence.wrapping_sub(first) as usize;
                if index < requests.len() {
                    open -= 1;
                    refusals.extend(refusal(&message, index));
                }
            }
        }
        Ok(refusals)
    }

    /// Asks for one thing and hands the answer to `read`.
    pub(crate) fn get<T>(&mut self, request: &Request, read: impl FnOnce(&Message<'_>) -> T) -> Result<T, Error> {
        let mut bytes = Vec::new();
        let sequence = self.sequence;
        self.push(&mut bytes, request, NLM_F_REQUEST);
        self.send(&bytes)?;
        loop {
            self.receive(0)?;
            let Some(message) = messages(&self.buffer).find(|message| message.sequence == sequence) else { continue };
            if message.kind == NLMSG_ERROR {
                return Err(refusal(&message, 0).map_or(Error::Malformed("no answer but success".into()), Error::Refused));
            }
            return Ok(read(&message));
        }
    }

    /// Lists what `request` names, and reads each item; the ones for which `read` returns `None` are left out.
    pub(crate) fn dump<T>(
        &mut self,
        request: &Request,
        mut read: impl FnMut(&Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..DUMP_ATTEMPTS {
            if let Some(items) = self.dump_once(request, &mut read)? {
                return Ok(items);
            }
        }
        Err(Error::Unsteady)
    }

    /// Returns `None` when the listing was inconsistent; it is read to its end all the same, to leave nothing behind.
    fn dump_once<T>(
        &mut self,
        request: &Request,
        read: &mut impl FnMut(&Message<'_>) -> Result<Option<T>, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let mut bytes = Vec::new();
        let sequence = self.sequence;
        self.push(&mut bytes, request, NLM_F_REQUEST | NLM_F_DUMP);
        self.send(&bytes)?;
        let (mut items, mut interrupted, mut unreadable) = (Vec::new(), false, None);
        loop {
            self.receive(0)?;
            for message in messages(&self.buffer).filter(|message| message.sequence == sequence) {
                interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
                match message.kind {
                    NLMSG_ERROR | NLMSG_DONE => match refusal(&message, 0) {
                        Some(refusal) => return Err(Error::Refused(refusal)),
                        None => return unreadable.map_or(Ok((!interrupted).then_some(items)), Err),
                    },
                    _ => match read(&message) {
                        Ok(item) => items.extend(item),
                        Err(error) => unreadable = unreadable.or(Some(error)),
                    },
                }
            }
        }
    }

    /// Sends a batch that the kernel takes whole or not at all, and of which it reports only what it refused.
    pub(crate) fn commit(&mut self, bytes: &[u8], first_sequence: u32) -> Result<(), Error> {
        set_socket_send_buffer_size_force(&self.socket, bytes.len() + RECEIVE_BYTES).map_err(|error| Error::Io(error.into()))?;
        self.send(bytes)?;
        let mut first = None;
        // Refusals are queued before `send` returns, so an empty queue means that there are no more.
        while self.receive(libc::MSG_DONTWAIT)? {
            for message in messages(&self.buffer).filter(|message| message.kind == NLMSG_ERROR) {
                let index = message.sequence.wrapping_sub(first_sequence) as usize;
                first = first.or_else(|| refusal(&message, index));
            }
        }
        first.map_or(Ok(()), |refusal| Err(Error::Refused(refusal)))
    }

    /// Returns the first of `count` sequence numbers that nobody else uses on this socket.
    pub(crate) fn reserve(&mut self, count: u32) -> u32 {
        let first = self.sequence;
        self.sequence = self.sequence.wrapping_add(count);
        first
    }

    fn push(&mut self, bytes: &mut Vec<u8>, request: &Request, flags: u16) {
        let length = HEADER_BYTES + request.body.len();
        bytes.extend_from_slice(&(length as u32).to_ne_bytes());
        bytes.extend_from_slice(&request.kind.to_ne_bytes());
        bytes.extend_from_slice(&(request.flags | flags).to_ne_bytes());
        bytes.extend_from_slice(&self.reserve(1).to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&request.body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }

    fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.send(bytes, 0).map(drop).map_err(Error::Io)
    }

    /// Fills the buffer with the next datagram; false when there is none and `flags` say not to wait.
    fn receive(&mut self, flags: i32) -> Result<bool, Error> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, flags) {
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && flags & libc::MSG_DONTWAIT != 0 => return Ok(false),
                Err(error) => return Err(Error::Io(error)),
            }
        }
    }
}

/// Iterates over the messages of one datagram.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let header = bytes.get(..HEADER_BYTES)?;
        let length = u32_at(header, 0)? as usize;
        let body = bytes.get(HEADER_BYTES..length)?;
        let message = Message { kind: u16_at(header, 4)?, flags: u16_at(header, 6)?, sequence: u32_at(header, 8)?, body };
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Reads a refusal out of an error or end-of-dump message; `None` when it says success.
fn refusal(message: &Message<'_>, index: usize) -> Option<Refusal> {
    let errno = -(u32_at(message.body, 0).unwrap_or(0) as i32);
    if errno == 0 {
        return None;
    }
    Some(Refusal { errno, text: refusal_text(message).unwrap_or_default(), index })
}

fn refusal_text(message: &Message<'_>) -> Option<String> {
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    let echoed = match message.kind {
        NLMSG_DONE => 0,
        _ if message.flags & NLM_F_CAPPED != 0 => HEADER_BYTES,
        _ => (u32_at(message.body, 4)? as usize).next_multiple_of(4),
    };
    let mut attributes = message.body.get(4 + echoed..)?;
    while let (Some(length), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let value = attributes.get(4..length.into())?;
        if kind == NLMSGERR_ATTR_MSG {
            return Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..)?;
    }
    None
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&((HEADER_BYTES + body.len()) as u32).to_ne_bytes());
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(&flags.to_ne_bytes());
        bytes.extend_from_slice(&[7, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_datagram_is_split_into_its_messages() {
        let bytes = [message(20, 2, b"abcde"), message(21, 0, b"")].concat();
        let found: Vec<_> = messages(&bytes).map(|message| (message.kind, message.body.to_vec())).collect();
        assert_eq!(found, [(20, b"abcde".to_vec()), (21, Vec::new())]);
    }

    #[test]
    fn a_datagram_cut_short_anywhere_is_read_without_a_panic() {
        let bytes = [message(20, 2, b"abcde"), message(NLMSG_ERROR, NLM_F_ACK_TLVS, &[1; 40])].concat();
        for end in 0..bytes.len() {
            for message in messages(&bytes[..end]) {
                let _ = refusal(&message, 0);
            }
        }
        assert_eq!(messages(&bytes[..bytes.len() - 1]).count(), 1);
    }

    #[test]
    fn a_refusal_has_the_kernels_own_words() {
        let echoed = [20u32.to_ne_bytes(), [0; 4], [0; 4], [0; 4]].concat();
        let text = [&[9u8, 0, 1, 0][..], b"why.\0\0\0\0"].concat();
        let body = [&(-17i32).to_ne_bytes()[..], &echoed, &text].concat();
        let bytes = message(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, &body);
        let found = refusal(&messages(&bytes).next().unwrap(), 3).unwrap();
        assert_eq!(found, Refusal { errno: 17, text: "why.".into(), index: 3 });
    }

    #[test]
    fn an_acknowledgement_is_no_refusal() {
        let bytes = message(NLMSG_ERROR, 0, &[0; 20]);
        assert_eq!(refusal(&messages(&bytes).next().unwrap(), 0), None);
    }
}
