//! The latest batches, in memory: what watchers are given.
//!
//! ```text
//!   base        batches                                        head
//!    │   ┌────┬────┬────┐                    ┌──────┬──────┐    │
//!    40  │ 41 │ 42 │ 43 │  lost in a crash   │ 1025 │ 1026 │  1026
//!        └────┴────┴────┘                    └──────┴──────┘
//! ```
//!
//! Revisions follow each other, but for those that a crash took with it and that are never given out again. A cursor among the
//! lost ones stands for a state that no longer is, so it is stale; the one right before a batch, and the one of a batch, are not.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::{Batch, Options};

/// Bytes that a change costs beside the version it replaced.
pub(crate) const CHANGE_BYTES: usize = 64;

#[derive(Debug)]
pub(crate) struct Ring {
    /// Revision up to which batches are forgotten.
    base: u64,
    batches: VecDeque<Kept>,
    bytes: usize,
    limits: Limits,
}

/// A batch, and what keeping it costs.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub batch: Arc<Batch>,
    pub bytes: usize,
}

/// How much history is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub revisions: usize,
    pub bytes: usize,
}

impl From<&Options> for Limits {
    fn from(options: &Options) -> Limits {
        Limits { revisions: options.history_revisions.max(1), bytes: options.history_bytes }
    }
}

impl Limits {
    /// Returns whether `count` batches of `bytes` are too many; the latest is always kept.
    pub(crate) fn exceeded(self, count: usize, bytes: usize) -> bool {
        count > self.revisions || (bytes > self.bytes && count > 1)
    }
}

impl Ring {
    pub(crate) fn new(base: u64, limits: Limits, batches: impl IntoIterator<Item = Kept>) -> Ring {
        let mut ring = Ring { base, batches: VecDeque::new(), bytes: 0, limits };
        batches.into_iter().for_each(|kept| ring.push(kept));
        ring
    }

    pub(crate) fn push(&mut self, kept: Kept) {
        self.bytes += kept.bytes;
        self.batches.push_back(kept);
        while self.limits.exceeded(self.batches.len(), self.bytes) {
            let Some(oldest) = self.batches.pop_front() else { return };
            self.bytes -= oldest.bytes;
            // What follows a loss is watched from right before it.
            let next = self.batches.front().map_or(oldest.revision(), Kept::revision);
            self.base = oldest.revision().max(next - 1);
        }
    }

    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// Returns the oldest batch after `revision`, `None` when there is none; an error when `revision` is no place in the history.
    pub(crate) fn after(&self, revision: u64, head: u64) -> Result<Option<Arc<Batch>>, NoPlace> {
        let index = self.batches.partition_point(|kept| kept.revision() <= revision);
        let next = self.batches.get(index);
        let is_behind = index > 0 && self.batches[index - 1].revision() == revision;
        let is_before = next.is_some_and(|next| next.revision() == revision + 1);
        if self.base <= revision && (is_behind || is_before || revision == self.base || revision == head) {
            Ok(next.map(|kept| kept.batch.clone()))
        } else {
            Err(NoPlace)
        }
    }

    /// Returns the batches after `revision`, latest first.
    pub(crate) fn back_to(&self, revision: u64) -> impl Iterator<Item = &Arc<Batch>> {
        self.batches.iter().rev().map(|kept| &kept.batch).take_while(move |batch| batch.cursor.revision > revision)
    }
}

/// A revision that is forgotten, lost or still to come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPlace;

impl Kept {
    fn revision(&self) -> u64 {
        self.batch.cursor.revision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cursor;

    fn kept(revision: u64, bytes: usize) -> Kept {
        Kept { batch: Arc::new(Batch { cursor: Cursor { epoch: 1, revision }, changes: Vec::new() }), bytes }
    }

    fn ring(revisions: usize, bytes: usize) -> Ring {
        let batches = [41, 42, 43, 1025, 1026].map(|revision| kept(revision, 10));
        Ring::new(40, Limits { revisions, bytes }, batches)
    }

    fn places(ring: &Ring) -> Vec<u64> {
        (0..1100).filter(|revision| ring.after(*revision, 1026).is_ok()).collect()
    }

    #[test]
    fn a_place_is_a_revision_that_was_and_was_not_lost() {
        assert_eq!(places(&ring(10, 1000)), [40, 41, 42, 43, 1024, 1025, 1026]);
        let next = |revision| ring(10, 1000).after(revision, 1026).unwrap().map(|batch| batch.cursor.revision);
        assert_eq!([40, 43, 1024, 1026].map(next), [Some(41), Some(1025), Some(1025), None]);
    }

    #[test]
    fn the_oldest_go_first_and_the_latest_stays() {
        assert_eq!(places(&ring(4, 1000)), [41, 42, 43, 1024, 1025, 1026]);
        assert_eq!(places(&ring(2, 1000)), [1024, 1025, 1026]);
        assert_eq!(places(&ring(10, 29)), [1024, 1025, 1026]);
        assert_eq!(places(&ring(10, 0)), [1025, 1026]);
    }

    #[test]
    fn going_back_ends_at_the_place() {
        let ring = ring(10, 1000);
        let revisions: Vec<u64> = ring.back_to(43).map(|batch| batch.cursor.revision).collect();
        assert_eq!(revisions, [1026, 1025]);
    }
}
