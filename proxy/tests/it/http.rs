//! Routing, forwarding, streaming, and what happens when backends do not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::{Backend, Client, PORT, Rig, eventually, tables, web};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_to_the_route_of_the_longest_prefix() {
    let (root, api, other) = (Backend::echo("root").await, Backend::echo("api").await, Backend::echo("other").await);
    let rig = Rig::start().await;
    let applied = rig
        .plane()
        .set(&tables(&[
            ("shop/root/http", PORT, "/", &[root.address]),
            ("shop/api/http", PORT, "/api", &[api.address]),
            ("shop/other/http", 8081, "/only", &[other.address]),
        ]))
        .await
        .unwrap();
    assert!(applied.failed.is_empty(), "{:?}", applied.failed);

    let mut client = rig.client().await;
    for (target, answer) in [
        ("/", "root GET / 0"),
        ("/api?a=%2F", "api GET /api?a=%2F 0"),
        ("/api/%41?q", "api GET /api/%41?q 0"),
        ("/%61pi/x", "api GET /%61pi/x 0"),
        ("/apix", "root GET /apix 0"),
    ] {
        let reply = client.get(target).await;
        assert_eq!((reply.status, reply.first_line()), (200, answer));
    }
    let mut client = Client::connect(rig.address(8081)).await;
    let reply = client.get("/").await;
    assert_eq!((reply.status, reply.body.as_str()), (404, "no service answers on this path\n"));
    assert_eq!(client.get("/only/x").await.first_line(), "other GET /only/x 0");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_take_turns() {
    let (a, b, c) = (Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await);
    let rig = Rig::start().await;
    rig.plane().set(&web(&[a.address, b.address, c.address])).await.unwrap();
    let mut client = rig.client().await;
    let mut seen = String::new();
    for _ in 0..9 {
        seen += &client.get("/").await.body[..1];
    }
    let mut round: Vec<char> = seen.chars().take(3).collect();
    assert_eq!(seen, seen[..3].repeat(3));
    round.sort_unstable();
    assert_eq!(round, ['a', 'b', 'c']);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_about_the_client_are_the_proxys_own() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n\
             X-Forwarded-Host: evil\r\nX-Forwarded-Proto: https\r\nX-Real-IP: 6.6.6.6\r\n\
             Connection: X-Secret, X-Forwarded-For\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nTE: trailers\r\n\
             Accept: */*\r\n\r\n",
        )
        .await;
    let mut fields: Vec<String> = client.reply().await.body.lines().skip(1).map(str::to_owned).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "accept: */*",
            "forwarded: for=127.0.0.1;proto=http",
            "host: shop.example",
            "x-forwarded-for: 127.0.0.1",
            "x-forwarded-host: shop.example",
            "x-forwarded-proto: http",
        ]
    );
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_ready_replicas_is_named() {
    let rig = Rig::start().await;
    rig.plane().set(&web(&[])).await.unwrap();
    let mut client = rig.client().await;
    for _ in 0..2 {
        let reply = client.get("/").await;
        assert_eq!((reply.status, reply.body.as_str()), (503, "service shop/web: no replica is ready\n"));
        assert_eq!(reply.header("retry-after"), "1");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_down_is_passed_over_and_one_that_comes_back_is_found() {
    let (up, down) = (Backend::echo("up").await, Backend::echo("down").await);
    let address = down.address;
    drop(down);
    let rig = Rig::start().await;
    rig.plane().set(&web(&[up.address, address])).await.unwrap();
    let mut client = rig.client().await;
    for _ in 0..6 {
        assert_eq!(client.get("/").await.status, 200);
    }

    rig.plane().set(&web(&[address])).await.unwrap();
    let started = Instant::now();
    let reply = client.get("/").await;
    assert_eq!((reply.status, reply.body.as_str()), (502, "service shop/web: no replica accepts connections\n"));
    assert!(started.elapsed() > Duration::from_secs(1), "it kept trying");

    // A request that waits is carried to the replica that comes meanwhile, its body untouched.
    let mut client = rig.client().await;
    client.send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").await;
    rig.plane().set(&web(&[up.address])).await.unwrap();
    assert_eq!(client.reply().await.first_line(), "up POST /late 5");
    let figures = rig.plane().figures().await.unwrap();
    assert_eq!((figures.routes["shop/web/http"].requests, figures.routes["shop/web/http"].errors), (8, 1));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_stream_both_ways_without_being_collected() {
    // Answers each byte as it comes: nothing moves if anything on the way waits for the whole.
    let backend = Backend::raw(|mut stream| async move {
        let mut buffer = Vec::new();
        while !buffer.ends_with(b"\r\n\r\n") {
            buffer.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
        let mut chunk = [0; 6];
        for _ in 0..3 {
            stream.read_exact(&mut chunk).await.unwrap();
            stream.write_all(&chunk).await.unwrap();
        }
        stream.read_exact(&mut chunk[..5]).await.unwrap();
        assert_eq!(&chunk[..5], b"0\r\n\r\n");
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    while client.line().await.unwrap() != "" {}
    for letter in ["a", "b", "c"] {
        client.send(&format!("1\r\n{letter}\r\n")).await;
        assert_eq!((client.line().await.unwrap().as_str(), client.line().await.unwrap().as_str()), ("1", letter));
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(client.line().await.unwrap(), "0");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_passes_in_both_directions() {
    const SIZE: usize = 32 << 20;
    let backend = Backend::start(|request| async move {
        let body = http_body_util::BodyExt::collect(request).await.unwrap().to_bytes();
        Response::new(Full::new(body))
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client.send(&format!("PUT /big HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n")).await;
    client.send(&"x".repeat(SIZE)).await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.body.len()), (200, SIZE));
    let status = std::fs::read_to_string(format!("/proc/{}/status", rig.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    assert!(peak.unwrap() < 2 * SIZE / 1024, "peak {} kB", peak.unwrap());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_a_backend_closes_while_idle_costs_no_request() {
    // Says keep-alive and closes all the same, right after each answer.
    let served = Arc::new(AtomicUsize::new(0));
    let count = served.clone();
    let backend = Backend::raw(move |mut stream| {
        let count = count.clone();
        async move {
            let mut buffer = Vec::new();
            while !buffer.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { return };
                buffer.push(byte);
            }
            count.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        }
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    for number in 0..500 {
        assert_eq!(client.get("/").await.status, 200, "request {number}");
    }
    assert!(served.load(Ordering::Relaxed) >= 500);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_dies_in_the_middle_gives_a_502_and_its_effects_are_not_repeated() {
    let tried = Arc::new(AtomicUsize::new(0));
    let count = tried.clone();
    let backend = Backend::raw(move |mut stream| {
        let count = count.clone();
        async move {
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer).await;
            count.fetch_add(1, Ordering::Relaxed);
        }
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client.send("POST /pay HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.header("connection")), (502, "close"));
    assert_eq!(tried.load(Ordering::Relaxed), 1);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_backend_are_used_again_and_closed_when_idle() {
    let (opened, open) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (o, n) = (opened.clone(), open.clone());
    let backend = Backend::raw(move |mut stream| {
        let (opened, open) = (o.clone(), n.clone());
        async move {
            opened.fetch_add(1, Ordering::Relaxed);
            open.fetch_add(1, Ordering::Relaxed);
            let mut buffer = [0; 4096];
            while stream.read(&mut buffer).await.is_ok_and(|length| length > 0) {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
            }
            open.fetch_sub(1, Ordering::Relaxed);
        }
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    for _ in 0..50 {
        let mut client = rig.client().await;
        assert_eq!(client.get("/").await.status, 200);
    }
    assert!(opened.load(Ordering::Relaxed) < 10, "{} connections for 50 requests", opened.load(Ordering::Relaxed));
    eventually("idle connections are closed", async || open.load(Ordering::Relaxed) == 0).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_ends_at_a_replica_that_has_left_the_table() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let old = Backend::start(move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            Response::new(Full::new(Bytes::from("old\n")))
        }
    })
    .await;
    let new = Backend::echo("new").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[old.address])).await.unwrap();
    let mut slow = rig.client().await;
    slow.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request has arrived", async || rig.plane().figures().await.unwrap().routes["shop/web/http"].requests == 1)
        .await;
    rig.plane().set(&web(&[new.address])).await.unwrap();
    let mut client = rig.client().await;
    for _ in 0..5 {
        assert_eq!(client.get("/").await.first_line(), "new GET / 0");
    }
    release.send(true).unwrap();
    assert_eq!(slow.reply().await.body, "old\n");
    assert_eq!(slow.get("/").await.first_line(), "new GET / 0");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_http_1_0_work_as_ever() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut length = None;
    while let Some(line) = client.line().await.filter(|line| !line.is_empty()) {
        length = line.strip_prefix("content-length: ").map(str::to_owned).or(length);
    }
    assert!(length.unwrap().parse::<usize>().unwrap() > 0);
    assert_eq!(client.get("/after").await.first_line(), "web GET /after 0");

    let mut old = rig.client().await;
    old.send("GET /old HTTP/1.0\r\n\r\n").await;
    let answer = old.rest().await;
    assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.contains("web GET /old 0"), "{answer}");

    let mut client = rig.client().await;
    client.send("POST /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(client.line().await.unwrap(), "HTTP/1.1 100 Continue");
    client.line().await;
    client.send("hi").await;
    assert_eq!(client.reply().await.first_line(), "web POST /c 2");
    client.send("GET /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    assert_eq!(client.reply().await.first_line(), "web GET /chunked 2");
    client.send("GET http://shop.example/absolute?x HTTP/1.1\r\nHost: shop.example\r\n\r\n").await;
    assert_eq!(client.reply().await.first_line(), "web GET /absolute?x 0");
    rig.end().await;
}
