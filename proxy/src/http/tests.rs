//! The limits on waiting, with short ones: the process's own would take a minute to reach.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use spec::kind::endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::Limits;
use crate::plane::Shared;
use crate::plane::table::Table;
use crate::wire::Tables;

/// Longer than any wait of these tests.
const LONG: Duration = Duration::from_secs(60);

const SHORT: Duration = Duration::from_millis(200);

const PATIENCE: Duration = Duration::from_secs(20);

/// Serves one route to `backend` in this process.
async fn serve(limits: Limits, backend: SocketAddr) -> (SocketAddr, Arc<Shared>) {
    let SocketAddr::V4(backend) = backend else { unreachable!("bound to version 4") };
    let shared = Shared::new(64, limits);
    let spec = endpoint::Spec { protocol: endpoint::Protocol::Http, port: 80, path: "/".into(), backends: vec![backend] };
    let mut tables = Tables::default();
    tables.routes.insert("shop/web/http".parse().unwrap(), Arc::new(spec));
    shared.set_table(Table::new(&tables, &Table::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(super::serve(shared.clone(), 80, listener));
    (address, shared)
}

/// A backend that answers each read with `answer`, after `pause`.
async fn backend(answer: impl Into<Arc<[u8]>>, pause: Duration) -> SocketAddr {
    let (listener, answer) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), answer.into());
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                    tokio::time::sleep(pause).await;
                    let _ = stream.write_all(&answer).await;
                }
            });
        }
    });
    address
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Waits for the close, and returns what came before.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is a close too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("a close in time");
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_body_that_stands_still_gets_408_and_a_close() {
    let limits = Limits { head: LONG, idle: LONG, stall: SHORT };
    let silent = backend(&b""[..], Duration::ZERO).await;
    let (address, _) = serve(limits, silent).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_connection_is_closed_when_it_is_idle_and_not_while_its_backend_thinks() {
    let limits = Limits { head: SHORT, idle: SHORT, stall: SHORT };
    let thinker = backend(OK, SHORT * 4).await;
    let (address, _) = serve(limits, thinker).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The head of the next request is begun, but it is not yet that one's turn.
    stream.write_all(&[GET, b"GET / HT"].concat()).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"), "{answer}");

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let limits = Limits { head: LONG, idle: LONG, stall: SHORT };
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n".to_vec();
    answer.resize(answer.len() + (64 << 20), b'x');
    let (address, shared) = serve(limits, backend(answer, Duration::ZERO).await).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    stream.read_u8().await.unwrap();
    tokio::time::timeout(PATIENCE, async {
        while shared.crowd.len() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the connection is gone");
}

#[tokio::test]
async fn a_full_house_serves_newcomers_in_place_of_those_who_wait() {
    let limits = Limits { head: LONG, idle: LONG, stall: LONG };
    let (address, shared) = serve(limits, backend(OK, Duration::ZERO).await).await;
    let mut crowd = Vec::new();
    for number in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Silent ones and drips alike.
        stream.write_all(&GET[..number % 3]).await.unwrap();
        crowd.push(stream);
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET).await.unwrap();
    let mut answer = [0; 15];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert!(shared.crowd.len() <= 64 && shared.metrics.evicted.get() > 100);
}
