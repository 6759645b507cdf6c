//! The object store: revisions, compare-and-swap, one writer for each half, and a watch that misses nothing.
//!
//! ```text
//!  commit ──▶ queue ──▶ committer thread ──▶ redb (the log of truth) ──▶ objects in memory ──▶ get, snapshot
//!                       groups what waits          objects, history  └─▶ ring of batches   ──▶ watch, page
//! ```
//!
//! Reads never touch the file: all objects live in memory. Writes are applied by one thread, whole or not at all; those that wait
//! together share one redb transaction and one flush. Every transaction that changes something takes the next revision.
//!
//! Revisions are reserved on disk ahead of their use ([`log`]), so that one seen by a reader and then lost in a crash, as those
//! of transactions that are not [`Transaction::durable`] can be, is never given out again, and a cursor that names it is stale.
//! All other cursors are good as long as the history reaches back to them ([`Options`]), also after a restart or a crash.

mod apply;
mod backup;
mod committer;
mod cursor;
mod disk;
mod error;
mod log;
mod metrics;
mod options;
mod page;
mod ring;
mod state;
mod store;
mod transaction;
mod volatile;
mod watch;
mod writers;

pub use apply::{OBJECT_BYTES_MAX, OPS_MAX};
pub use backup::{Checked, Restored};
pub use cursor::{BadCursor, Cursor};
pub use disk::{Backend, Disk};
pub use error::Error;
pub use metrics::Metrics;
pub use options::Options;
pub use page::Page;
pub use store::{Snapshot, Store};
pub use transaction::{Committed, Expect, Op, Transaction};
pub use watch::{Batch, Ended, Stale, Watch};
pub use writers::{TwoWriters, Writers};
