//! Passes a query on to the upstream servers, byte for byte but for its id.
//!
//! Each query has its own socket, so its own random port, and its own random id: who does not see the query cannot answer it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one server gets: clients ask again after 5 s.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Longest answer by datagram, in bytes: twice what servers send at most.
const REPLY_MAX: usize = 8_192;

/// Bytes of a header.
const HEADER: usize = 12;

/// The bit of byte 2 that says "response".
const RESPONSE: u8 = 0x80;

/// Asks one server after the other.
pub(super) async fn by_datagram(servers: &[SocketAddr], query: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        if let Ok(Ok(reply)) = timeout(TIMEOUT, ask_by_datagram(*server, query)).await {
            return Some(reply);
        }
    }
    None
}

/// Asks one server after the other over a stream.
pub(super) async fn by_stream(servers: &[SocketAddr], query: &[u8]) -> Option<Vec<u8>> {
    for server in servers {
        if let Ok(Ok(reply)) = timeout(TIMEOUT, ask_by_stream(*server, query)).await {
            return Some(reply);
        }
    }
    None
}

/// Returns the answer that no server answered.
pub(super) fn failure(query: &[u8]) -> Vec<u8> {
    const RECURSION_DESIRED: u8 = 0x01;
    const RECURSION_AVAILABLE: u8 = 0x80;
    const SERVFAIL: u8 = 2;
    let question = question(query).unwrap_or_default();
    let flags = [RESPONSE | (query.get(2).copied().unwrap_or(0) & RECURSION_DESIRED), RECURSION_AVAILABLE | SERVFAIL];
    let counts = [0, u8::from(!question.is_empty()), 0, 0, 0, 0, 0, 0];
    [query.get(..2).unwrap_or(&[0, 0]), &flags, &counts, question].concat()
}

async fn ask_by_datagram(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any = if server.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)) };
    let socket = UdpSocket::bind(any).await?;
    // From here on the kernel drops what other addresses send.
    socket.connect(server).await?;
    let (sent, id) = disguise(query)?;
    socket.send(&sent).await?;
    let mut reply = vec![0; REPLY_MAX];
    loop {
        let length = socket.recv(&mut reply).await?;
        if is_reply(&reply[..length], &sent, id) {
            reply.truncate(length);
            reply[..2].copy_from_slice(&query[..2]);
            return Ok(reply);
        }
    }
}

async fn ask_by_stream(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let (sent, id) = disguise(query)?;
    let length = u16::try_from(sent.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &sent].concat()).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; length.into()];
    stream.read_exact(&mut reply).await?;
    if !is_reply(&reply, &sent, id) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to another question"));
    }
    reply[..2].copy_from_slice(&query[..2]);
    Ok(reply)
}

/// Returns the query with an id of its own.
fn disguise(query: &[u8]) -> io::Result<(Vec<u8>, [u8; 2])> {
    let mut id = [0; 2];
    getrandom(&mut id, GetRandomFlags::empty())?;
    let mut query = query.to_vec();
    query.get_mut(..2).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(&id);
    Ok((query, id))
}

/// Says whether a packet answers the query that was sent: same id, same question.
fn is_reply(reply: &[u8], sent: &[u8], id: [u8; 2]) -> bool {
    let is_response = reply.len() >= HEADER && reply[..2] == id && reply[2] & RESPONSE != 0;
    is_response
        && question(sent).is_some_and(|asked| question(reply).is_some_and(|answered| asked.eq_ignore_ascii_case(answered)))
}

/// Returns the bytes of the only question: name, type and class.
fn question(packet: &[u8]) -> Option<&[u8]> {
    const TYPE_AND_CLASS: usize = 4;
    if packet.get(4..6)? != [0, 1] {
        return None;
    }
    let mut at = HEADER;
    loop {
        match *packet.get(at)? {
            0 => return packet.get(HEADER..at + 1 + TYPE_AND_CLASS),
            // A pointer has nothing before it to point to.
            64.. => return None,
            length => at += usize::from(length) + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_packet_has_a_question_or_none_and_a_failure_that_fits(packet in proptest::collection::vec(any::<u8>(), 0..80), one: bool) {
            let mut packet = packet;
            if one && packet.len() > 6 {
                packet[4..6].copy_from_slice(&[0, 1]);
            }
            let failure = failure(&packet);
            prop_assert!(failure.len() >= HEADER && failure.len() <= HEADER.max(packet.len()));
            prop_assert_eq!(question(&failure).is_some(), question(&packet).is_some());
            prop_assert!(!is_reply(&packet, &failure, [0, 0]) || packet[2] & RESPONSE != 0);
        }
    }
}
