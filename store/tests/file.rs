//! The file: what survives, what is refused, and what to do about it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::*;
use spec::plan::Writer;
use store::{Error, Store, Transaction};

fn open(file: &Path) -> Result<Store, Error> {
    Store::open(file, writers())
}

#[tokio::test]
async fn a_store_opened_again_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = open(&file).unwrap();
    commit(&store, IMAGE, [put(&image("a"), "1"), put(&image("b"), "1")]).await.unwrap();
    store.commit(Transaction::observed(Writer::Edge, [report(&image("a"), "u")])).await.unwrap();
    let (before, last) = (store.snapshot(), store.head());
    drop(store);

    let store = open(&file).unwrap();
    assert_eq!(store.snapshot().objects, before.objects);
    // Numbers after `last` may have been seen before a crash, so the head is past all that were reserved.
    assert!(store.head() > last);
    let reopened = store.head();
    assert!(commit(&store, IMAGE, [put(&image("a"), "2")]).await.unwrap().cursor > reopened);
}

#[tokio::test]
async fn a_file_is_for_its_owner_alone_and_leaves_nothing_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    drop(open(&file).unwrap());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_second_holder_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let first = open(&file).unwrap();
    assert!(matches!(open(&file), Err(Error::Held { .. })));
    drop(first);
    drop(open(&file).unwrap());
}

#[test]
fn a_missing_directory_is_named() {
    let error = open(Path::new("/nonexistent/store")).unwrap_err();
    assert_eq!(error.to_string(), "the store /nonexistent/store cannot be opened");
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    for content in [&b""[..], b"short", &[0; 8192], &[7; 100_000]] {
        fs::write(&file, content).unwrap();
        let error = open(&file).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("put a backup in its place"), "{error}");
        assert_eq!(fs::read(&file).unwrap(), content);
    }
}

#[tokio::test]
async fn rows_that_another_program_changed_are_noticed() {
    const ROWS: redb::TableDefinition<'_, &str, &str> = redb::TableDefinition::new("objects");
    let directory = tempfile::tempdir().unwrap();
    for row in [None, Some("1"), Some("3")] {
        let file = directory.path().join(row.unwrap_or("none"));
        let store = open(&file).unwrap();
        commit(&store, IMAGE, [put(&image("a"), "digest-2"), put(&image("b"), "digest-2")]).await.unwrap();
        drop(store);
        let db = redb::Database::open(&file).unwrap();
        let tx = db.begin_write().unwrap();
        {
            let mut rows = tx.open_table(ROWS).unwrap();
            let old = rows.remove("image/a").unwrap().unwrap().value().to_owned();
            if let Some(row) = row {
                rows.insert("image/a", old.replace("digest-2", &format!("digest-{row}")).as_str()).unwrap();
            }
        }
        tx.commit().unwrap();
        drop(db);
        let error = open(&file).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{row:?}: {error:?}");
    }
}

#[test]
fn a_newer_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    drop(open(&file).unwrap());
    let db = redb::Database::open(&file).unwrap();
    let tx = db.begin_write().unwrap();
    tx.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 3).unwrap();
    tx.commit().unwrap();
    drop(db);
    let error = open(&file).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 3, .. }), "{error:?}");
    assert!(error.to_string().ends_with("run the newer Stead"), "{error}");
}

#[tokio::test]
async fn uids_and_revisions_are_never_used_twice() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let (mut uids, mut cursors) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..3 {
        let store = open(&file).unwrap();
        for _ in 0..400 {
            commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
            assert!(uids.insert(store.get(&image("a")).unwrap().uid.clone()));
            assert!(cursors.insert(store.head()));
            store.commit(Transaction::observed(COLLECT, [delete(&image("a")), remove(&image("a"))])).await.unwrap();
            assert!(cursors.insert(store.head()));
        }
    }
    assert_ne!(memory().head(), memory().head(), "each store has an epoch of its own");
}

/// Flips bytes all over the file; each time the store must notice, or hold exactly what it held.
#[tokio::test]
async fn flipped_bytes_are_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let (file, copy) = (directory.path().join("store"), directory.path().join("copy"));
    let store = open(&file).unwrap();
    for n in 0..40 {
        commit(&store, IMAGE, [put(&image(&format!("i{n}")), &"x".repeat(500))]).await.unwrap();
    }
    let objects = store.snapshot().objects;
    drop(store);
    let bytes = fs::read(&file).unwrap();
    let mut noticed = 0;
    // Only pages that hold something can be damaged.
    let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
    for at in used.iter().step_by(used.len() / 150) {
        let mut flipped = bytes.clone();
        flipped[*at] ^= 0x55;
        fs::write(&copy, &flipped).unwrap();
        match open(&copy) {
            Ok(store) => assert_eq!(store.snapshot().objects, objects, "byte {at}"),
            Err(Error::Damaged { .. }) => noticed += 1,
            Err(error) => panic!("byte {at}: {error:?}"),
        }
    }
    assert!(noticed > 10, "{noticed}");
}

#[tokio::test]
async fn a_truncated_file_is_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = open(&file).unwrap();
    for n in 0..40 {
        commit(&store, IMAGE, [put(&image(&format!("i{n}")), &"x".repeat(5000))]).await.unwrap();
    }
    drop(store);
    let bytes = fs::read(&file).unwrap();
    for tenth in 0..10 {
        fs::write(&file, &bytes[..bytes.len() * tenth / 10]).unwrap();
        let error = open(&file).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{tenth} tenths: {error:?}");
    }
}
