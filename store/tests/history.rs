//! The history: watchers go on where they were, also in the next process.

#[path = "common/disk.rs"]
mod disk;
#[path = "common/random.rs"]
mod random;

mod common;

use std::path::Path;
use std::sync::Arc;

use common::*;
use disk::TestDisk;
use spec::plan::Writer;
use store::{Batch, Cursor, Options, Store, Transaction, Watch};

fn open(file: &Path) -> Store {
    Store::open(file, writers()).unwrap()
}

fn small() -> Options {
    Options { history_revisions: 100, ..Options::default() }
}

/// Returns all that a watch has.
fn drain(watch: &mut Watch) -> Vec<Arc<Batch>> {
    std::iter::from_fn(|| watch.try_next().unwrap()).collect()
}

fn told(batches: &[Arc<Batch>]) -> Vec<(Cursor, &[spec::Change])> {
    batches.iter().map(|batch| (batch.cursor, &batch.changes[..])).collect()
}

/// Creates, changes, reports, deletes and takes away; returns the cursor behind each transaction.
async fn live(store: &Store) -> Vec<Cursor> {
    let mut cursors = Vec::new();
    let mut done = async |writer, ops: Vec<_>| cursors.push(commit(store, writer, ops).await.unwrap().cursor);
    done(IMAGE, vec![put(&image("a"), "1"), put(&image("b"), "1")]).await;
    done(IMAGE, vec![put(&image("a"), "2")]).await;
    done(Writer::Edge, vec![report(&image("a"), "u"), report(&image("b"), "u")]).await;
    done(COLLECT, vec![delete(&image("b"))]).await;
    done(COLLECT, vec![remove(&image("b"))]).await;
    done(IMAGE, vec![put(&image("b"), "3")]).await;
    cursors
}

#[tokio::test]
async fn watchers_go_on_by_cursor_in_the_next_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = open(&file);
    let mut cursors = vec![store.head()];
    let mut first = store.watch(None).unwrap();
    cursors.extend(live(&store).await);
    let before = drain(&mut first);
    assert_eq!(before.len() + 1, cursors.len());
    drop(store);

    for _ in 0..2 {
        let store = open(&file);
        for (index, cursor) in cursors.iter().enumerate() {
            let batches = drain(&mut store.watch(Some(*cursor)).unwrap());
            assert_eq!(told(&batches), told(&before[index..]), "since {cursor}");
        }
    }
    let store = open(&file);
    let mut watch = store.watch(Some(cursors[0])).unwrap();
    assert_eq!(drain(&mut watch).len(), before.len());
    let next = commit(&store, IMAGE, [put(&image("c"), "1")]).await.unwrap();
    assert_eq!(drain(&mut watch)[0].cursor, next.cursor);
    let last = cursors.last().unwrap();
    assert_eq!(told(&drain(&mut store.watch(Some(*last)).unwrap())), [(next.cursor, &next.changes[..])]);
}

#[tokio::test]
async fn cursors_between_what_was_and_what_is_to_come_are_stale() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = open(&file);
    let last = *live(&store).await.last().unwrap();
    drop(store);
    let store = open(&file);
    let at = |revision: u64| format!("{}-{revision:x}", last.to_string().split_once('-').unwrap().0).parse::<Cursor>().unwrap();
    let (old, head) = (last.revision(), store.head().revision());
    assert!(old + 1 < head);
    for lost in [old + 1, head - 1, head + 1] {
        let stale = store.watch(Some(at(lost))).unwrap_err();
        assert_eq!((stale.oldest, stale.head), (at(0), store.head()), "{lost}");
    }
    for place in [0, 1, old, head] {
        store.watch(Some(at(place))).unwrap();
    }
    commit(&store, IMAGE, [put(&image("c"), "1")]).await.unwrap();
    for lost in [old + 1, head - 1] {
        store.watch(Some(at(lost))).unwrap_err();
    }
    for place in [0, old, head, head + 1] {
        store.watch(Some(at(place))).unwrap();
    }
}

#[tokio::test]
async fn history_is_bounded_in_the_file_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = Store::open_with(&file, writers(), &small()).unwrap();
    commit(&store, IMAGE, [put(&image("a"), "start")]).await.unwrap();
    for n in 0..1000 {
        let tx = Transaction { durable: n % 100 == 0, ..Transaction::new(IMAGE, [put(&image("a"), &n.to_string())]) };
        store.commit(tx).await.unwrap();
    }
    let (oldest, head) = (store.watch(Some(start(&store))).unwrap_err().oldest, store.head());
    assert_eq!(head.revision() - oldest.revision(), 100);
    drop(store);

    let rows = rows(&file);
    assert!((100..=101).contains(&rows), "{rows}");
    // What a larger limit would keep is gone, and a smaller one keeps less.
    let store = Store::open_with(&file, writers(), &Options { history_revisions: 10, ..small() }).unwrap();
    let stale = store.watch(Some(oldest)).unwrap_err();
    assert_eq!(head.revision() - stale.oldest.revision(), 10);
    commit(&store, IMAGE, [put(&image("a"), "end")]).await.unwrap();
    drop(store);
    assert_eq!(self::rows(&file), 10);
}

#[tokio::test]
async fn history_is_bounded_in_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let options = Options { history_bytes: 50_000, ..Options::default() };
    let store = Store::open_with(&file, writers(), &options).unwrap();
    for n in 0..30 {
        commit(&store, IMAGE, [put(&image("a"), &format!("{n}{}", "x".repeat(10_000)))]).await.unwrap();
    }
    assert_eq!(store.head().revision() - store.watch(Some(start(&store))).unwrap_err().oldest.revision(), 4);
    // One transaction over the limit is kept all the same, for those who are about to be told.
    let before = store.head();
    commit(&store, IMAGE, [put(&image("a"), &"x".repeat(100_000))]).await.unwrap();
    commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    assert!(store.watch(Some(before)).is_err());
    drop(store);
    assert_eq!(rows(&file), 1);
}

fn start(store: &Store) -> Cursor {
    format!("{}-1", store.head().to_string().split_once('-').unwrap().0).parse().unwrap()
}

const HISTORY: redb::TableDefinition<'_, u64, &str> = redb::TableDefinition::new("history");

fn rows(file: &Path) -> u64 {
    use redb::{ReadableDatabase, ReadableTableMetadata};
    let db = redb::Database::open(file).unwrap();
    db.begin_read().unwrap().open_table(HISTORY).unwrap().len().unwrap()
}

#[tokio::test]
async fn history_that_another_program_changed_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    for (name, revision, row) in [
        ("taken", 3, None),
        ("emptied", 3, Some("[]")),
        ("no object", 3, Some(r#"[["image",null]]"#)),
        ("not JSON", 3, Some("")),
        ("added", 7, Some("[]")),
        ("not to be", 9999, Some(r#"[["image/a",null]]"#)),
    ] {
        let file = directory.path().join(name);
        let store = open(&file);
        live(&store).await;
        drop(store);
        let db = redb::Database::open(&file).unwrap();
        let tx = db.begin_write().unwrap();
        match row {
            Some(row) => drop(tx.open_table(HISTORY).unwrap().insert(revision, row).unwrap()),
            None => drop(tx.open_table(HISTORY).unwrap().remove(revision).unwrap()),
        }
        tx.commit().unwrap();
        drop(db);
        let error = Store::open(&file, writers()).unwrap_err();
        assert!(matches!(error, store::Error::Damaged { .. }), "{name}: {error:?}");
    }
}

/// Around the end of the revisions reserved, which the next reservation must be on disk before.
#[tokio::test]
async fn no_cursor_that_a_crash_took_with_it_is_ever_good_again() {
    let disk = TestDisk::default();
    let store = Store::open_on(disk.clone(), writers(), &Options::default()).unwrap();
    commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    let mut cursors = Vec::new();
    while store.head().revision() < 1026 {
        let observed = Transaction::observed(Writer::Edge, [report(&image("a"), &store.head().to_string())]);
        cursors.push(store.commit(observed).await.unwrap().cursor);
        if store.head().revision() < 1022 {
            continue;
        }
        let found = Store::open_on(TestDisk::new(disk.synced()), writers(), &Options::default()).unwrap();
        let last = found.get(&image("a")).unwrap().revision;
        assert!(found.head() > store.head());
        for _ in 0..2 {
            for cursor in &cursors {
                assert_eq!(found.watch(Some(*cursor)).is_ok(), cursor.revision() <= last, "{cursor} after {last}");
            }
            commit(&found, IMAGE, [put(&image("a"), "2")]).await.unwrap();
        }
    }
}
