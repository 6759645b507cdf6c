//! Following the store: every batch, in order, none missing.

use std::sync::Arc;

use spec::Change;
use tokio::sync::watch;

use crate::Cursor;
use crate::state::Shared;

/// What one transaction changed.
#[derive(Clone, Debug)]
pub struct Batch {
    pub cursor: Cursor,
    /// One for each object, by key.
    pub changes: Vec<Change>,
}

/// The cursor is older than what the store remembers, or of another store.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("changes since this cursor are no longer known: list again, and watch from there")]
pub struct Stale {
    /// The oldest cursor that can be watched from.
    pub oldest: Cursor,
    pub head: Cursor,
}

/// Why a watch gives nothing more.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Ended {
    /// The watcher is further behind than the store remembers: start over from a snapshot.
    #[error("the watch fell too far behind: start over from a snapshot")]
    Lagged,
    #[error("the store is shut down")]
    Closed,
}

/// One reader of the batches, at its own pace: it pulls, and costs writers nothing.
///
/// Changes of volatile kinds come in batches of their own, which have the cursor of the batch before them. A watch from a cursor
/// begins with all volatile objects there are, if any: what its reader knew of before and is not told of there is gone.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    /// Revision of the last batch given.
    seen: u64,
    /// Last beat given of the volatile kinds.
    beat: u64,
    /// Volatile objects that are given first.
    first: Vec<Change>,
    wake: watch::Receiver<u64>,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, since: Option<Cursor>, wake: watch::Receiver<u64>) -> Result<Watch, Stale> {
        let state = shared.read();
        let first = since.map(|_| state.volatile.all(&state.objects)).unwrap_or_default();
        let (since, beat) = (since.unwrap_or(shared.cursor(state.head)), state.volatile.beat);
        drop(state);
        if since.epoch != shared.epoch {
            return Err(shared.range());
        }
        shared.batch_after(since.revision)?;
        Ok(Watch { shared, seen: since.revision, beat, first, wake })
    }

    /// Returns the next batch, once there is one.
    pub async fn next(&mut self) -> Result<Arc<Batch>, Ended> {
        loop {
            self.wake.borrow_and_update();
            if let Some(batch) = self.try_next()? {
                return Ok(batch);
            }
            self.wake.changed().await.map_err(|_| Ended::Closed)?;
        }
    }

    /// Returns the next batch if there is one.
    pub fn try_next(&mut self) -> Result<Option<Arc<Batch>>, Ended> {
        if !self.first.is_empty() {
            return Ok(Some(Arc::new(Batch { cursor: self.cursor(), changes: std::mem::take(&mut self.first) })));
        }
        // Asked before the rest, so that an end is told only when there is nothing more.
        let is_closed = self.wake.has_changed().is_err();
        let batch = self.shared.batch_after(self.seen).map_err(|_| Ended::Lagged)?;
        if let Some(batch) = batch {
            self.seen = batch.cursor.revision;
            return Ok(Some(batch));
        }
        match self.volatile()? {
            None if is_closed => Err(Ended::Closed),
            batch => Ok(batch),
        }
    }

    fn volatile(&mut self) -> Result<Option<Arc<Batch>>, Ended> {
        let changes = self.shared.read().volatile.after(self.beat).map_err(|_| Ended::Lagged)?;
        let batch = changes.map(|changes| Arc::new(Batch { cursor: self.cursor(), changes: changes.to_vec() }));
        self.beat += u64::from(batch.is_some());
        Ok(batch)
    }

    /// Returns the place behind the last batch given.
    pub fn cursor(&self) -> Cursor {
        self.shared.cursor(self.seen)
    }
}
