//! What is asked of the store, and what it answers.

use std::collections::BTreeMap;

use spec::plan::Writer;
use spec::{Change, Uid, Write};

use crate::Cursor;

/// Writes that are applied together or not at all.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub writer: Writer,
    pub ops: Vec<Op>,
    /// Acknowledged only once it is on disk. What is not is lost when the machine or the process ends at the wrong time, and is
    /// right for what will be observed again.
    pub durable: bool,
}

/// One write, and what must hold for it to be done.
#[derive(Clone, Debug)]
pub struct Op {
    pub write: Write,
    /// The object's new labels; `None` leaves them. Only for [`Write::Spec`], with which they share the writer.
    pub labels: Option<BTreeMap<String, String>>,
    pub expect: Expect,
    /// Whose write it is, when not the transaction's writer's: the driver commits what several controllers decided together,
    /// and it alone may speak for them.
    pub author: Option<Writer>,
}

/// What the writer believes to be so; the transaction conflicts when it is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expect {
    pub uid: Option<Uid>,
    /// Revision of the half written: `spec_revision` or `status_revision`; of the spec for deletes and removes. 0 stands for a
    /// spec or status that does not exist yet.
    pub revision: Option<u64>,
}

/// What a transaction did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The place behind the transaction; the store's head when it changed nothing.
    pub cursor: Cursor,
    /// One for each object that changed, by key.
    pub changes: Vec<Change>,
}

impl Transaction {
    /// Returns a durable transaction.
    pub fn new(writer: Writer, ops: impl IntoIterator<Item = Op>) -> Transaction {
        Transaction { writer, ops: ops.into_iter().collect(), durable: true }
    }

    /// Returns a transaction of what was observed, and will be again after a crash.
    pub fn observed(writer: Writer, ops: impl IntoIterator<Item = Op>) -> Transaction {
        Transaction { durable: false, ..Transaction::new(writer, ops) }
    }
}

impl Op {
    /// Returns a write that expects nothing.
    pub fn new(write: Write) -> Op {
        Op { write, labels: None, expect: Expect::default(), author: None }
    }

    pub fn labels(self, labels: BTreeMap<String, String>) -> Op {
        Op { labels: Some(labels), ..self }
    }

    /// Names the author of a write that the driver commits.
    pub fn by(self, author: Writer) -> Op {
        Op { author: Some(author), ..self }
    }

    pub fn expect_uid(mut self, uid: Uid) -> Op {
        self.expect.uid = Some(uid);
        self
    }

    pub fn expect_revision(mut self, revision: u64) -> Op {
        self.expect.revision = Some(revision);
        self
    }
}

impl From<Write> for Op {
    fn from(write: Write) -> Op {
        Op::new(write)
    }
}
