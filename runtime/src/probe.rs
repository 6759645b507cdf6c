//! Health checks of a container, made from inside its own network namespace.
//!
//! So a check needs no way through the packet filter, and reaches a container that is not served yet.

use std::net::SocketAddrV4;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use spec::kind::container::{Check, Probe};
use tokio::net::TcpStream;

use crate::netns;

/// Status codes that count when none is named.
const GOOD: RangeInclusive<u16> = 200..=399;

/// Asks the container once; the error says for a person what is wrong.
pub async fn check(probe: &Probe, netns: &Path) -> Result<(), String> {
    let timeout = Duration::from(probe.timeout);
    match tokio::time::timeout(timeout, ask(probe, netns)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {}", probe.timeout)),
    }
}

async fn ask(probe: &Probe, netns: &Path) -> Result<(), String> {
    match &probe.check {
        Check::Tcp { port } => connect(netns, SocketAddrV4::new(probe.address, *port)).await.map(drop),
        Check::Http { port, path, expect_status } => {
            let address = SocketAddrV4::new(probe.address, *port);
            get(netns, address, &address.to_string(), path, *expect_status).await
        }
    }
}

/// Connects from inside a namespace.
pub(crate) async fn connect(netns: &Path, address: SocketAddrV4) -> Result<TcpStream, String> {
    netns::connect(netns, address).await.map_err(|error| match error {
        netns::Error::Connect { address, source } => format!("connect to {address}: {source}"),
        other => format!("{other}: {}", std::error::Error::source(&other).map(ToString::to_string).unwrap_or_default()),
    })
}

/// Asks for `path` and checks the status of the answer.
pub(crate) async fn get(
    netns: &Path,
    address: SocketAddrV4,
    host: &str,
    path: &str,
    expected: Option<u16>,
) -> Result<(), String> {
    let stream = connect(netns, address).await?;
    let status = status(stream, host, path).await.map_err(|error| format!("GET {path}: {error}"))?;
    match expected {
        Some(expected) if status != expected => Err(format!("GET {path}: status {status}, not {expected}")),
        None if !GOOD.contains(&status) => Err(format!("GET {path}: status {status}")),
        _ => Ok(()),
    }
}

/// The answer's body is not read: only that there is one with this status counts.
async fn status(stream: TcpStream, host: &str, path: &str) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let path = if path.starts_with('/') { path } else { "/" };
    let request = Request::get(path).header("host", host).header("user-agent", "stead").header("connection", "close");
    let request = request.body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = sender.send_request(request);
    tokio::pin!(connection, answer);
    // The connection may end with the answer already handed over: then the answer counts.
    tokio::select! {
        biased;
        answer = &mut answer => Ok(answer?.status().as_u16()),
        ended = &mut connection => {
            ended?;
            Ok(answer.await?.status().as_u16())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener};

    use spec::units;

    use super::*;

    /// Needs root.
    struct Namespace(tempfile::TempDir);

    impl Namespace {
        fn new() -> Namespace {
            let dir = tempfile::tempdir().unwrap();
            netns::create(&dir.path().join("net")).unwrap();
            Namespace(dir)
        }

        fn path(&self) -> std::path::PathBuf {
            self.0.path().join("net")
        }

        /// Answers each connection with `answer`, without end; returns the port.
        fn serve(&self, answer: &'static str) -> u16 {
            let listener = netns::enter(&self.path(), || TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
            let port = listener.local_addr().unwrap().port();
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let mut stream = stream.unwrap();
                    let _ = stream.read(&mut [0; 1024]);
                    let _ = stream.write_all(answer.as_bytes());
                    if answer.is_empty() {
                        std::mem::forget(stream);
                    }
                }
            });
            port
        }

        async fn check(&self, check: Check) -> Result<(), String> {
            let probe = Probe {
                check,
                address: Ipv4Addr::LOCALHOST,
                interval: units::Duration(1),
                timeout: units::Duration(500),
                retries: 1,
                start_grace: units::Duration(0),
                restart: false,
            };
            super::check(&probe, &self.path()).await
        }
    }

    impl Drop for Namespace {
        fn drop(&mut self) {
            netns::delete(&self.path()).unwrap();
        }
    }

    fn http(port: u16, path: &str, expect_status: Option<u16>) -> Check {
        Check::Http { port, path: path.to_owned(), expect_status }
    }

    #[tokio::test]
    async fn a_port_that_listens_passes_and_one_that_does_not_fails() {
        let namespace = Namespace::new();
        let port = namespace.serve("");
        assert_eq!(namespace.check(Check::Tcp { port }).await, Ok(()));
        let message = namespace.check(Check::Tcp { port: 1 }).await.unwrap_err();
        assert_eq!(message, "connect to 127.0.0.1:1: Connection refused (os error 111)");
    }

    #[tokio::test]
    async fn the_hosts_own_ports_do_not_count() {
        let namespace = Namespace::new();
        let outside = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        namespace.check(Check::Tcp { port: outside.local_addr().unwrap().port() }).await.unwrap_err();
    }

    #[tokio::test]
    async fn the_status_of_an_answer_counts() {
        let namespace = Namespace::new();
        let good = namespace.serve("HTTP/1.1 204 No Content\r\n\r\n");
        let bad = namespace.serve("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
        let strange = namespace.serve("SSH-2.0-OpenSSH_9.2\r\n");
        assert_eq!(namespace.check(http(good, "/", None)).await, Ok(()));
        assert_eq!(namespace.check(http(good, "/", Some(204))).await, Ok(()));
        assert_eq!(namespace.check(http(good, "/", Some(200))).await.unwrap_err(), "GET /: status 204, not 200");
        assert_eq!(namespace.check(http(bad, "/ready?x=1", None)).await.unwrap_err(), "GET /ready?x=1: status 503");
        assert_eq!(namespace.check(http(bad, "/", Some(503))).await, Ok(()));
        namespace.check(http(strange, "/", None)).await.unwrap_err();
    }

    #[tokio::test]
    async fn silence_is_a_failure_after_the_timeout() {
        let namespace = Namespace::new();
        let silent = namespace.serve("");
        assert_eq!(namespace.check(http(silent, "/", None)).await.unwrap_err(), "no answer within 500ms");
        let gone = Path::new("/nonexistent/namespace");
        let probe = |check| Probe {
            check,
            address: Ipv4Addr::LOCALHOST,
            interval: units::Duration(1),
            timeout: units::Duration(500),
            retries: 1,
            start_grace: units::Duration(0),
            restart: false,
        };
        let message = super::check(&probe(Check::Tcp { port: 80 }), gone).await.unwrap_err();
        assert_eq!(message, "network namespace /nonexistent/namespace: cannot enter it: No such file or directory (os error 2)");
    }
}
