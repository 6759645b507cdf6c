//! What a store keeps, and when it refuses.

use std::collections::BTreeSet;
use std::time::Duration;

use spec::Kind;

/// What can be set about a store when it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Transactions that watchers can go back, also across a restart. An hour of a node that changes twice a second, and eight
    /// seconds of one that changes a thousand times a second: longer than a restart takes.
    pub history_revisions: usize,
    /// Bytes of history kept: the JSON of versions that nothing else still holds, in the file and in memory. It bounds what is read
    /// at start, and what large objects hold.
    pub history_bytes: usize,
    /// Users' writes are refused while the store's file system has less room than this, so that controllers' and statuses' go
    /// through; 0 refuses none. A deployment of 256 services takes a few megabytes.
    pub keep_free_bytes: u64,
    /// Kinds kept in memory only ([`crate::Watch`] says how they are followed).
    pub volatile: BTreeSet<Kind>,
    /// How long a full disk is left alone before it is tried again: opening the file anew reads all of it.
    pub full_retry: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            history_revisions: 8192,
            history_bytes: 8 << 20,
            keep_free_bytes: 0,
            volatile: BTreeSet::new(),
            full_retry: Duration::from_secs(1),
        }
    }
}
