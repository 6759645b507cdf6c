//! What transactions replaced: the rows of the history.
//!
//! A row says what was there before its revision, in JSON: `[["image/a",{…}],["image/b",null]]`. What was there after it is what
//! the next row about the same object says, or the object's own row, so each version stands in the file once, and creating costs a
//! name. The rows are read backwards from the present.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeBounds;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use spec::{Change, Key, Object};

use super::{HISTORY, Objects, row_key};
use crate::ring::{CHANGE_BYTES, Kept, Limits};
use crate::{Batch, Cursor};

/// Rows beyond the limit that wait until they are taken away together, as a part of the limit: a piece is a few pages.
const SLACK: usize = 64;

/// Most rows taken away in one commit: more than one commit adds, and a millisecond's work.
const PIECE_ROWS: usize = 512;

/// What one transaction replaced, as its row says it.
pub(super) struct Undo {
    json: String,
    changes: usize,
}

impl Undo {
    pub(super) fn new() -> Undo {
        Undo { json: "[]".to_owned(), changes: 0 }
    }

    pub(super) fn push(&mut self, id: &str, old: Option<&str>) {
        self.json.pop();
        let comma = if self.changes == 0 { "" } else { "," };
        // Names have no characters that JSON escapes.
        self.json.extend([comma, "[\"", id, "\",", old.unwrap_or("null"), "]]"]);
        self.changes += 1;
    }

    pub(super) fn as_str(&self) -> &str {
        &self.json
    }

    pub(super) fn bytes(&self) -> usize {
        self.json.len() + self.changes * CHANGE_BYTES
    }

    pub(super) fn fingerprint(&self, revision: u64) -> u64 {
        fingerprint(revision, &self.json)
    }
}

/// The rows that the file has: the revision of each, and what it costs.
pub(super) struct Rows {
    rows: VecDeque<(u64, usize)>,
    bytes: usize,
    limits: Limits,
}

/// The oldest rows, which are to be taken away.
pub(super) struct Surplus {
    count: usize,
    /// Revision of the last of them; 0 when there are none.
    pub last: u64,
}

impl Surplus {
    pub(super) const NONE: Surplus = Surplus { count: 0, last: 0 };
}

impl Rows {
    pub(super) fn new(limits: Limits) -> Rows {
        Rows { rows: VecDeque::new(), bytes: 0, limits }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns the revision of the latest row; 0 when there is none.
    pub(super) fn last(&self) -> u64 {
        self.rows.back().map_or(0, |(revision, _)| *revision)
    }

    /// Returns what goes when `added` comes: nothing most of the time, then a piece.
    pub(super) fn surplus(&self, added: &[(u64, usize)]) -> Surplus {
        let (mut count, mut bytes) = (self.rows.len() + added.len(), self.bytes + cost(added));
        let Limits { revisions, bytes: most } = self.limits;
        let wide = Limits { revisions: revisions + revisions / SLACK, bytes: most + most / SLACK };
        let mut surplus = Surplus::NONE;
        if !wide.exceeded(count, bytes) {
            return surplus;
        }
        // Rows that are only being added stay, so a commit never takes its own away.
        for (revision, row) in self.rows.iter().take(PIECE_ROWS) {
            if !self.limits.exceeded(count, bytes) {
                break;
            }
            (count, bytes) = (count - 1, bytes - row);
            surplus = Surplus { count: surplus.count + 1, last: *revision };
        }
        surplus
    }

    pub(super) fn changed(&mut self, surplus: &Surplus, added: impl IntoIterator<Item = (u64, usize)>) {
        let removed: usize = self.rows.drain(..surplus.count).map(|(_, bytes)| bytes).sum();
        self.bytes -= removed;
        for (revision, bytes) in added {
            self.bytes += bytes;
            self.rows.push_back((revision, bytes));
        }
    }

    /// Forgets rows after `revision`.
    pub(super) fn cut(&mut self, revision: u64) {
        while let Some((_, bytes)) = self.rows.pop_back_if(|(last, _)| *last > revision) {
            self.bytes -= bytes;
        }
    }
}

fn cost(rows: &[(u64, usize)]) -> usize {
    rows.iter().map(|(_, bytes)| bytes).sum()
}

/// Takes rows away, and returns the sum of their fingerprints.
pub(super) fn remove(tx: &WriteTransaction, revisions: impl RangeBounds<u64>) -> Result<u64, redb::Error> {
    let mut sum: u64 = 0;
    let bounds = (revisions.start_bound().cloned(), revisions.end_bound().cloned());
    tx.open_table(HISTORY)?.retain_in(bounds, |revision, undo| {
        sum = sum.wrapping_add(fingerprint(revision, undo));
        false
    })?;
    Ok(sum)
}

/// The history of a file.
pub(super) struct History {
    pub rows: Rows,
    /// Sum of the rows' fingerprints.
    pub sum: u64,
    /// The latest transactions, as many as may be kept.
    pub batches: VecDeque<Kept>,
    /// The revision right before the first of `batches`; `None` when there are none.
    pub base: Option<u64>,
}

impl History {
    pub(super) fn empty(limits: Limits) -> History {
        History { rows: Rows::new(limits), sum: 0, batches: VecDeque::new(), base: None }
    }

    /// Reads the history that led to `objects`.
    pub(super) fn read(tx: &ReadTransaction, epoch: u64, objects: &Objects, limits: Limits) -> Result<History, Unread> {
        let mut past = Past { objects, older: BTreeMap::new() };
        let mut history = History::empty(limits);
        let mut kept = 0;
        for row in tx.open_table(HISTORY)?.iter()?.rev() {
            let (revision, undo) = row?;
            let (revision, undo) = (revision.value(), undo.value());
            history.sum = history.sum.wrapping_add(fingerprint(revision, undo));
            let changes = past.step(revision, undo).map_err(|detail| Unread::Wrong(format!("revision {revision}: {detail}")))?;
            let bytes = undo.len() + changes.len() * CHANGE_BYTES;
            history.rows.rows.push_front((revision, bytes));
            history.rows.bytes += bytes;
            let fits =
                history.batches.len() + 1 == history.rows.rows.len() && !limits.exceeded(history.batches.len() + 1, kept + bytes);
            if fits {
                kept += bytes;
                let batch = Batch { cursor: Cursor { epoch, revision }, changes };
                history.batches.push_front(Kept { batch: Arc::new(batch), bytes });
                history.base = Some(revision - 1);
            }
        }
        Ok(history)
    }
}

/// Why there is no history.
pub(super) enum Unread {
    Redb(redb::Error),
    Wrong(String),
}

impl<E: Into<redb::Error>> From<E> for Unread {
    fn from(error: E) -> Unread {
        Unread::Redb(error.into())
    }
}

/// The objects as they were at the revision that reading has come to.
struct Past<'a> {
    objects: &'a Objects,
    older: BTreeMap<Key, Option<Arc<Object>>>,
}

impl Past<'_> {
    /// Goes back over one row, and returns what its transaction changed.
    fn step(&mut self, revision: u64, undo: &str) -> Result<Vec<Change>, String> {
        let undo: Vec<(String, Option<Object>)> = serde_json::from_str(undo).map_err(|error| error.to_string())?;
        undo.into_iter().map(|(id, old)| self.change(revision, &id, old)).collect()
    }

    fn change(&mut self, revision: u64, id: &str, old: Option<Object>) -> Result<Change, String> {
        let key = key_of(id).ok_or_else(|| format!("{id} is no object"))?;
        let new = match self.older.get(&key) {
            Some(older) => older.clone(),
            None => self.objects.get(&key).cloned(),
        };
        let is_old = old.as_ref().is_none_or(|old| old.key == key && old.revision < revision);
        let is_new = new.as_ref().map_or(old.is_some(), |new| new.revision == revision);
        if !is_old || !is_new {
            return Err(format!("{id} does not belong there"));
        }
        let old = old.map(Arc::new);
        self.older.insert(key.clone(), old.clone());
        Ok(Change { key, old, new })
    }
}

fn key_of(id: &str) -> Option<Key> {
    let (kind, name) = id.split_once('/')?;
    let key = Key::new(kind.parse().ok()?, name.parse().ok()?);
    (row_key(&key) == id).then_some(key)
}

/// Returns FNV-1a of a row. It has to show that a row is another or missing; that a page is torn, redb's own checksums show.
fn fingerprint(revision: u64, undo: &str) -> u64 {
    let bytes = revision.to_le_bytes();
    bytes
        .iter()
        .chain(undo.as_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
