//! Writing on after a write failed.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use spec::Key;

use super::history::{self, Surplus, Undo};
use super::{Changing, Entry, HISTORY, Log, OBJECTS, Objects, RESERVED_KEY, SUM_KEY, load, row_key, write_meta};
use crate::apply::encode;
use crate::state::State;
use crate::{Batch, Error};

impl Log {
    /// Opens the file anew after a failed write and makes it hold `state`: what was acknowledged, and nothing of what failed.
    pub(crate) fn recover(&mut self, state: &State) -> Result<(), Error> {
        // redb goes on refusing after an error, and holds the lock on the file.
        self.db = None;
        let (log, loaded) = load::open(self.disk.clone(), self.history.limits()).map_err(failed)?;
        *self = log;
        let objects = Entry { revision: state.head, rows: difference(&loaded.objects, state)? };
        self.history.cut(state.head);
        let missing: Vec<_> = state.ring.back_to(self.history.last()).cloned().collect();
        let missing: Vec<_> =
            missing.iter().rev().map(|batch| Ok((batch.cursor.revision, undo(batch)?))).collect::<Result<_, Error>>()?;
        Ok(self.rewrite(&objects, &missing)?)
    }

    /// Writes rows that are no transaction of their own, puts the end of the history in order, and flushes.
    fn rewrite(&mut self, objects: &Entry, missing: &[(u64, Undo)]) -> Result<(), redb::Error> {
        let tx = self.begin(true)?;
        let mut changing = Changing { prints: HashMap::new(), sum: self.sum };
        changing.apply(&mut tx.open_table(OBJECTS)?, &self.prints, &objects.rows)?;
        changing.sum = changing.sum.wrapping_sub(history::remove(&tx, objects.revision + 1..)?);
        for (revision, undo) in missing {
            changing.sum = changing.sum.wrapping_add(undo.fingerprint(*revision));
            tx.open_table(HISTORY)?.insert(revision, undo.as_str())?;
        }
        write_meta(&tx, &[(RESERVED_KEY, self.reserved), (SUM_KEY, changing.sum)])?;
        tx.commit()?;
        self.history.changed(&Surplus::NONE, missing.iter().map(|(revision, undo)| (*revision, undo.bytes())));
        self.keep(changing);
        Ok(())
    }
}

/// Tells a disk that fails while it is opened anew as one that failed: the file has been opened before.
fn failed(error: Error) -> Error {
    match error {
        Error::Open { source, .. } => Error::Failed { source: Arc::new(redb::Error::Io(io::Error::new(source.kind(), source))) },
        other => other,
    }
}

/// Returns the rows that turn `from` into the objects of `to` that belong to the file.
fn difference(from: &Objects, to: &State) -> Result<Vec<(Key, Option<String>)>, Error> {
    let is_kept = |key: &Key| !to.volatile.holds(key.kind);
    let extra = from.keys().filter(|key| is_kept(key) && !to.objects.contains_key(key));
    let mut rows: Vec<_> = extra.map(|key| (key.clone(), None)).collect();
    for (key, object) in to.objects.iter().filter(|(key, object)| is_kept(key) && from.get(key) != Some(object)) {
        rows.push((key.clone(), Some(encode(object)?)));
    }
    Ok(rows)
}

fn undo(batch: &Batch) -> Result<Undo, Error> {
    let mut undo = Undo::new();
    for change in &batch.changes {
        let old = change.old.as_deref().map(encode).transpose()?;
        undo.push(&row_key(&change.key), old.as_deref());
    }
    Ok(undo)
}
