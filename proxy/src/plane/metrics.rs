//! Counters of the process, and how a daemon reads them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What the process counts beside its routes.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    pub(crate) connections: Counter,
    pub(crate) evicted: Counter,
    pub(crate) refused: Counter,
    pub(crate) dns: Dns,
}

#[derive(Debug, Default)]
pub(crate) struct Dns {
    pub(crate) queries: Counter,
    pub(crate) dropped: Counter,
    pub(crate) relayed: Counter,
    pub(crate) failed: Counter,
}

/// What is counted for one route, for as long as its name is in the table.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) requests: Counter,
    pub(crate) errors: Counter,
}

/// All counters at one moment; each counts from the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open_connections: u64,
    /// Connections closed while they waited, to make room for others.
    pub evicted: u64,
    /// Requests without a route or against the rules.
    pub refused: u64,
    /// By the endpoint's name.
    pub routes: BTreeMap<String, RouteFigures>,
    pub dns: DnsFigures,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteFigures {
    pub requests: u64,
    /// Requests that no backend answered.
    pub errors: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsFigures {
    pub queries: u64,
    /// Packets that were no query.
    pub dropped: u64,
    /// Queries passed on to an upstream server.
    pub relayed: u64,
    /// Queries that no upstream server answered.
    pub failed: u64,
}

impl Route {
    pub(crate) fn figures(&self) -> RouteFigures {
        RouteFigures { requests: self.requests.get(), errors: self.errors.get() }
    }
}

impl Dns {
    pub(crate) fn figures(&self) -> DnsFigures {
        DnsFigures {
            queries: self.queries.get(),
            dropped: self.dropped.get(),
            relayed: self.relayed.get(),
            failed: self.failed.get(),
        }
    }
}
