//! What readers see: all objects, and the latest batches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use spec::{Key, Object};

use crate::metrics::Counters;
use crate::{Batch, Cursor, Error, Stale};

/// Batches kept for watchers: minutes of a busy store, and a few megabytes.
const RING_BATCHES: usize = 2048;

/// Changes kept for watchers, over all batches: bounds the memory that large transactions hold.
const RING_CHANGES: usize = 1 << 16;

/// Shared by all handles and the committer, which alone writes it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub epoch: u64,
    pub counters: Counters,
    state: RwLock<State>,
    /// Why nothing can be written at the moment.
    failure: Mutex<Option<Error>>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub objects: BTreeMap<Key, Arc<Object>>,
    pub head: u64,
    ring: Ring,
}

#[derive(Debug)]
struct Ring {
    /// Revision up to which batches are forgotten.
    base: u64,
    batches: VecDeque<Arc<Batch>>,
    changes: usize,
}

impl Shared {
    pub(crate) fn new(epoch: u64, head: u64, objects: BTreeMap<Key, Arc<Object>>) -> Shared {
        let ring = Ring { base: head, batches: VecDeque::new(), changes: 0 };
        let state = RwLock::new(State { objects, head, ring });
        Shared { epoch, counters: Counters::default(), state, failure: Mutex::new(None) }
    }

    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_failure(&self, failure: Option<Error>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        // Nothing in a write section can panic halfway, so a poisoned lock guards whole data.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the batches of one group visible, all at once.
    pub(crate) fn publish(&self, batches: impl IntoIterator<Item = Arc<Batch>>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for batch in batches {
            state.publish(batch);
        }
    }

    pub(crate) fn cursor(&self, revision: u64) -> Cursor {
        Cursor { epoch: self.epoch, revision }
    }

    /// Returns the oldest batch after `revision`; `None` when there is none yet.
    pub(crate) fn batch_after(&self, revision: u64) -> Result<Option<Arc<Batch>>, Stale> {
        let state = self.read();
        let ring = &state.ring;
        if ring.base <= revision && revision <= state.head {
            let index = ring.batches.partition_point(|batch| batch.cursor.revision <= revision);
            return Ok(ring.batches.get(index).cloned());
        }
        drop(state);
        Err(self.range())
    }

    /// Returns what can be watched from.
    pub(crate) fn range(&self) -> Stale {
        let state = self.read();
        Stale { oldest: self.cursor(state.ring.base), head: self.cursor(state.head) }
    }
}

impl State {
    fn publish(&mut self, batch: Arc<Batch>) {
        for change in &batch.changes {
            match &change.new {
                Some(new) => self.objects.insert(change.key.clone(), new.clone()),
                None => self.objects.remove(&change.key),
            };
        }
        self.head = batch.cursor.revision;
        self.ring.push(batch);
    }
}

impl Ring {
    fn push(&mut self, batch: Arc<Batch>) {
        self.changes += batch.changes.len();
        self.batches.push_back(batch);
        while self.batches.len() > RING_BATCHES || (self.changes > RING_CHANGES && self.batches.len() > 1) {
            let Some(oldest) = self.batches.pop_front() else { return };
            self.base = oldest.cursor.revision;
            self.changes -= oldest.changes.len();
        }
    }
}
