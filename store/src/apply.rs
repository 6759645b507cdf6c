//! What a transaction makes of the objects: all the rules, and no I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use spec::plan::Writer;
use spec::{Change, Key, Object, Spec, Status, Uid, Write};

use crate::writers::Writers;
use crate::{Error, Op, Transaction};

/// Most writes of one transaction: several times what one deployment of 256 services settles in one round.
pub const OPS_MAX: usize = 4096;

/// Longest JSON form of one object: as long as the longest manifest.
pub const OBJECT_BYTES_MAX: usize = 1 << 20;

/// Objects before a transaction.
pub(crate) trait Before {
    fn get(&self, key: &Key) -> Option<&Arc<Object>>;
}

/// What a transaction would do.
#[derive(Debug)]
pub(crate) struct Applied {
    /// One for each object that changed, by key; empty when the transaction takes no revision.
    pub changes: Vec<Change>,
    /// JSON of each changed object, in the order of `changes`.
    pub rows: Vec<Option<String>>,
}

/// Where a transaction stands in the history.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub epoch: u64,
    pub revision: u64,
}

/// Returns what `tx` does at `place`, or why it may not.
pub(crate) fn apply(before: &impl Before, writers: &Writers, place: Place, tx: &Transaction) -> Result<Applied, Error> {
    if tx.ops.len() > OPS_MAX {
        return Err(Error::TooManyOps { ops: tx.ops.len() });
    }
    let mut changed: BTreeMap<Key, Option<Arc<Object>>> = BTreeMap::new();
    for (index, op) in tx.ops.iter().enumerate() {
        let key = op.write.key();
        let writer = author(tx.writer, op);
        if !writers.allow(writer, &op.write) {
            return Err(Error::NotWriter { key: key.clone(), what: what(&op.write), writer });
        }
        let current = match changed.get(key) {
            Some(changed) => changed.as_deref(),
            None => before.get(key).map(Arc::as_ref),
        };
        if let Outcome::Changed(new) = one(current, op, place, index)? {
            changed.insert(key.clone(), new.map(Arc::new));
        }
    }
    finish(before, changed)
}

/// Returns whose write it is: the driver speaks for the controllers, and everybody else for themselves.
fn author(writer: Writer, op: &Op) -> Writer {
    match op.author {
        Some(author @ Writer::Controller(_)) if writer == Writer::Driver => author,
        _ => writer,
    }
}

fn finish(before: &impl Before, changed: BTreeMap<Key, Option<Arc<Object>>>) -> Result<Applied, Error> {
    let mut applied = Applied { changes: Vec::with_capacity(changed.len()), rows: Vec::with_capacity(changed.len()) };
    for (key, new) in changed {
        let old = before.get(&key).cloned();
        if old.is_none() && new.is_none() {
            continue;
        }
        applied.rows.push(new.as_deref().map(encode).transpose()?);
        applied.changes.push(Change { key, old, new });
    }
    Ok(applied)
}

pub(crate) fn encode(object: &Object) -> Result<String, Error> {
    // Specs and statuses are plain data with text keys, which serde_json cannot fail on.
    let json = serde_json::to_string(object).expect("an object has a JSON form");
    if json.len() > OBJECT_BYTES_MAX {
        return Err(Error::TooLarge { key: object.key.clone(), bytes: json.len() });
    }
    Ok(json)
}

enum Outcome {
    Same,
    Changed(Option<Object>),
}

fn one(current: Option<&Object>, op: &Op, place: Place, index: usize) -> Result<Outcome, Error> {
    if op.labels.is_some() && !matches!(op.write, Write::Spec { .. }) {
        return Err(Error::LabelsWithoutSpec { key: op.write.key().clone() });
    }
    match &op.write {
        Write::Spec { key, owner, spec } => write_spec(current, op, key, owner.as_ref(), spec, place, index),
        Write::Status { key, status } => write_status(current, op, key, status, place),
        Write::Delete { .. } => delete(current, op, place),
        Write::Remove { .. } => remove(current, op),
    }
}

fn write_spec(
    current: Option<&Object>,
    op: &Op,
    key: &Key,
    owner: Option<&Key>,
    spec: &Spec,
    place: Place,
    index: usize,
) -> Result<Outcome, Error> {
    if spec.kind() != key.kind {
        return Err(Error::OtherKind { key: key.clone(), kind: spec.kind() });
    }
    expect(op, key, current.map(|object| &object.uid), current.map_or(0, |object| object.spec_revision))?;
    let Some(current) = current else {
        return Ok(Outcome::Changed(Some(create(op, key, owner, spec, place, index))));
    };
    if current.deleting {
        return Err(Error::Deleting { key: key.clone() });
    }
    if current.owner.as_ref() != owner {
        return Err(Error::OtherOwner { key: key.clone() });
    }
    let labels = op.labels.as_ref().unwrap_or(&current.labels);
    if current.spec == *spec && current.labels == *labels {
        return Ok(Outcome::Same);
    }
    Ok(Outcome::Changed(Some(Object {
        revision: place.revision,
        spec_revision: place.revision,
        generation: current.generation + u64::from(current.spec != *spec),
        labels: labels.clone(),
        spec: spec.clone(),
        ..current.clone()
    })))
}

fn create(op: &Op, key: &Key, owner: Option<&Key>, spec: &Spec, place: Place, index: usize) -> Object {
    Object {
        key: key.clone(),
        // Revisions are never used twice, so neither is this.
        uid: Uid(format!("{:016x}-{:x}.{index:x}", place.epoch, place.revision)),
        revision: place.revision,
        spec_revision: place.revision,
        status_revision: 0,
        generation: 1,
        observed_generation: 0,
        owner: owner.cloned(),
        labels: op.labels.clone().unwrap_or_default(),
        deleting: false,
        spec: spec.clone(),
        status: None,
    }
}

fn write_status(current: Option<&Object>, op: &Op, key: &Key, status: &Status, place: Place) -> Result<Outcome, Error> {
    if status.kind() != key.kind {
        return Err(Error::OtherKind { key: key.clone(), kind: status.kind() });
    }
    let current = current.filter(|object| op.expect.uid.as_ref().is_none_or(|uid| *uid == object.uid));
    let Some(current) = current else {
        return Err(Error::Gone { key: key.clone() });
    };
    expect(op, key, Some(&current.uid), current.status_revision)?;
    if current.status.as_ref() == Some(status) && current.observed_generation == current.generation {
        return Ok(Outcome::Same);
    }
    Ok(Outcome::Changed(Some(Object {
        revision: place.revision,
        status_revision: place.revision,
        observed_generation: current.generation,
        status: Some(status.clone()),
        ..current.clone()
    })))
}

fn delete(current: Option<&Object>, op: &Op, place: Place) -> Result<Outcome, Error> {
    let Some(current) = current else {
        return Ok(Outcome::Same);
    };
    expect(op, &current.key, Some(&current.uid), current.spec_revision)?;
    if current.deleting {
        return Ok(Outcome::Same);
    }
    Ok(Outcome::Changed(Some(Object { revision: place.revision, deleting: true, ..current.clone() })))
}

fn remove(current: Option<&Object>, op: &Op) -> Result<Outcome, Error> {
    let Some(current) = current else {
        return Ok(Outcome::Same);
    };
    expect(op, &current.key, Some(&current.uid), current.spec_revision)?;
    if current.deleting { Ok(Outcome::Changed(None)) } else { Err(Error::NotDeleting { key: current.key.clone() }) }
}

fn expect(op: &Op, key: &Key, uid: Option<&Uid>, revision: u64) -> Result<(), Error> {
    let uid_holds = op.expect.uid.as_ref().is_none_or(|expected| Some(expected) == uid);
    let revision_holds = op.expect.revision.is_none_or(|expected| expected == revision);
    if uid_holds && revision_holds { Ok(()) } else { Err(Error::Conflict { key: key.clone(), current: revision }) }
}

fn what(write: &Write) -> &'static str {
    match write {
        Write::Spec { .. } => "write the spec of",
        Write::Status { .. } => "write the status of",
        Write::Delete { .. } => "delete",
        Write::Remove { .. } => "remove",
    }
}
