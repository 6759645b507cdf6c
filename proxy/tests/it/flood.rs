//! Thousands of connections that do nothing: the others are still served.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::kit::{Backend, PORT, Rig, web};

/// What the threat asks for, or what the machine's limit lets this process open.
const SLOW: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_slow_connections_do_not_keep_others_out() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let slow = maximum.map_or(SLOW, |files| SLOW.min(usize::try_from(files).unwrap() - 2_000));

    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let address = rig.address(PORT);
    let mut crowd = Vec::with_capacity(slow);
    let mut client = rig.client().await;
    let mut slowest = Duration::ZERO;
    for number in 0..slow {
        let mut stream = TcpStream::connect(address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: ").await.unwrap();
        }
        crowd.push(stream);
        if number % 100 == 0 {
            let started = std::time::Instant::now();
            assert_eq!(client.get("/").await.status, 200);
            assert_eq!(rig.client().await.get("/").await.status, 200);
            slowest = slowest.max(started.elapsed());
        }
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    let figures = rig.plane().figures().await.unwrap();
    assert!(figures.connections > slow as u64, "{figures:?}");
    rig.end().await;
}
