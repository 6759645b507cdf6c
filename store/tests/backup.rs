//! Backups, their way back, the check of a file, and files of earlier versions.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::*;
use spec::plan::Writer;
use store::{Checked, Error, Store, Transaction};

fn open(file: &Path) -> Store {
    Store::open(file, writers()).unwrap()
}

/// Returns a store of a few objects, and where a backup could be.
async fn filled(directory: &Path) -> (Store, PathBuf) {
    let store = open(&directory.join("store"));
    commit(&store, IMAGE, (0..20).map(|n| put(&image(&format!("i{n}")), "1"))).await.unwrap();
    commit(&store, COLLECT, [delete(&image("i3")), remove(&image("i3"))]).await.unwrap();
    store.commit(Transaction::observed(Writer::Edge, [report(&image("i1"), "u")])).await.unwrap();
    (store, directory.join("backup"))
}

#[tokio::test]
async fn a_backup_holds_what_was_there_together() {
    let directory = tempfile::tempdir().unwrap();
    let (store, file) = filled(directory.path()).await;
    let before = store.snapshot();
    let made = store.backup(&file).unwrap();
    assert_eq!(made, Checked { format: 2, is_backup: true, objects: 19, history: 0, head: before.cursor });
    commit(&store, IMAGE, [put(&image("i1"), "2")]).await.unwrap();
    drop(store);

    let restored = Store::restore(&file, &directory.path().join("other")).unwrap();
    assert_eq!((restored.objects, restored.replaced), (19, None));
    let store = open(&directory.path().join("other"));
    assert_eq!(store.snapshot().objects, before.objects);
    let mut watch = store.watch(None).unwrap();
    let committed = commit(&store, IMAGE, [put(&image("i1"), "2")]).await.unwrap();
    assert_eq!(watch.try_next().unwrap().unwrap().cursor, committed.cursor);
    assert!(committed.cursor.revision() > before.cursor.revision());
}

#[tokio::test]
async fn backups_are_made_while_writers_write() {
    let directory = tempfile::tempdir().unwrap();
    let (store, file) = filled(directory.path()).await;
    let writing = tokio::task::spawn_blocking({
        let (store, file) = (store.clone(), file.clone());
        move || (0..10).map(|_| store.backup(&file).unwrap().head.revision()).collect::<Vec<_>>()
    });
    let mut value = 0;
    while !writing.is_finished() {
        value += 1;
        let text = value.to_string();
        commit(&store, IMAGE, [put(&image("i1"), &text), put(&image("i2"), &text)]).await.unwrap();
    }
    let heads = writing.await.unwrap();
    assert!(heads.is_sorted() && heads[0] < heads[9], "{heads:?}");
    drop(Store::restore(&file, &directory.path().join("store")).unwrap_err());
    drop(store);
    Store::restore(&file, &directory.path().join("store")).unwrap();
    let store = open(&directory.path().join("store"));
    let [one, two] = ["i1", "i2"].map(|name| store.get(&image(name)).unwrap().spec.clone());
    assert_eq!(one, two);
}

#[tokio::test]
async fn no_cursor_from_before_a_restore_is_good_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let (store, backup) = filled(directory.path()).await;
    store.backup(&backup).unwrap();
    let cursor = store.head();
    commit(&store, IMAGE, [put(&image("i1"), "lost")]).await.unwrap();
    drop(store);
    let file = directory.path().join("store");
    let damaged = vec![7; 10_000];
    fs::write(&file, &damaged).unwrap();
    let first = Store::restore(&backup, &file).unwrap().replaced.unwrap();
    assert_eq!((first.file_name().unwrap(), fs::read(&first).unwrap()), ("store.replaced-1".as_ref(), damaged));
    let mut epochs = vec![cursor.to_string()[..16].to_owned()];
    for copy_by_hand in [false, true, true] {
        if copy_by_hand {
            fs::copy(&backup, &file).unwrap();
        }
        let store = open(&file);
        assert!(store.watch(Some(cursor)).is_err());
        assert_eq!(store.len(), 19);
        epochs.push(store.head().to_string()[..16].to_owned());
        drop(store);
        assert!(!Store::check(&file).unwrap().is_backup);
    }
    epochs.sort();
    epochs.dedup();
    assert_eq!(epochs.len(), 4);
    assert_eq!(Store::restore(&backup, &file).unwrap().replaced.unwrap().file_name().unwrap(), "store.replaced-2");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
}

#[tokio::test]
async fn a_check_changes_nothing_and_finds_damage() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = filled(directory.path()).await;
    let (file, head) = (directory.path().join("store"), store.head());
    assert!(matches!(Store::check(&file), Err(Error::Held { .. })));
    drop(store);
    let bytes = fs::read(&file).unwrap();
    assert_eq!(Store::check(&file).unwrap(), Checked { format: 2, is_backup: false, objects: 19, history: 3, head });
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let text = bytes.windows(20).position(|window| window == b"docker.io/library/x\"").unwrap();
    let mut flipped = bytes.clone();
    flipped[text] ^= 1;
    fs::write(&file, &flipped).unwrap();
    let error = Store::check(&file).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert!(
        error.to_string().contains(file.to_str().unwrap()) && error.to_string().contains("put a backup in its place"),
        "{error}"
    );
    assert_eq!(fs::read(&file).unwrap(), flipped);
}

#[tokio::test]
async fn a_bad_backup_replaces_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, backup) = filled(directory.path()).await;
    drop(store);
    let file = directory.path().join("store");
    let bytes = fs::read(&file).unwrap();
    assert!(matches!(Store::restore(&backup, &file), Err(Error::Open { .. })));
    fs::write(&backup, "no backup").unwrap();
    assert!(matches!(Store::restore(&backup, &file), Err(Error::Damaged { .. })));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let store = open(&file);
    let error = store.backup(Path::new("/nonexistent/backup")).unwrap_err();
    assert_eq!(error.to_string(), "the file /nonexistent/backup cannot be written");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

/// `format1.zst` was made by the last version that wrote format 1: three images, one of them deleted but not gone.
#[tokio::test]
async fn a_file_of_format_1_is_read_and_carried_over() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let bytes = zstd::decode_all(&include_bytes!("fixtures/format1.zst")[..]).unwrap();
    fs::write(&file, bytes).unwrap();
    let checked = Store::check(&file).unwrap();
    assert_eq!((checked.format, checked.objects, checked.history), (1, 3, 0));
    let old = checked.head;

    let store = open(&file);
    let names = ["a", "b", "c"].map(|name| store.get(&image(name)).unwrap());
    assert_eq!(
        names.each_ref().map(|object| (object.revision, object.generation, object.deleting)),
        [(5, 2, false), (4, 1, true), (2, 1, false)]
    );
    assert_eq!(names[0].uid.0, "e1a8ea7094467572-1.0");
    // Nothing is known of how it came to be, so cursors from then are stale, and those from now on are not.
    assert!(store.watch(Some(old)).is_err());
    let head = store.head();
    commit(&store, IMAGE, [put(&image("a"), "3")]).await.unwrap();
    drop(store);
    assert_eq!(Store::check(&file).unwrap().format, 2);
    let store = open(&file);
    assert_eq!(store.watch(Some(head)).unwrap().try_next().unwrap().unwrap().changes.len(), 1);
}
