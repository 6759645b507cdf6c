//! The handle to a store.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use spec::{Key, Object};
use tokio::sync::{mpsc, oneshot, watch};

use crate::committer::{Committer, Job, QUEUE};
use crate::log::{self, Loaded, Log};
use crate::state::Shared;
use crate::{Committed, Cursor, Error, Metrics, Stale, Transaction, Watch, Writers};

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
        let (log, loaded) = Log::open(file)?;
        Ok(Store::start(log, loaded, writers))
    }

    /// Returns an empty store that is gone with its last handle.
    pub fn in_memory(writers: Writers) -> Store {
        Store::in_memory_with_epoch(writers, log::random())
    }

    /// Returns an empty store in memory whose uids and cursors are the same each time: for replays.
    pub fn in_memory_with_epoch(writers: Writers, epoch: u64) -> Store {
        let (log, loaded) = Log::in_memory(epoch);
        Store::start(log, loaded, writers)
    }

    fn start(log: Log, loaded: Loaded, writers: Writers) -> Store {
        let shared = Arc::new(Shared::new(loaded.epoch, loaded.head, loaded.objects));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let (waker, wake) = watch::channel(loaded.head);
        let committer = Committer { shared: shared.clone(), writers, log, wake: waker };
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || committer.run(jobs));
        // Without a thread the process is of no use; the operating system refuses one only when it is out of memory.
        let thread = thread.expect("the store's thread starts");
        Store { shared, wake, jobs: Arc::new(Jobs { queue: Some(queue), thread: Some(thread) }) }
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

    /// Follows the store from `since`, or from now.
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

    /// Returns why the latest commit could not be written, if it could not.
    ///
    /// A full disk is tried again by the next commits; any other failure lasts until the store is opened again.
    pub fn writable(&self) -> Result<(), Error> {
        self.shared.failure().map_or(Ok(()), Err)
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
