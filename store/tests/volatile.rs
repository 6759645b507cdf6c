//! Volatile kinds, and the room that users leave to controllers.

#[path = "common/disk.rs"]
mod disk;
#[path = "common/random.rs"]
mod random;

mod common;

use std::path::Path;

use common::*;
use disk::{Fault, TestDisk};
use spec::plan::Writer;
use spec::{Key, Kind, Spec, Write};
use store::{Ended, Error, Op, Options, Store, Transaction, Watch, Writers};

/// Events stand for a kind that is volatile: the driver writes them.
fn options() -> Options {
    Options { volatile: [Kind::Event].into(), history_revisions: 1000, ..Options::default() }
}

fn open(file: &Path) -> Store {
    Store::open_with(file, writers(), &options()).unwrap()
}

fn event(name: &str) -> Key {
    key(Kind::Event, name)
}

fn beat(name: &str, count: u64) -> Op {
    Op::new(Write::Spec { key: event(name), owner: None, spec: event_spec(&image("a"), count) })
}

async fn send(store: &Store, ops: impl IntoIterator<Item = Op>) -> store::Committed {
    commit(store, Writer::Driver, ops).await.unwrap()
}

fn count(spec: &Spec) -> u64 {
    match spec {
        Spec::Event(event) => event.count,
        other => panic!("{other:?}"),
    }
}

/// The revision of a batch, and the names and counts of what it changes.
type Told = (u64, Vec<(String, Option<u64>)>);

/// Returns all that a watch gives.
fn told(watch: &mut Watch) -> Vec<Told> {
    let batches = std::iter::from_fn(|| watch.try_next().unwrap());
    let name = |change: &spec::Change| {
        let count = change.new.as_ref().map(|new| if change.key.kind == Kind::Event { count(&new.spec) } else { 0 });
        (change.key.name.to_string(), count)
    };
    batches.map(|batch| (batch.cursor.revision(), batch.changes.iter().map(name).collect())).collect()
}

#[tokio::test]
async fn they_take_no_revision_and_are_listed_and_watched() {
    let store = Store::in_memory_with(writers(), &options());
    let mut watch = store.watch(None).unwrap();
    let first = commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    let sent = send(&store, [beat("x", 1), beat("y", 1)]).await;
    assert_eq!((sent.cursor, sent.changes.len(), store.head()), (first.cursor, 2, first.cursor));
    send(&store, [beat("x", 2)]).await;
    assert_eq!(count(&store.get(&event("x")).unwrap().spec), 2);
    assert_eq!((store.len(), store.page(None, None, 1, |object| object.key.kind == Kind::Event).unwrap().more), (3, true));
    commit(&store, IMAGE, [put(&image("a"), "2")]).await.unwrap();
    send(&store, [Op::new(Write::Delete { key: event("y") }), Op::new(Write::Remove { key: event("y") })]).await;
    let [x, y] = ["x", "y"].map(ToOwned::to_owned);
    let beats = [vec![(x.clone(), Some(1)), (y.clone(), Some(1))], vec![(x.clone(), Some(2))], vec![(y, None)]];
    let a = || vec![("a".to_owned(), Some(0))];
    let [one, two, three] = beats;
    assert_eq!(told(&mut watch), [(1, a()), (2, a()), (2, one), (2, two), (2, three)]);
    // Whoever comes with a cursor is told first all there is.
    assert_eq!(told(&mut store.watch(Some(first.cursor)).unwrap()), [(1, vec![(x, Some(2))]), (2, a())]);
}

#[tokio::test]
async fn they_are_in_no_file_and_need_none() {
    let directory = tempfile::tempdir().unwrap();
    let (file, backup) = (directory.path().join("store"), directory.path().join("backup"));
    let store = open(&file);
    commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    let uid = send(&store, [beat("x", 1)]).await.changes[0].new.as_ref().unwrap().uid.clone();
    assert_eq!(store.backup(&backup).unwrap().objects, 1);
    assert_eq!(store.metrics().groups, 1);
    drop(store);
    let store = open(&file);
    assert_eq!((store.len(), store.get(&event("x"))), (1, None));
    assert_ne!(send(&store, [beat("x", 1)]).await.changes[0].new.as_ref().unwrap().uid, uid);
}

#[tokio::test]
async fn a_failing_disk_does_not_touch_them() {
    let disk = TestDisk::default();
    let options = Options { full_retry: std::time::Duration::ZERO, ..options() };
    let store = Store::open_on(disk.clone(), writers(), &options).unwrap();
    send(&store, [beat("x", 1)]).await;
    disk.set_fault(Some(Fault::NoRoom(0)));
    assert!(matches!(commit(&store, IMAGE, [put(&image("a"), "1")]).await, Err(Error::Full)));
    send(&store, [beat("x", 2)]).await;
    disk.set_fault(None);
    commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    assert_eq!(count(&store.get(&event("x")).unwrap().spec), 2);
    drop(store);
    assert_eq!(Store::open_on(disk, writers(), &options).unwrap().len(), 1);
}

#[tokio::test]
async fn the_rules_of_writing_are_the_same() {
    let store = Store::in_memory_with(writers(), &options());
    let revision = send(&store, [beat("x", 1)]).await.changes[0].new.as_ref().unwrap().spec_revision;
    assert!(matches!(commit(&store, IMAGE, [beat("x", 2)]).await, Err(Error::NotWriter { .. })));
    send(&store, [beat("x", 2).expect_revision(revision)]).await;
    let stale = commit(&store, Writer::Driver, [beat("x", 3).expect_revision(revision)]).await;
    assert!(matches!(stale, Err(Error::Conflict { current, .. }) if current > revision), "{stale:?}");
    let mixed = [beat("x", 3), put(&image("a"), "1").by(IMAGE)];
    let error = commit(&store, Writer::Driver, mixed).await.unwrap_err();
    assert_eq!(error.to_string(), "a transaction writes volatile kinds and others: write them apart");
}

#[tokio::test]
async fn a_watch_too_far_behind_them_is_ended() {
    let store = Store::in_memory_with(writers(), &options());
    let mut watch = store.watch(None).unwrap();
    for n in 0..5000 {
        send(&store, [beat("x", n)]).await;
    }
    assert_eq!(watch.try_next().unwrap_err(), Ended::Lagged);
    let mut again = store.watch(Some(store.head())).unwrap();
    assert_eq!(told(&mut again), [(0, vec![("x".to_owned(), Some(4999))])]);
}

#[tokio::test]
async fn users_leave_room_to_controllers() {
    let user = [(Kind::Deployment, spec::Half::Spec, Writer::User), (Kind::Image, spec::Half::Spec, Writer::User)];
    let edge = [(Kind::Image, spec::Half::Status, Writer::Edge), (Kind::Event, spec::Half::Spec, Writer::Driver)];
    let disk = TestDisk::default();
    let options = Options { keep_free_bytes: 1000, ..Options::default() };
    let store = Store::open_on(disk.clone(), Writers::new(user.into_iter().chain(edge)).unwrap(), &options).unwrap();
    disk.set_room(1000);
    commit(&store, Writer::User, [put(&image("a"), "1")]).await.unwrap();
    store.writable().unwrap();
    disk.set_room(999);
    assert!(matches!(commit(&store, Writer::User, [put(&image("a"), "2")]).await, Err(Error::Full)));
    assert!(matches!(store.writable(), Err(Error::Full)));
    commit(&store, Writer::Driver, [beat("x", 1)]).await.unwrap();
    store.commit(Transaction::observed(Writer::Edge, [report(&image("a"), "u")])).await.unwrap();
    // Deleting is how there comes to be room.
    commit(&store, Writer::User, [delete(&image("a"))]).await.unwrap();
    disk.set_room(1000);
    commit(&store, Writer::User, [put(&image("b"), "1")]).await.unwrap();
}
