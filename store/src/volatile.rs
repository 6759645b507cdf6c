//! Volatile kinds: objects in memory only, outside the revisions and the history.
//!
//! They are for figures that change fast and are reported again after a restart. A full or failing disk does not touch them.
//! Their changes are counted in beats. A watch gives those that come while it lasts; one by cursor gives first all volatile objects
//! there are, because a cursor says nothing about them: what its reader knew before and is not told then is gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use spec::{Change, Key, Kind, Object};

use crate::Transaction;

/// Changes kept for watchers that are behind: seconds of a busy node, and a few hundred kilobytes.
const CHANGES: usize = 4096;

/// What is volatile, and the latest changes of it.
#[derive(Debug, Default)]
pub(crate) struct Volatile {
    kinds: BTreeSet<Kind>,
    /// Beats so far.
    pub beat: u64,
    /// The last beat that is forgotten.
    forgotten: u64,
    latest: VecDeque<Arc<Vec<Change>>>,
    changes: usize,
}

/// A watcher is further behind than what is kept.
#[derive(Debug)]
pub(crate) struct Forgotten;

impl Volatile {
    pub(crate) fn new(kinds: BTreeSet<Kind>) -> Volatile {
        Volatile { kinds, ..Volatile::default() }
    }

    pub(crate) fn holds(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Returns whether a transaction writes volatile kinds and others.
    pub(crate) fn mixes(&self, tx: &Transaction) -> bool {
        let is_volatile = |op: &crate::Op| self.holds(op.write.key().kind);
        tx.ops.iter().any(is_volatile) && !tx.ops.iter().all(is_volatile)
    }

    /// Returns whether all of a transaction is volatile.
    pub(crate) fn takes(&self, tx: &Transaction) -> bool {
        !tx.ops.is_empty() && tx.ops.iter().all(|op| self.holds(op.write.key().kind))
    }

    /// Returns the volatile ones of all objects, as if they had just been made.
    pub(crate) fn all(&self, objects: &BTreeMap<Key, Arc<Object>>) -> Vec<Change> {
        let volatile = objects.values().filter(|object| self.holds(object.key.kind));
        volatile.map(|object| Change { key: object.key.clone(), old: None, new: Some(object.clone()) }).collect()
    }

    /// Adds the changes of the next beat.
    pub(crate) fn push(&mut self, changes: Vec<Change>) {
        self.beat += 1;
        self.changes += changes.len();
        self.latest.push_back(Arc::new(changes));
        while self.changes > CHANGES && self.latest.len() > 1 {
            let oldest = self.latest.pop_front().map_or(0, |changes| changes.len());
            self.changes -= oldest;
            self.forgotten += 1;
        }
    }

    /// Returns what changed in the beat after `beat`, if there was one.
    pub(crate) fn after(&self, beat: u64) -> Result<Option<Arc<Vec<Change>>>, Forgotten> {
        let index = beat.checked_sub(self.forgotten).ok_or(Forgotten)?;
        Ok(self.latest.get(index as usize).cloned())
    }
}
