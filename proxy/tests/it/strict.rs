//! Requests that two readers could understand differently are refused, and nothing follows them on their connection.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::{Backend, Rig, eventually, web};

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_get_400_and_the_connection_is_closed() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for request in [
        // Two framings.
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\nabcd",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        // Lines that end otherwise.
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\rTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        // Chunks.
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\na",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        // Hosts.
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        // Paths.
        "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a%00 HTTP/1.1\r\nHost: a\r\n\r\n",
        // No HTTP at all.
        "\u{16}\u{3}\u{1}hello\r\n\r\n",
        "GET / HTTP/9.1\r\nHost: a\r\n\r\n",
        "G\u{7f}T / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = rig.client().await;
        client.send(&format!("{request}{smuggled}")).await;
        let answer = client.rest().await;
        assert!(
            answer.starts_with("HTTP/1.1 400 Bad Request\r\n") || answer.starts_with("HTTP/1.0 400"),
            "{request:?}: {answer:?}"
        );
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "{request:?}: {answer:?}");
    }
    // What is fine still is.
    assert_eq!(rig.client().await.get("/").await.status, 200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_are_bounded_in_size_and_number() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let many: String = (0..200).map(|number| format!("X-{number}: y\r\n")).collect();
    for (request, status) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(40 << 10)), "431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), "431"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(66 << 10)), "4"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(1 << 20)), "431"),
    ] {
        let mut client = rig.client().await;
        // The proxy may close before it has read everything.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes()).await;
        let answer = client.rest().await;
        let expected = format!("HTTP/1.1 {status}");
        assert!(answer.is_empty() || answer.starts_with(&expected), "{:?}: {answer:?}", &request[..40]);
    }
    assert_eq!(rig.client().await.get("/").await.status, 200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_an_unread_body_is_not_used_again() {
    let rig = Rig::start().await;
    rig.plane().set(&web(&[])).await.unwrap();
    let mut client = rig.client().await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let answer = client.rest().await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_too_slowly_is_cut_off_after_five_seconds() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let started = std::time::Instant::now();
    let (mut silent, mut partial, mut second) = (rig.client().await, rig.client().await, rig.client().await);
    partial.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
    assert_eq!(second.get("/").await.status, 200);
    second.send("GET / HT").await;
    // A byte now and then buys no time.
    let drip = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let mut client = second;
        while client.stream.write_all(b"T").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    assert_eq!((silent.rest().await.as_str(), partial.rest().await.as_str()), ("", ""));
    drip.await.unwrap();
    let elapsed = started.elapsed().as_secs_f32();
    assert!((4.5..9.0).contains(&elapsed), "{elapsed} s");
    eventually("all are gone", async || rig.plane().figures().await.unwrap().open_connections == 0).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_backend_says_of_its_own_connection_does_not_reach_the_client() {
    for (answer, status, body) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", 200, "whole"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nConnection: close\r\n\r\nraw", 502, ""),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nolder", 200, "older"),
    ] {
        let backend = Backend::raw(move |mut stream| async move {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let rig = Rig::start().await;
        rig.plane().set(&web(&[backend.address])).await.unwrap();
        let mut client = rig.client().await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
        let said = client.rest().await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert!(said.contains(body), "{said}");
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_never_stops_to_say_continue_is_given_up() {
    let backend = Backend::raw(|mut stream| async move {
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100);
        while stream.write_all(&interim).await.is_ok() {}
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    assert_eq!(rig.client().await.get("/").await.status, 502);
    rig.end().await;
}
