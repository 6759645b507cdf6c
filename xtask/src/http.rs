//! The smallest client that can ask a proxy or a daemon: one request, one answer, one connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// Bound on each wait for the other side.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer that is read.
const ANSWER_MAX: u64 = 16 << 20;

#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: String,
}

pub fn get(address: SocketAddr, path: &str) -> Result<Response> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange(stream, &Request::get(&address.to_string(), path))
}

pub fn get_unix(socket: &Path, path: &str) -> Result<Response> {
    ask_unix(socket, &Request::get("localhost", path))
}

/// Sends a manifest to a daemon.
pub fn put_manifest(socket: &Path, yaml: &str) -> Result<Response> {
    ask_unix(socket, &Request { method: "PUT", body: yaml, ..Request::get("localhost", "/objects") })
}

pub fn delete_unix(socket: &Path, path: &str) -> Result<Response> {
    ask_unix(socket, &Request { method: "DELETE", ..Request::get("localhost", path) })
}

struct Request<'a> {
    method: &'static str,
    host: &'a str,
    path: &'a str,
    /// YAML, where there is any.
    body: &'a str,
}

impl<'a> Request<'a> {
    fn get(host: &'a str, path: &'a str) -> Request<'a> {
        Request { method: "GET", host, path, body: "" }
    }
}

fn ask_unix(socket: &Path, request: &Request<'_>) -> Result<Response> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    exchange(stream, request)
}

fn exchange(mut stream: impl Read + Write, request: &Request<'_>) -> Result<Response> {
    let Request { method, host, path, body } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    if !body.is_empty() {
        text += &format!("Content-Type: application/yaml\r\nContent-Length: {}\r\n", body.len());
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    parse(&answer)
}

fn parse(answer: &[u8]) -> Result<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").context("the answer has no end of its head")?;
    let head = std::str::from_utf8(&answer[..end])?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ").and_then(|rest| rest.get(..3)).and_then(|digits| digits.parse().ok());
    let status = status.context("the answer is not HTTP/1.1")?;
    let header = |name: &str| head.lines().skip(1).filter_map(|line| line.split_once(':')).find(|(key, _)| *key == name);
    let body = &answer[end + 4..];
    let body = match (header("transfer-encoding"), header("content-length")) {
        (Some((_, coding)), _) if coding.trim() == "chunked" => chunks(body)?,
        (_, Some((_, length))) => body.get(..length.trim().parse()?).context("the body is cut short")?.to_vec(),
        _ => body.to_vec(),
    };
    Ok(Response { status, body: String::from_utf8_lossy(&body).into_owned() })
}

fn chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|window| window == b"\r\n").context("a chunk without a size")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line])?.trim(), 16)?;
        if size == 0 {
            return Ok(body);
        }
        let from = line + 2;
        let end = from.checked_add(size).context("a chunk is too long")?;
        body.extend_from_slice(rest.get(from..end).context("a chunk is cut short")?);
        rest = rest.get(end + 2..).context("the chunks have no end")?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_in_every_shape() {
        let hi = Response { status: 200, body: "hi".to_owned() };
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").unwrap(), hi);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\n\r\nhi").unwrap(), hi);
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n").unwrap(), hi);
        assert_eq!(parse(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length:0\r\n\r\n").unwrap().status, 502);
    }

    #[test]
    fn a_cut_answer_is_an_error() {
        for cut in [
            "",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhi",
            "SSH-2.0-x\r\n\r\n",
        ] {
            assert!(parse(cut.as_bytes()).is_err(), "{cut:?}");
        }
    }
}
