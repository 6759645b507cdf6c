//! The packet filter: what is desired, as one nf_tables table of the node.
//!
//! - `table`: a table as plain data
//! - `rules`: from a [`Filter`] to the table that does it
//! - `encode`: from the table to netlink messages
//! - `observe`: from netlink messages to the table the kernel has
//! - `change`: from two tables to one batch of messages
//! - `kernel`: the socket, and what it last saw

mod change;
mod encode;
pub(crate) mod kernel;
mod observe;
mod rules;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use spec::net::Block;

pub(crate) use observe::{malformed, message, text};

/// The whole desired packet filter of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The range all overlays come from. What leaves it for the world outside is masqueraded.
    pub pool: Block,
    /// Within one of these, replicas talk to each other.
    pub overlays: BTreeSet<Block>,
    /// The addresses that may be used on each link, by the host's interface name.
    pub links: BTreeMap<String, BTreeSet<Ipv4Addr>>,
}

/// What one named rule of the filter has counted since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    pub packets: u64,
    pub bytes: u64,
}

#[cfg(test)]
pub(crate) mod tests;
