//! What readers see: all objects, and the latest batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use spec::{Change, Key, Kind, Object};

use crate::disk::Disk;
use crate::log::Loaded;
use crate::metrics::Counters;
use crate::ring::{Kept, NoPlace, Ring};
use crate::volatile::Volatile;
use crate::{Batch, Cursor, Error, Stale};

/// Shared by all handles and the committer, which alone writes it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub epoch: u64,
    pub counters: Counters,
    state: RwLock<State>,
    /// Why nothing can be written at the moment.
    failure: Mutex<Option<Error>>,
    room: Room,
}

/// Where users' writes need room.
#[derive(Debug)]
pub(crate) struct Room {
    pub disk: Arc<dyn Disk>,
    /// What must stay free after all that users write.
    pub keep_free_bytes: u64,
}

impl Room {
    /// Returns whether there is less than what must stay free.
    fn is_short(&self) -> bool {
        // A disk that does not say is taken at its word when it is written to.
        self.keep_free_bytes > 0 && self.disk.free_bytes().is_ok_and(|free| free < self.keep_free_bytes)
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub objects: BTreeMap<Key, Arc<Object>>,
    pub head: u64,
    pub ring: Ring,
    pub volatile: Volatile,
}

impl Shared {
    pub(crate) fn new(loaded: Loaded, volatile: BTreeSet<Kind>, room: Room) -> Shared {
        let Loaded { epoch, head, mut objects, ring } = loaded;
        // A kind may have become volatile since the file was written.
        objects.retain(|key, _| !volatile.contains(&key.kind));
        let state = RwLock::new(State { objects, head, ring, volatile: Volatile::new(volatile) });
        Shared { epoch, counters: Counters::default(), state, failure: Mutex::new(None), room }
    }

    /// Refuses users' writes while there is little room.
    pub(crate) fn room(&self) -> Result<(), Error> {
        if self.room.is_short() { Err(Error::Full) } else { Ok(()) }
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
    pub(crate) fn publish(&self, batches: impl IntoIterator<Item = Kept>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for kept in batches {
            state.publish(kept);
        }
    }

    /// Makes volatile changes visible.
    pub(crate) fn publish_volatile(&self, changes: Vec<Change>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.set(&changes);
        state.volatile.push(changes);
    }

    pub(crate) fn cursor(&self, revision: u64) -> Cursor {
        Cursor { epoch: self.epoch, revision }
    }

    /// Returns the oldest batch after `revision`; `None` when there is none yet.
    pub(crate) fn batch_after(&self, revision: u64) -> Result<Option<Arc<Batch>>, Stale> {
        let state = self.read();
        state.ring.after(revision, state.head).map_err(|NoPlace| state.range(self.epoch))
    }

    /// Returns what can be watched from.
    pub(crate) fn range(&self) -> Stale {
        self.read().range(self.epoch)
    }
}

impl State {
    pub(crate) fn range(&self, epoch: u64) -> Stale {
        Stale { oldest: Cursor { epoch, revision: self.ring.base() }, head: Cursor { epoch, revision: self.head } }
    }

    fn publish(&mut self, kept: Kept) {
        self.set(&kept.batch.changes);
        self.head = kept.batch.cursor.revision;
        self.ring.push(kept);
    }

    fn set(&mut self, changes: &[Change]) {
        for change in changes {
            match &change.new {
                Some(new) => self.objects.insert(change.key.clone(), new.clone()),
                None => self.objects.remove(&change.key),
            };
        }
    }
}
