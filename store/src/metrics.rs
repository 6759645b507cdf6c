//! Counts of what the store did since it was opened.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Transactions that changed something.
    pub transactions: u64,
    /// Transactions that were refused.
    pub refused: u64,
    /// redb transactions, each of one or more of ours.
    pub groups: u64,
    /// redb transactions that were flushed to disk.
    pub flushes: u64,
    /// Most transactions in one group.
    pub largest_group: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    transactions: AtomicU64,
    refused: AtomicU64,
    groups: AtomicU64,
    flushes: AtomicU64,
    largest_group: AtomicU64,
}

impl Counters {
    pub(crate) fn group(&self, transactions: usize, flushed: bool) {
        self.transactions.fetch_add(transactions as u64, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.flushes.fetch_add(flushed.into(), Ordering::Relaxed);
        self.largest_group.fetch_max(transactions as u64, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Metrics {
        Metrics {
            transactions: self.transactions.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            groups: self.groups.load(Ordering::Relaxed),
            flushes: self.flushes.load(Ordering::Relaxed),
            largest_group: self.largest_group.load(Ordering::Relaxed),
        }
    }
}
