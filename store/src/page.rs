//! Lists in parts, all of one place in the history.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use spec::{Key, Object};

use crate::state::State;
use crate::{Cursor, Stale, Store};

/// A part of all objects as they were together at one place in the history.
#[derive(Clone, Debug)]
pub struct Page {
    /// The place; watching from it misses nothing of what changed since.
    pub cursor: Cursor,
    /// Sorted by key.
    pub objects: Vec<Arc<Object>>,
    /// There are more after the last.
    pub more: bool,
}

impl Store {
    /// Returns the first `limit` objects after a key that fit, as they are now, or were at a place that the history still knows.
    ///
    /// The first part is taken of now, and the others at its cursor. A part costs what it holds and what changed since.
    pub fn page(
        &self,
        at: Option<Cursor>,
        after: Option<&Key>,
        limit: usize,
        fits: impl Fn(&Object) -> bool,
    ) -> Result<Page, Stale> {
        let shared = self.shared();
        let state = shared.read();
        let cursor = at.unwrap_or(shared.cursor(state.head));
        if cursor.epoch != shared.epoch || state.ring.after(cursor.revision, state.head).is_err() {
            return Err(state.range(shared.epoch));
        }
        let mut rest = state.at(cursor.revision, after).filter(|object| fits(object));
        let objects = rest.by_ref().take(limit).cloned().collect();
        let more = rest.next().is_some();
        drop(rest);
        Ok(Page { cursor, objects, more })
    }
}

impl State {
    /// Returns the objects after a key as they were at `revision`, which the history knows.
    fn at(&self, revision: u64, after: Option<&Key>) -> impl Iterator<Item = &Arc<Object>> {
        let mut then: BTreeMap<&Key, Option<&Arc<Object>>> = BTreeMap::new();
        for change in self.ring.back_to(revision).flat_map(|batch| &batch.changes).filter(|change| after < Some(&change.key)) {
            // The last one to be seen, which is the first that happened, says how it was.
            then.insert(&change.key, change.old.as_ref());
        }
        let bounds = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        merge(self.objects.range::<Key, _>(bounds), then)
    }
}

/// Returns the values of `now`, but those of `then` where there is one, in the order of their keys.
fn merge<'a>(
    now: impl Iterator<Item = (&'a Key, &'a Arc<Object>)>,
    then: BTreeMap<&'a Key, Option<&'a Arc<Object>>>,
) -> impl Iterator<Item = &'a Arc<Object>> {
    let (mut now, mut then) = (now.peekable(), then.into_iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let Some((key, old)) = then.next_if(|(old, _)| now.peek().is_none_or(|(new, _)| old <= new)) else {
                return now.next().map(|(_, object)| object);
            };
            now.next_if(|(new, _)| *new == key);
            if old.is_some() {
                return old;
            }
        }
    })
}
