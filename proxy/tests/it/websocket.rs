//! A change of protocol is passed through.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::{Backend, Rig, web};

#[tokio::test(flavor = "multi_thread")]
async fn bytes_flow_both_ways_after_an_upgrade_and_no_rule_of_http_touches_them() {
    let backend = Backend::raw(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("connection: upgrade") && head.contains("upgrade: websocket"), "{head}");
        stream
            .write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Accept: 1\r\n\r\n")
            .await
            .unwrap();
        let mut byte = [0; 64];
        while let Ok(length @ 1..) = stream.read(&mut byte).await {
            stream.write_all(&byte[..length]).await.unwrap();
        }
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.header("upgrade"), reply.header("x-accept")), (101, "websocket", "1"));
    for message in ["\n\n\0bare", "GET / HTTP/1.1\n"] {
        client.send(message).await;
        let mut echo = vec![0; message.len()];
        client.stream.read_exact(&mut echo).await.unwrap();
        assert_eq!(echo, message.as_bytes());
    }
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.rest().await, "");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_nobody_asked_for_is_not_passed_on() {
    let backend = Backend::raw(|mut stream| async move {
        let mut buffer = [0; 1024];
        let _ = stream.read(&mut buffer).await;
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n").await;
        let _ = stream.read(&mut buffer).await;
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    assert_eq!(rig.client().await.get("/").await.status, 502);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_for_another_version_of_http_is_not_opened() {
    let backend = Backend::raw(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let answer = match head.contains("h2c") || head.contains("http2-settings") {
            true => "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            false => "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain",
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let mut client = rig.client().await;
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
        .await;
    let reply = client.reply().await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "plain"));
    rig.end().await;
}
