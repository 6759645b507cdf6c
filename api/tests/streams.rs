//! Logs, uploads, and the socket itself. Runs as root: one test takes another user's place.

mod common;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use api::Client;
use api::client::Error;
use api::wire::Reason;
use common::*;
use futures_util::StreamExt;
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use tokio::io::AsyncReadExt;

/// An upload that is no multiple of anything.
const UPLOAD_BYTES: u64 = 50_000_001;

#[tokio::test]
async fn logs_are_tailed_and_followed() {
    let mut daemon = Daemon::start().await;
    let replica = "hello/web/0".parse().unwrap();
    let all: Vec<_> = daemon.client.logs(&replica, None, false).await.unwrap().collect().await;
    assert_eq!(all.into_iter().flat_map(Result::unwrap).collect::<Vec<u8>>(), b"one\ntwo\nthree\n");
    let last: Vec<_> = daemon.client.logs(&replica, Some(1), false).await.unwrap().collect().await;
    assert_eq!(last.into_iter().flat_map(Result::unwrap).collect::<Vec<u8>>(), b"three\n");

    let mut followed = daemon.client.logs(&replica, Some(1), true).await.unwrap();
    assert_eq!(within(followed.next()).await.unwrap().unwrap(), "three\n");
    daemon.stop().await;
    assert!(within(followed.next()).await.is_none());
}

#[tokio::test]
async fn logs_of_nobody_are_not_found() {
    let daemon = Daemon::start().await;
    let Err(error) = daemon.client.logs(&"hello/web/7".parse().unwrap(), None, false).await else { panic!("there are some") };
    assert_eq!((error.reason(), error.to_string().as_str()), (Some(Reason::NotFound), "no replica hello/web/7"));
}

#[tokio::test]
async fn an_archive_larger_than_any_other_body_is_taken_in() {
    let daemon = Daemon::start().await;
    let loaded = within(daemon.client.load_image(tokio::io::repeat(b'x').take(UPLOAD_BYTES))).await.unwrap();
    assert_eq!(loaded[0].reference, "hello:dev");
    let images = daemon.client.images().await.unwrap();
    assert_eq!((images[0].digest.as_str(), images[0].size_bytes), ("sha256:00", UPLOAD_BYTES));
}

#[tokio::test]
async fn an_archive_that_is_refused_at_its_start_says_why() {
    let daemon = Daemon::start().await;
    let start: &[u8] = b"evil";
    let archive = AsyncReadExt::chain(start, tokio::io::repeat(b'x').take(UPLOAD_BYTES));
    let error = within(daemon.client.load_image(archive)).await.unwrap_err();
    assert_eq!((error.reason(), error.to_string().as_str()), (Some(Reason::InvalidImage), "it is no OCI archive"));
}

#[tokio::test]
async fn an_archive_that_cannot_be_read_is_not_the_nodes_fault() {
    let daemon = Daemon::start().await;
    let broken = futures_util::stream::iter([Ok(bytes::Bytes::from_static(b"good")), Err(std::io::Error::other("disk"))]);
    let error = within(daemon.client.load_image(tokio_util::io::StreamReader::new(broken))).await.unwrap_err();
    assert!(matches!(error, Error::Sending { .. }), "{error:?}");
}

#[tokio::test]
async fn where_no_node_runs_the_client_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("api.sock");
    let error = Client::new(missing.clone()).ready().await.unwrap_err();
    assert!(matches!(error, Error::NoNode { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no node runs here: nobody listens on {}", missing.display()));
    drop(std::os::unix::net::UnixListener::bind(&missing).unwrap());
    assert!(matches!(Client::new(missing).ready().await, Err(Error::NoNode { .. })));
}

#[tokio::test]
async fn a_socket_is_private_and_replaces_a_dead_one_only() {
    let daemon = Daemon::start().await;
    assert_eq!((mode(&daemon.socket), mode(daemon.socket.parent().unwrap())), (0o600, 0o700));
    let taken = api::bind(&daemon.socket).await.unwrap_err();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    daemon.client.ready().await.unwrap();

    let dead = daemon.socket.with_file_name("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    api::bind(&dead).await.unwrap();
    let file = daemon.socket.with_file_name("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(api::bind(&file).await.is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

/// Asks as `uid`, blocking; only the thread that calls it changes its user.
fn ask_as(uid: u32, socket: &PathBuf) -> Vec<u8> {
    let uid = Uid::from_raw(uid);
    set_thread_res_uid(uid, uid, uid).unwrap();
    let mut stream = UnixStream::connect(socket).unwrap();
    let mut answer = Vec::new();
    let asked = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    // Whether the close comes before or after the request, there is no answer.
    drop(asked.and_then(|()| stream.read_to_end(&mut answer)));
    answer
}

#[tokio::test]
async fn another_user_gets_no_answer_even_if_the_socket_lets_them_in() {
    let daemon = Daemon::start().await;
    let socket = daemon.socket.clone();
    for (path, mode) in [(socket.clone(), 0o666), (socket.parent().unwrap().to_owned(), 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let above = socket.parent().unwrap().parent().unwrap();
    std::fs::set_permissions(above, std::fs::Permissions::from_mode(0o755)).unwrap();
    let ask = async |uid| {
        let socket = socket.clone();
        // A thread of its own, since it never becomes root again.
        let thread = std::thread::spawn(move || ask_as(uid, &socket));
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap()
    };
    assert!(ask(0).await.starts_with(b"HTTP/1.1 200"));
    assert_eq!(ask(65534).await, b"");
}
