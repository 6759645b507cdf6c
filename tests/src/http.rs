//! The smallest HTTP client: one request on one connection, in the network namespace of the calling thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Time for connecting and for each read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns status and body of `GET path` at `address`.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| broken(&answer))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| broken(head))?;
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let complete = length.and_then(|length| length.trim().parse::<usize>().ok()).is_none_or(|length| length == body.len());
    if complete { Ok((status, body.to_owned())) } else { Err(broken(&answer)) }
}

fn broken(answer: &str) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("a broken answer: {answer:?}"))
}
