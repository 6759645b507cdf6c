//! Watches, by the client and by plain HTTP.

mod common;

use std::time::Duration;

use api::Limits;
use api::wire::{Event, Query, Reason};
use common::*;
use futures_util::StreamExt;
use spec::{Key, Kind, Write};
use store::{Op, Transaction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

fn images() -> Query {
    Query { kinds: vec![Kind::Image], ..Query::default() }
}

async fn commit(daemon: &Daemon, ops: impl IntoIterator<Item = Op>) -> store::Cursor {
    daemon.store.commit(Transaction::new(IMAGE, ops)).await.unwrap().cursor
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_and_goes_on_with_what_changes() {
    let daemon = Daemon::start().await;
    let start = commit(&daemon, [image("a", "1"), image("b", "1")]).await;
    let mut events = daemon.client.watch(&images(), None).await.unwrap();
    for name in ["a", "b"] {
        let event = put_of(next(&mut events).await);
        assert_eq!((event.object.key.name.as_str(), event.cursor, event.more), (name, start, true));
    }
    assert_eq!(next(&mut events).await, Event::Synced { cursor: start });
    let changed = commit(&daemon, [image("a", "2")]).await;
    let event = next(&mut events).await;
    assert_eq!(event.resume(), Some(changed));
    assert_eq!(*put_of(event).object, *daemon.store.get(&Key::new(Kind::Image, "a".parse().unwrap())).unwrap());
}

#[tokio::test]
async fn events_of_one_transaction_share_its_cursor_and_only_the_last_can_be_resumed_from() {
    let daemon = Daemon::start().await;
    let start = daemon.store.head();
    let mut events = daemon.client.watch(&images(), Some(start)).await.unwrap();
    let cursor = commit(&daemon, [image("a", "1"), image("b", "1"), image("c", "1")]).await;
    let resumes = [next(&mut events).await.resume(), next(&mut events).await.resume(), next(&mut events).await.resume()];
    assert_eq!(resumes, [None, None, Some(cursor)]);
    let mut again = daemon.client.watch(&images(), Some(start)).await.unwrap();
    assert_eq!(put_of(next(&mut again).await).cursor, cursor);
}

#[tokio::test]
async fn only_what_is_asked_for_is_sent_and_what_goes_is_deleted() {
    let daemon = Daemon::start().await;
    let key = Key::new(Kind::Image, "a".parse().unwrap());
    let query = Query { kinds: vec![Kind::Deployment], deployment: Some("hello".parse().unwrap()), service: None };
    let mut one = daemon.client.watch(&query, Some(daemon.store.head())).await.unwrap();
    let mut all = daemon.client.watch(&images(), Some(daemon.store.head())).await.unwrap();
    commit(&daemon, [image("a", "1")]).await;
    daemon.put(&manifest("other", &[8081])).await.unwrap();
    daemon.put(&manifest("hello", &[8080])).await.unwrap();
    assert_eq!(put_of(next(&mut one).await).object.key, deployment("hello"));
    assert_eq!(put_of(next(&mut all).await).object.key, key);
    let ops = [Op::new(Write::Delete { key: key.clone() }), Op::new(Write::Remove { key: key.clone() })];
    daemon.store.commit(Transaction::new(COLLECT, ops)).await.unwrap();
    match next(&mut all).await {
        Event::Delete(event) => assert_eq!(event.object.key, key),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_watch_without_news_says_that_it_is_alive_while_other_things_change() {
    let limits = Limits { bookmark: Duration::from_millis(20), ..Limits::default() };
    let daemon = Daemon::start_with(limits).await;
    let query = Query { kinds: vec![Kind::Deployment], ..Query::default() };
    let mut events = daemon.client.watch(&query, Some(daemon.store.head())).await.unwrap();
    let mut last = daemon.store.head();
    let mut bookmark = async || match next(&mut events).await {
        Event::Bookmark { cursor } => cursor,
        other => panic!("{other:?}"),
    };
    assert_eq!(bookmark().await, last);
    for round in 0..3 {
        let changed = commit(&daemon, [image("a", &round.to_string())]).await;
        while last < changed {
            last = bookmark().await;
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_store_is_gone_and_says_where_to_go_on() {
    let (daemon, other) = (Daemon::start().await, Daemon::start().await);
    let Err(error) = daemon.client.watch(&images(), Some(other.store.head())).await else { panic!("it was accepted") };
    let problem = error.problem().unwrap();
    assert_eq!((problem.status, problem.reason), (410, Reason::StaleCursor));
    let stale = problem.stale.as_ref().unwrap();
    assert_eq!((stale.head_cursor, stale.replay_complete), (daemon.store.head(), false));
    daemon.client.watch(&images(), Some(stale.oldest_available_cursor)).await.unwrap();
    let answer = daemon.raw("GET /watch?since=yesterday HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("bad_query"), "{answer}");
}

#[tokio::test]
async fn watches_end_when_the_server_does() {
    let mut daemon = Daemon::start().await;
    let mut events = daemon.client.watch(&images(), None).await.unwrap();
    next(&mut events).await;
    daemon.stop().await;
    assert!(within(events.next()).await.is_none());
}

/// Reads the answer until it contains `end`.
async fn read_until(stream: &mut UnixStream, end: &str) -> String {
    let mut answer = String::new();
    while !answer.contains(end) {
        let mut chunk = [0; 4096];
        let length = within(stream.read(&mut chunk)).await.unwrap();
        assert_ne!(length, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
    }
    answer
}

#[tokio::test]
async fn lines_and_event_streams_look_as_documented() {
    let daemon = Daemon::start().await;
    let start = commit(&daemon, [image("a", "1")]).await;
    let mut lines = UnixStream::connect(&daemon.socket).await.unwrap();
    lines.write_all(b"GET /watch?kind=images HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = read_until(&mut lines, "synced").await;
    assert!(answer.contains("content-type: application/x-ndjson"), "{answer}");
    assert!(answer.contains(&format!(r#"{{"type":"put","cursor":"{start}","more":true,"object":{{"schema":1,"#)), "{answer}");
    assert!(answer.contains(&format!("{{\"type\":\"synced\",\"cursor\":\"{start}\"}}\n")), "{answer}");

    let mut events = UnixStream::connect(&daemon.socket).await.unwrap();
    events.write_all(b"GET /watch HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n").await.unwrap();
    let answer = read_until(&mut events, "synced\"").await;
    assert!(answer.contains("content-type: text/event-stream"), "{answer}");
    assert!(answer.contains("event: put\ndata: {"), "{answer}");
    assert!(answer.contains(&format!("event: synced\nid: {start}\ndata: {{")), "{answer}");

    // A browser that reconnects names the last id it saw.
    let changed = commit(&daemon, [image("a", "2")]).await;
    let mut again = UnixStream::connect(&daemon.socket).await.unwrap();
    let request =
        format!("GET /watch HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nLast-Event-ID: {start}\r\n\r\n");
    again.write_all(request.as_bytes()).await.unwrap();
    let answer = read_until(&mut again, "event: put").await;
    assert!(answer.contains(&format!("id: {changed}")) && !answer.contains("synced"), "{answer}");
}

#[tokio::test]
async fn a_large_snapshot_arrives_whole_and_in_order() {
    let daemon = Daemon::start().await;
    for chunk in 0..5 {
        commit(&daemon, (0..500).map(|n| image(&format!("i{:05}", chunk * 500 + n), &"x".repeat(200)))).await;
    }
    let mut events = daemon.client.watch(&images(), None).await.unwrap();
    let mut names = Vec::new();
    loop {
        match next(&mut events).await {
            Event::Put(event) => names.push(event.object.key.name.to_string()),
            Event::Synced { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(names, (0..2500).map(|n| format!("i{n:05}")).collect::<Vec<_>>());
}
