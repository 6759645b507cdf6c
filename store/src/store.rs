//! The handle to a store.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use spec::{Key, Object};
use tokio::sync::{mpsc, oneshot, watch};

use crate::committer::{Committer, Job, QUEUE};
use crate::log::{self, Loaded, Log};
use crate::state::{Room, Shared};
use crate::{Committed, Cursor, Disk, Error, Metrics, Options, Stale, Transaction, Watch, Writers};

/// A handle to a store; clones are of the same one, which is shut down with the last of them.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
    wake: watch::Receiver<u64>,
    jobs: Arc<Jobs>,
}

/// All objects at one place in the history.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub cursor: Cursor,
    /// Sorted by key.
    pub objects: Vec<Arc<Object>>,
}

/// The queue to the committer; ends it, and waits for that, when the last handle goes.
#[derive(Debug)]
struct Jobs {
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the store in `file`, and makes it when there is none. One process holds it at a time.
    pub fn open(file: &Path, writers: Writers) -> Result<Store, Error> {
        Store::open_with(file, writers, &Options::default())
    }

    /// Opens the store in `file` as [`Store::open`] does, with limits of its own.
    pub fn open_with(file: &Path, writers: Writers, options: &Options) -> Result<Store, Error> {
        Ok(Store::start(Log::open(file, options)?, writers, options))
    }

    /// Opens the store on anything that holds bytes, and makes it when there are none: for tests with disks that fail.
    pub fn open_on(disk: impl Disk, writers: Writers, options: &Options) -> Result<Store, Error> {
        Ok(Store::start(Log::open_on(Arc::new(disk), options)?, writers, options))
    }

    /// Returns an empty store that is gone with its last handle.
    pub fn in_memory(writers: Writers) -> Store {
        Store::in_memory_with_epoch(writers, log::random())
    }

    /// Returns an empty store in memory whose uids and cursors are the same each time: for replays.
    pub fn in_memory_with_epoch(writers: Writers, epoch: u64) -> Store {
        let options = Options::default();
        Store::start(Log::in_memory(epoch, &options), writers, &options)
    }

    /// Returns an empty store that is gone with its last handle, with limits of its own.
    pub fn in_memory_with(writers: Writers, options: &Options) -> Store {
        Store::start(Log::in_memory(log::random(), options), writers, options)
    }

    fn start((log, loaded): (Log, Loaded), writers: Writers, options: &Options) -> Store {
        let head = loaded.head;
        let room = Room { disk: log.disk().clone(), keep_free_bytes: options.keep_free_bytes };
        let shared = Arc::new(Shared::new(loaded, options.volatile.clone(), room));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (waker, wake) = watch::channel(head);
        let committer = Committer {
            shared: shared.clone(),
            writers,
            log,
            full_retry: options.full_retry,
            session: log::random(),
            wake: waker,
        };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || committer.run(jobs));
        // Without a thread the process is of no use; the operating system refuses one only when it is out of memory.
        let thread = thread.expect("the store's thread starts");
        Store { shared, wake, jobs: Arc::new(Jobs { queue: Some(queue), thread: Some(thread) }) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Applies `tx` whole or not at all; returns once that is on disk, if it is durable.
    ///
    /// A transaction whose caller stops waiting may still be applied.
    pub async fn commit(&self, tx: Transaction) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        let queue = self.jobs.queue.as_ref().ok_or(Error::Closed)?;
        queue.send(Job { tx, reply }).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.shared.read().objects.get(key).cloned()
    }

    /// Returns all objects as they are now; watching from its cursor misses nothing.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.shared.read();
        Snapshot { cursor: self.shared.cursor(state.head), objects: state.objects.values().cloned().collect() }
    }

    /// Returns the place behind the latest transaction.
    pub fn head(&self) -> Cursor {
        self.shared.cursor(self.shared.read().head)
    }

    /// Follows the store from `since`, or from now. Of volatile kinds, a watch from a cursor gives first all there is.
    pub fn watch(&self, since: Option<Cursor>) -> Result<Watch, Stale> {
        Watch::new(self.shared.clone(), since, self.wake.clone())
    }

    /// Returns how many objects there are.
    pub fn len(&self) -> usize {
        self.shared.read().objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns why the latest commit could not be written, or why users' writes are refused, if they are.
    ///
    /// A full disk is tried again by the next commits; any other failure lasts until the store is opened again.
    pub fn writable(&self) -> Result<(), Error> {
        self.shared.failure().map_or(Ok(()), Err)?;
        self.shared.room()
    }

    pub fn metrics(&self) -> Metrics {
        self.shared.counters.read()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        drop(self.queue.take());
        // What waits is written and flushed first, which takes one commit.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's thread panicked");
        }
    }
}
