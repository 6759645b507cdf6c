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
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    /// Revision of the last batch given.
    seen: u64,
    wake: watch::Receiver<u64>,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, since: Option<Cursor>, wake: watch::Receiver<u64>) -> Result<Watch, Stale> {
        let head = shared.read().head;
        let since = since.unwrap_or(shared.cursor(head));
        if since.epoch != shared.epoch {
            return Err(shared.range());
        }
        shared.batch_after(since.revision)?;
        Ok(Watch { shared, seen: since.revision, wake })
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
        let batch = self.shared.batch_after(self.seen).map_err(|_| Ended::Lagged)?;
        match &batch {
            Some(batch) => self.seen = batch.cursor.revision,
            None if self.wake.has_changed().is_err() => return Err(Ended::Closed),
            None => (),
        }
        Ok(batch)
    }

    /// Returns the place behind the last batch given.
    pub fn cursor(&self) -> Cursor {
        self.shared.cursor(self.seen)
    }
}
