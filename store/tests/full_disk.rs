//! A full disk: reads go on, writes are refused, and both come back without a restart. Runs as root: it mounts a small file system
//! in a mount namespace of its own.

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::*;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use spec::plan::Writer;
use store::{Error, Store, Transaction};

/// Runs `test` in a thread that alone sees a file system of 2 MiB at `directory`.
fn with_small_disk(directory: &Path, test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // SAFETY: only the mount namespace and the file system attributes of this thread are unshared, no file descriptors.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
            mount("tmpfs", directory, "tmpfs", MountFlags::empty(), c"size=2m").unwrap();
            test();
        });
    });
}

/// Writes until the disk is full, with an observation after each write that only the next one takes to the disk.
async fn fill_up(store: &Store) {
    for n in 0..1000 {
        let durable = commit(store, IMAGE, [put(&image(&format!("i{n}")), &"x".repeat(20_000))]).await;
        let observed = Transaction::observed(Writer::Edge, [report(&image("a"), &n.to_string())]);
        let result = match durable {
            Ok(_) => store.commit(observed).await,
            failed => failed,
        };
        match result {
            Ok(_) => (),
            Err(Error::Full) => return,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the disk never filled up");
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    with_small_disk(directory.path(), || runtime.block_on(full_disk(directory.path())));
}

async fn full_disk(directory: &Path) {
    let (file, ballast) = (directory.join("store"), directory.join("ballast"));
    let store = Store::open(&file, writers()).unwrap();
    fs::write(&ballast, vec![0; 400_000]).unwrap();
    commit(&store, IMAGE, [put(&image("a"), "1")]).await.unwrap();
    fill_up(&store).await;
    let before = store.snapshot();
    assert!(matches!(store.writable(), Err(Error::Full)));
    assert!(matches!(commit(&store, IMAGE, [put(&image("b"), "1")]).await, Err(Error::Full)));

    fs::remove_file(&ballast).unwrap();
    let mut watch = store.watch(Some(before.cursor)).unwrap();
    write_when_possible(&store).await;
    store.writable().unwrap();
    let after = store.snapshot().objects;
    assert_eq!(replay(by_key(before.objects), &mut watch), by_key(after.clone()));
    drop(store);
    // Observations that only the failed write would have taken to the disk are among them.
    assert_eq!(Store::open(&file, writers()).unwrap().snapshot().objects, after);
}

async fn write_when_possible(store: &Store) {
    for _ in 0..200 {
        match commit(store, IMAGE, [put(&image("b"), "1")]).await {
            Ok(_) => return,
            Err(Error::Full) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the store did not come back within 10 s");
}
