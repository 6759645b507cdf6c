//! What a hostile or broken client sends, and what it gets.

mod common;

use std::time::Duration;

use api::Limits;
use api::client::PutOptions;
use api::wire::{ManifestType, Reason};
use common::*;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")
}

fn put(media_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "PUT /objects HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn is(answer: &str, status: u16, reason: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(&format!("\"reason\":\"{reason}\""))
}

#[tokio::test]
async fn a_refusal_is_a_problem_document() {
    let daemon = Daemon::start().await;
    let answer = daemon.raw(get("/nothing", "Host: localhost\r\n")).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("content-type: application/problem+json"), "{head}");
    insta::assert_snapshot!(
        body,
        @r#"{"title":"Not Found","status":404,"reason":"not_found","detail":"the API has no /nothing"}"#
    );
}

#[tokio::test]
async fn foreign_hosts_and_any_origin_are_refused() {
    let daemon = Daemon::start().await;
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1", "localhost:evil", "localhost\r\nHost: evil.example"] {
        let answer = daemon.raw(get("/objects", &format!("Host: {host}\r\n"))).await;
        assert!(is(&answer, 403, "foreign_host"), "{host}: {answer}");
    }
    let answer = daemon.raw(get("http://evil.example/objects", "Host: localhost\r\n")).await;
    assert!(is(&answer, 403, "foreign_host"), "{answer}");
    for origin in ["null", "http://localhost", "https://evil.example"] {
        let answer = daemon.raw(get("/objects", &format!("Host: localhost\r\nOrigin: {origin}\r\n"))).await;
        assert!(is(&answer, 403, "foreign_origin"), "{origin}: {answer}");
    }
    for host in ["localhost", "localhost:80", "stead"] {
        let answer = daemon.raw(get("/objects", &format!("Host: {host}\r\n"))).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn a_path_with_two_readings_is_refused() {
    let daemon = Daemon::start().await;
    let paths = [
        "/objects/deployment/a%2fb",
        "/objects/deployment/%2e%2e/x",
        "/objects/deployment/../image/x",
        "/objects/./deployment/x",
        "/objects//deployment",
        "/objects/deployment/x/",
        "/%6fbjects",
        "/objects/deployment/a\\b",
        "/logs/hello/web/0%00",
        "/watch%3fkind=x",
    ];
    for path in paths {
        let answer = daemon.raw(get(path, "Host: localhost\r\n")).await;
        assert!(is(&answer, 400, "bad_path"), "{path}: {answer}");
    }
    for name in ["UPPER", "-x", "a/b/c/d/e/f/g", &"x".repeat(4096)] {
        let answer = daemon.raw(get(&format!("/objects/deployment/{name}"), "Host: localhost\r\n")).await;
        assert!(is(&answer, 400, "bad_path"), "{name}: {answer}");
    }
}

#[tokio::test]
async fn unknown_paths_methods_kinds_and_parameters_are_refused() {
    let daemon = Daemon::start().await;
    for (request, status, reason) in [
        ("GET /metrics", 404, "not_found"),
        ("GET /objects/pod/x", 404, "not_found"),
        ("GET /objects/deployment/x", 404, "not_found"),
        ("POST /objects", 405, "wrong_method"),
        ("PATCH /objects/deployment/x", 405, "wrong_method"),
        ("DELETE /watch", 405, "wrong_method"),
        ("DELETE /images", 405, "wrong_method"),
        ("GET /objects?kind=pod", 400, "bad_query"),
        ("GET /objects?kinds=image", 400, "bad_query"),
        ("GET /objects?limit=0", 400, "bad_query"),
        ("GET /objects?limit=-1", 400, "bad_query"),
        ("GET /objects?continue=x", 400, "bad_query"),
        ("GET /objects?deployment=a/b", 400, "bad_query"),
        ("GET /watch?since=x", 400, "bad_query"),
        ("GET /logs/hello/web/0?tail=many", 400, "bad_query"),
        ("DELETE /objects/service/a/b", 403, "derived_object"),
    ] {
        let answer = daemon.raw(format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).await;
        assert!(is(&answer, status, reason), "{request}: {answer}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    let daemon = Daemon::start().await;
    let text = manifest("hello", &[8080]);
    for media_type in ["text/yaml", "application/x-www-form-urlencoded", "text/plain", "", "application/yaml2"] {
        let answer = daemon.raw(put(media_type, text.as_bytes())).await;
        assert!(is(&answer, 415, "unsupported_media_type"), "{media_type}: {answer}");
    }
    let answer = daemon.raw(put("application/YAML; charset=utf-8", text.as_bytes())).await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    let answer = daemon.raw(put("application/yaml", b"version: v1\ndeployment: \xff\xfe")).await;
    assert!(is(&answer, 400, "bad_body"), "{answer}");
}

#[tokio::test]
async fn a_body_of_one_byte_too_many_is_refused() {
    let daemon = Daemon::start().await;
    let limit = Limits::default().body_bytes;
    let padded = |length: usize| {
        let text = manifest("hello", &[8080]);
        let comment = "#".repeat(length - text.len());
        text + &comment
    };
    let put = async |text: String| daemon.client.put_manifest(&text, ManifestType::Yaml, PutOptions::default()).await;
    let error = put(padded(limit + 1)).await.unwrap_err();
    assert_eq!((error.reason(), error.problem().unwrap().status), (Some(Reason::TooLarge), 413));
    assert!(daemon.store.is_empty());
    let error = put(padded(10 * limit)).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::TooLarge));
    put(padded(limit)).await.unwrap();
}

#[tokio::test]
async fn hostile_manifests_are_refused_quickly() {
    let daemon = Daemon::start().await;
    let bomb: String = (1..30).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}]\n", n - 1)).collect();
    let cases = [
        format!("a0: &a0 x\n{bomb}"),
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        manifest("hello", &[8080]).replace("deployment: hello", "deployment: hello\ndeployment: hello"),
        manifest("hello", &[8080]).replace("hello", "no"),
        manifest("hello", &[8080]).replace("hello", "!!python/object hello"),
        "---\n".repeat(50_000),
    ];
    for text in cases {
        for media_type in [ManifestType::Yaml, ManifestType::Json] {
            let started = std::time::Instant::now();
            let error = daemon.client.put_manifest(&text, media_type, PutOptions::default()).await.unwrap_err();
            let start: String = text.chars().take(40).collect();
            // What is called JSON and is none is refused as that.
            let reason = error.reason().filter(|reason| *reason != Reason::BadBody || media_type == ManifestType::Json);
            assert!(matches!(reason, Some(Reason::InvalidManifest | Reason::BadBody)), "{start}: {error:?}");
            assert!(started.elapsed() < Duration::from_secs(2), "{start}: {:?}", started.elapsed());
        }
    }
}

#[tokio::test]
async fn a_request_that_is_ambiguous_or_too_long_is_refused() {
    let daemon = Daemon::start().await;
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    for request in [
        "PUT /objects HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
        "GET /objects HTTP/1.1\r\nHost: localhost\r\n bad header\r\n\r\n".to_owned(),
        "nonsense\r\n\r\n".to_owned(),
    ] {
        let answer = daemon.raw(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
    }
    let answer = daemon.raw(get("/objects", &format!("Host: localhost\r\n{long}"))).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

/// Sends a head that promises a body, and no body.
async fn stuck(daemon: &Daemon) -> UnixStream {
    let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
    let head = "PUT /objects HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/yaml\r\nContent-Length: 10\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let limits = Limits { request: Duration::from_millis(100), ..Limits::default() };
    let daemon = Daemon::start_with(limits).await;
    let answer = read_to_end(&mut stuck(&daemon).await).await;
    assert!(is(&answer, 408, "timeout"), "{answer}");
}

#[tokio::test]
async fn requests_over_the_limit_are_told_to_come_back() {
    let limits = Limits { requests: 2, request: Duration::from_secs(60), ..Limits::default() };
    let daemon = Daemon::start_with(limits).await;
    let mut held = vec![stuck(&daemon).await, stuck(&daemon).await];
    // They count from when the server has read their heads.
    let alive = async || daemon.raw(get("/healthz", "Host: localhost\r\n")).await;
    let refused = within(async {
        loop {
            let answer = alive().await;
            if !answer.starts_with("HTTP/1.1 200") {
                break answer;
            }
        }
    })
    .await;
    assert!(is(&refused, 503, "busy") && refused.contains("retry-after: 1"), "{refused}");
    // Streams have places of their own.
    daemon.client.watch(&api::wire::Query::default(), None).await.unwrap();
    held.pop();
    within(async { while !alive().await.starts_with("HTTP/1.1 200") {} }).await;
}

#[tokio::test]
async fn streams_over_the_limit_are_refused_until_one_ends() {
    let limits = Limits { streams: 1, ..Limits::default() };
    let daemon = Daemon::start_with(limits).await;
    let query = api::wire::Query::default();
    let mut first = daemon.client.watch(&query, None).await.unwrap();
    next(&mut first).await;
    let Err(error) = daemon.client.watch(&query, None).await else { panic!("there was a second place") };
    assert_eq!(error.reason(), Some(Reason::Busy));
    daemon.client.ready().await.unwrap();
    drop(first);
    within(async { while daemon.client.watch(&query, None).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_manifest_with_control_characters_comes_back_escaped() {
    let daemon = Daemon::start().await;
    let text = "version: v1\ndeployment: \"a\\nb\\e[31m\"\nservices: {}\n";
    let answer = daemon.raw(put("application/yaml", text.as_bytes())).await;
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(is(&answer, 400, "invalid_manifest"), "{answer}");
    assert!(!body.bytes().any(|byte| byte < b' '), "{body:?}");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let limits = Limits { streams: 4, ..Limits::default() };
    let daemon = Daemon::start_with(limits).await;
    for _ in 0..20 {
        let mut stream = UnixStream::connect(&daemon.socket).await.unwrap();
        stream.write_all(get("/watch", "Host: localhost\r\n").as_bytes()).await.unwrap();
        let mut byte = [0];
        within(stream.read_exact(&mut byte)).await.unwrap();
    }
    // Their places come free without a change in the store that would show them gone.
    let mut events = within(async {
        loop {
            match daemon.client.watch(&api::wire::Query::default(), None).await {
                Ok(events) => break events,
                Err(error) => assert_eq!(error.reason(), Some(Reason::Busy)),
            }
        }
    })
    .await;
    assert!(within(events.next()).await.unwrap().is_ok());
}
