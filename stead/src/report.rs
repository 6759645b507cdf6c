//! Reporting to the store: statuses that the edge saw, and events worth telling.

use std::error::Error;

use spec::kind::{Event, event};
use spec::object::{Name, Resource, Uid};
use spec::plan::Writer;
use spec::view::Item;
use spec::{Key, Kind, Timestamp, Write};
use store::{Op, Store, Transaction};
use tracing::{debug, warn};

/// How often a report is tried again when something else writes the same status: those are a few tasks of one container.
const TRIES: u32 = 32;

/// Changes the status of the `R` called `name`, if it still is the object with `uid`.
///
/// Returns whether the object is still there. A report that cannot be stored is logged: the next observation brings it again.
pub async fn status<R: Resource>(store: &Store, name: &Name, uid: &Uid, change: impl Fn(&mut R::Status) + Send) -> bool
where
    R::Status: Default + Clone + PartialEq,
{
    let key = Key::new(R::KIND, name.clone());
    for _ in 0..TRIES {
        let Some(op) = status_op::<R>(store, &key, uid, &change) else { return false };
        match store.commit(Transaction::observed(Writer::Edge, [op])).await {
            Ok(_) => return true,
            Err(store::Error::Conflict { .. }) => {}
            Err(store::Error::Gone { .. }) => return false,
            Err(error) => {
                warn!(object = %key, error = chain(&error), "a status cannot be stored");
                return true;
            }
        }
    }
    warn!(object = %key, "a status could not be stored: too many write it at once");
    true
}

/// Returns the write that changes a status; `None` when the object is gone.
pub(crate) fn status_op<R: Resource>(store: &Store, key: &Key, uid: &Uid, change: impl Fn(&mut R::Status)) -> Option<Op>
where
    R::Status: Default + Clone,
{
    let object = store.get(key).filter(|object| object.uid == *uid)?;
    let mut status = Item::<R>::of(&object)?.status.cloned().unwrap_or_default();
    change(&mut status);
    let write = Write::Status { key: key.clone(), status: R::to_status(status) };
    Some(Op::new(write).expect_uid(uid.clone()).expect_revision(object.status_revision))
}

/// Writes an event about an object. Said again in the same words it is the same event; in others it counts as one more.
pub async fn event(store: &Store, about: &Key, reason: &str, message: &str, now: Timestamp) {
    let Ok(name) = about.name.child(&format!("{}-{reason}", about.kind)) else { return };
    let key = Key::new(Kind::Event, name);
    let before = store.get(&key);
    let before = before.as_ref().and_then(|object| Item::<Event>::of(object)).map(|item| item.spec);
    if before.is_some_and(|before| before.message == message) {
        return;
    }
    let spec = event::Spec {
        about: about.clone(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        count: before.map_or(0, |before| before.count) + 1,
        first: before.map_or(now, |before| before.first),
        last: now,
    };
    // An event about what is gone is of no use to anybody, so it goes with its subject.
    let owner = store.get(about).map(|object| object.key.clone());
    let write = Write::Spec { key, owner, spec: Event::to_spec(spec) };
    if let Err(error) = store.commit(Transaction::observed(Writer::Driver, [Op::new(write)])).await {
        debug!(about = %about, error = chain(&error), "an event cannot be stored");
    }
}

/// Returns an error with its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
