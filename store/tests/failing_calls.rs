//! A disk that fails at one call after the other: reads go on, writes say what is wrong, and nothing acknowledged is lost.
//!
//! With `STORE_EVERY_CALL` set, at every single one.

#[path = "common/disk.rs"]
mod disk;
#[path = "common/random.rs"]
mod random;

mod common;

use std::time::Duration;

use common::*;
use disk::{Fault, TestDisk};
use store::{Error, Options, Store};

/// Calls of a disk that fail, one in each run.
const CALLS: u64 = 1000;

fn options() -> Options {
    Options { history_revisions: 8, full_retry: Duration::ZERO, ..Options::default() }
}

fn open(disk: &TestDisk) -> Result<Store, Error> {
    Store::open_on(disk.clone(), writers(), &options())
}

/// Returns a disk with a store of a few objects.
async fn filled() -> Vec<u8> {
    let disk = TestDisk::default();
    let store = open(&disk).unwrap();
    commit(&store, IMAGE, (0..10).map(|n| put(&image(&format!("i{n}")), "0"))).await.unwrap();
    drop(store);
    disk.bytes()
}

/// Commits until one fails, or until the disk was called `CALLS` times; returns the error.
async fn commit_until_it_fails(store: &Store, disk: &TestDisk) -> Option<Error> {
    for n in 0.. {
        let size = 40 * (n % 7);
        let ops = (0..2).map(|lane| put(&image(&format!("i{}", (n + lane) % 10)), &format!("{n}{}", "x".repeat(size))));
        match commit(store, IMAGE, ops).await {
            Ok(_) if disk.calls() > CALLS => return None,
            Ok(_) => (),
            Err(error) => return Some(error),
        }
    }
    unreachable!("a disk is called at each commit")
}

/// Returns the calls to fail at: a step that is no multiple of a commit's calls meets each of them.
fn calls() -> Vec<u64> {
    let step = if std::env::var_os("STORE_EVERY_CALL").is_some() { 1 } else { 7 };
    (1..=CALLS).filter(|call| *call <= 150 || call % step == 0).collect()
}

/// Runs `test` for each call on several threads; returns how many of them no commit noticed.
fn for_each_call(test: fn(&[u8], u64) -> bool) -> usize {
    let (base, calls, threads) = (&block_on(filled()), &calls(), std::thread::available_parallelism().unwrap().get());
    std::thread::scope(|scope| {
        let run = |thread| move || calls.iter().skip(thread).step_by(threads).filter(|call| !test(base, **call)).count();
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Returns whether a write failed.
fn full_disk(base: &[u8], call: u64) -> bool {
    let disk = TestDisk::new(base.to_vec());
    disk.set_fault(Some(Fault::NoRoom(call)));
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error, Error::Full), "call {call}: {error:?}");
            disk.set_fault(None);
            open(&disk).unwrap()
        }
    };
    block_on(async {
        let failed = commit_until_it_fails(&store, &disk).await;
        let before = store.snapshot();
        if let Some(error) = &failed {
            assert!(matches!(error, Error::Full), "call {call}: {error:?}");
            let again = commit(&store, IMAGE, [put(&image("new"), "1")]).await.unwrap_err();
            assert!(matches!(again, Error::Full), "call {call}: {again:?}");
            assert!(matches!(store.writable(), Err(Error::Full)));
            assert_eq!(store.snapshot().objects, before.objects);
        }
        disk.set_fault(None);
        commit(&store, IMAGE, [put(&image("new"), "1")]).await.unwrap();
        store.writable().unwrap();
        let mut watch = store.watch(Some(before.cursor)).unwrap();
        assert_eq!(watch.try_next().unwrap().unwrap().cursor, store.head());
        let (after, head) = (store.snapshot().objects, store.head());
        assert_eq!(after.len(), 11);
        drop(store);
        let store = open(&disk).unwrap();
        assert_eq!(store.snapshot().objects, after, "call {call}");
        assert_eq!(store.watch(Some(before.cursor)).unwrap().try_next().unwrap().unwrap().cursor, head);
        failed.is_some()
    })
}

#[test]
fn a_full_disk_is_told_and_gone_when_there_is_room_again() {
    let unharmed = for_each_call(full_disk);
    assert!(unharmed < 40, "{unharmed}");
}

fn failing_disk(base: &[u8], call: u64) -> bool {
    let disk = TestDisk::new(base.to_vec());
    disk.set_fault(Some(Fault::Once(call)));
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error, Error::Open { .. }), "call {call}: {error:?}");
            assert_eq!(error.to_string(), "the store /test/store cannot be opened");
            open(&disk).unwrap()
        }
    };
    block_on(async {
        let failed = commit_until_it_fails(&store, &disk).await;
        let (before, head) = (store.snapshot().objects, store.head());
        if let Some(error) = &failed {
            assert!(matches!(error, Error::Failed { .. }), "call {call}: {error:?}");
            let again = commit(&store, IMAGE, [put(&image("new"), "1")]).await.unwrap_err();
            assert!(matches!(again, Error::Failed { .. }), "call {call}: {again:?}");
            assert!(matches!(store.writable(), Err(Error::Failed { .. })));
            assert_eq!(store.snapshot().objects, before);
        }
        drop(store);
        let store = open(&disk).unwrap();
        // The one that failed may have come to the disk, whole.
        let last = store.watch(Some(head)).unwrap().try_next().unwrap();
        let extra = last.iter().flat_map(|batch| &batch.changes).map(|change| change.key.clone()).collect::<Vec<_>>();
        assert!(extra.is_empty() || (failed.is_some() && extra.len() == 2), "call {call}: {extra:?}");
        let same = |objects: Vec<_>| {
            objects.into_iter().filter(|object: &std::sync::Arc<spec::Object>| !extra.contains(&object.key)).collect::<Vec<_>>()
        };
        assert_eq!(same(store.snapshot().objects), same(before), "call {call}");
        commit(&store, IMAGE, [put(&image("new"), "1")]).await.unwrap();
        failed.is_some()
    })
}

#[test]
fn an_error_of_the_disk_is_told_until_the_store_is_opened_again() {
    let unharmed = for_each_call(failing_disk);
    assert!(unharmed < 40, "{unharmed}");
}
