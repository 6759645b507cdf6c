//! Every store there is, held to the rules of all stores.

mod common;
#[macro_use]
mod conformance;

#[path = "common/disk.rs"]
mod disk;
#[path = "common/random.rs"]
mod random;

use common::writers;
use conformance::Backend;
use disk::TestDisk;
use store::{Options, Store};

fn options(history_revisions: usize) -> Options {
    Options { history_revisions, ..Options::default() }
}

struct InMemory;

impl Backend for InMemory {
    type Subject = Store;

    fn make(&self, history_revisions: usize) -> Store {
        Store::in_memory_with(writers(), &options(history_revisions))
    }
}

struct InFile(tempfile::TempDir);

impl Backend for InFile {
    type Subject = Store;

    fn make(&self, history_revisions: usize) -> Store {
        let file = tempfile::Builder::new().make_in(self.0.path(), |path| Ok(path.to_owned())).unwrap().into_temp_path();
        Store::open_with(&file.keep().unwrap(), writers(), &options(history_revisions)).unwrap()
    }
}

struct OnDisk;

impl Backend for OnDisk {
    type Subject = Store;

    fn make(&self, history_revisions: usize) -> Store {
        Store::open_on(TestDisk::default(), writers(), &options(history_revisions)).unwrap()
    }
}

conformance!(in_memory, InMemory);
conformance!(in_a_file, InFile(tempfile::tempdir().unwrap()));
conformance!(on_a_disk_of_tests, OnDisk);
