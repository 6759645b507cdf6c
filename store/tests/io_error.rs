//! A disk that fails: reads go on, and nothing is written until the store is opened again.
//!
//! Alone in its binary, because the bound on file sizes that stands for the failing disk is the whole process's.

mod common;

use std::fs;

use common::*;
use nix::sys::signal::{SigHandler, Signal, signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use store::{Error, Store};

/// Makes writes beyond `bytes` of any file fail with an error, rather than a signal.
fn bound_files(bytes: Option<u64>) {
    // SAFETY: ignoring a signal runs no handler.
    unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) }.unwrap();
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

#[tokio::test]
async fn after_an_io_error_reads_go_on_and_writes_are_refused_until_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = Store::open(&file, writers()).unwrap();
    commit(&store, IMAGE, [put(&image("first"), "1")]).await.unwrap();
    bound_files(Some(fs::metadata(&file).unwrap().len()));
    let mut acknowledged = 0;
    let error = loop {
        let ops = [put(&image(&format!("i{acknowledged}")), &"x".repeat(200_000))];
        match commit(&store, IMAGE, ops).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    assert_eq!(store.len(), acknowledged + 1);
    assert!(store.get(&image("first")).is_some());

    bound_files(None);
    let again = commit(&store, IMAGE, [put(&image("first"), "2")]).await.unwrap_err();
    assert_eq!(
        again.to_string(),
        "the store cannot write to its file since an earlier error: restart Stead once the disk is well"
    );
    assert!(matches!(store.writable(), Err(Error::Failed { .. })));
    let objects = store.snapshot().objects;
    drop(store);
    let store = Store::open(&file, writers()).unwrap();
    assert_eq!(store.snapshot().objects, objects);
    commit(&store, IMAGE, [put(&image("first"), "2")]).await.unwrap();
}
