//! Following the store.

mod common;

use common::*;
use spec::plan::Writer;
use store::{Cursor, Ended, Stale, Store, Transaction};

/// More than the ring holds.
const MANY: usize = 8200;

async fn churn(store: &Store, times: usize) {
    let key = image("churn");
    commit(store, IMAGE, [put(&key, "1")]).await.unwrap();
    for n in 0..times {
        store.commit(Transaction::observed(Writer::Edge, [report(&key, &n.to_string())])).await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_gives_every_batch_after_its_cursor() {
    let store = memory();
    let mut from_now = store.watch(None).unwrap();
    let first = commit(&store, IMAGE, [put(&image("a"), "1"), put(&image("b"), "1")]).await.unwrap();
    let second = commit(&store, IMAGE, [put(&image("a"), "2")]).await.unwrap();
    for committed in [&first, &second] {
        let batch = from_now.next().await.unwrap();
        assert_eq!((batch.cursor, &batch.changes), (committed.cursor, &committed.changes));
    }
    assert_eq!(from_now.try_next().unwrap().map(|batch| batch.cursor), None);
    let mut from_first = store.watch(Some(first.cursor)).unwrap();
    assert_eq!(from_first.next().await.unwrap().cursor, second.cursor);
    assert_eq!(from_first.cursor(), store.head());
}

#[tokio::test]
async fn a_waiting_watch_is_woken() {
    let store = memory();
    let mut watch = store.watch(None).unwrap();
    let waiting = tokio::spawn(async move { watch.next().await.unwrap().cursor });
    let committed = commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), committed.cursor);
}

#[tokio::test]
async fn nothing_is_missing_between_a_snapshot_and_the_watch_from_it() {
    let store = memory();
    let writing = tokio::spawn({
        let store = store.clone();
        async move { churn(&store, 500).await }
    });
    let snapshot = store.snapshot();
    let mut watch = store.watch(Some(snapshot.cursor)).unwrap();
    writing.await.unwrap();
    assert_eq!(replay(by_key(snapshot.objects), &mut watch), by_key(store.snapshot().objects));
}

#[tokio::test]
async fn a_cursor_before_the_ring_is_stale() {
    let store = memory();
    let start = store.head();
    let mut slow = store.watch(None).unwrap();
    churn(&store, MANY).await;
    let stale = store.watch(Some(start)).unwrap_err();
    assert_eq!(stale.head, store.head());
    assert!(start < stale.oldest && stale.oldest < stale.head);
    assert!(store.watch(Some(stale.oldest)).is_ok());
    assert_eq!(slow.next().await.unwrap_err(), Ended::Lagged);
}

#[tokio::test]
async fn a_cursor_of_another_store_is_stale() {
    let (store, other) = (memory(), memory());
    let start = store.head();
    commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    let stale = store.watch(Some(other.head())).unwrap_err();
    assert_eq!(stale, Stale { oldest: start, head: store.head() });
    let future: Cursor = format!("{}1", store.head()).parse().unwrap();
    assert!(store.watch(Some(future)).is_err());
}

#[tokio::test]
async fn a_watch_ends_with_its_store_and_not_before_its_last_batch() {
    let store = memory();
    let mut watch = store.watch(None).unwrap();
    let committed = commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    drop(store);
    assert_eq!(watch.next().await.unwrap().cursor, committed.cursor);
    assert_eq!(watch.next().await.unwrap_err(), Ended::Closed);
    assert_eq!(watch.try_next().unwrap_err(), Ended::Closed);
}
