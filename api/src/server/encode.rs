//! JSON of what changed, made once for all watchers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use spec::Object;
use store::{Batch, Cursor};

/// Batches whose JSON is kept: watchers that keep up are within a few of each other.
const KEPT: usize = 64;

/// JSON of the objects of the latest batches.
#[derive(Default)]
pub(super) struct Encoder {
    recent: Mutex<VecDeque<Arc<Encoded>>>,
}

/// JSON of one batch, each object's made when the first watcher asks for it.
pub(super) struct Encoded {
    cursor: Cursor,
    objects: Vec<OnceLock<Bytes>>,
}

impl Encoder {
    pub(super) fn batch(&self, batch: &Batch) -> Arc<Encoded> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(encoded) = recent.iter().rev().find(|encoded| encoded.cursor == batch.cursor) {
            return encoded.clone();
        }
        let objects = batch.changes.iter().map(|_| OnceLock::new()).collect();
        let encoded = Arc::new(Encoded { cursor: batch.cursor, objects });
        recent.push_back(encoded.clone());
        if recent.len() > KEPT {
            recent.pop_front();
        }
        encoded
    }
}

impl Encoded {
    /// Returns the JSON of the object of the batch's change at `index`.
    pub(super) fn object(&self, index: usize, object: &Object) -> Bytes {
        self.objects[index].get_or_init(|| json(object)).clone()
    }
}

pub(super) fn json(object: &Object) -> Bytes {
    // An object was stored, so it has a JSON form.
    Bytes::from(serde_json::to_vec(object).expect("a stored object has a JSON form"))
}

/// How events are set off from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// One on each line.
    Lines,
    /// `text/event-stream`, whose ids a browser sends back when it reconnects.
    EventStream,
}

/// The word by which an event says what it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Put,
    Delete,
    Synced,
    Bookmark,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Verb::Put => "put",
            Verb::Delete => "delete",
            Verb::Synced => "synced",
            Verb::Bookmark => "bookmark",
        }
    }
}

impl Framing {
    /// Appends an event on an object; `more` says that others with the same cursor follow.
    pub(super) fn object(self, out: &mut BytesMut, verb: Verb, cursor: Cursor, more: bool, object: &[u8]) {
        self.event(out, verb, cursor, more, |out| {
            out.put_slice(b",\"object\":");
            out.put_slice(object);
        });
    }

    /// Appends an event on the stream itself.
    pub(super) fn mark(self, out: &mut BytesMut, verb: Verb, cursor: Cursor) {
        self.event(out, verb, cursor, false, |_| ());
    }

    fn event(self, out: &mut BytesMut, verb: Verb, cursor: Cursor, more: bool, rest: impl FnOnce(&mut BytesMut)) {
        let verb = verb.as_str();
        if self == Framing::EventStream {
            out.put_slice(format!("event: {verb}\n").as_bytes());
            if !more {
                out.put_slice(format!("id: {cursor}\n").as_bytes());
            }
            out.put_slice(b"data: ");
        }
        let more = if more { ",\"more\":true" } else { "" };
        out.put_slice(format!("{{\"type\":\"{verb}\",\"cursor\":\"{cursor}\"{more}").as_bytes());
        rest(out);
        out.put_slice(if self == Framing::EventStream { b"}\n\n" } else { b"}\n" });
    }
}
