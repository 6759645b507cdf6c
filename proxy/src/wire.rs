//! What daemon and data plane say to each other, one JSON document a frame.
//!
//! The process speaks first ([`Reply::Hello`]); from then on each request has one reply, in order. Sockets travel beside a
//! frame. The process outlives upgrades of the daemon, so [`VERSION`] counts every change that an older side would misread.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spec::Name;
use spec::hash;
use spec::kind::endpoint;

use crate::plane::metrics::Figures;

/// Version of this protocol.
pub(crate) const VERSION: u32 = 1;

/// Digits of a table's fingerprint: 64 bits, for equality between two processes of one machine.
const HASH_DIGITS: usize = 16;

/// A listening socket and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Socket {
    Http(u16),
    DnsUdp,
    DnsTcp,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    /// Brings sockets, one for each that is named; they are used from the next update on.
    Sockets(Vec<Socket>),
    /// Changes the tables in one step.
    Update {
        generation: u64,
        /// Forgets the present tables first.
        reset: bool,
        change: Change,
    },
    Figures,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Hello(Hello),
    /// Hands back sockets in use, one for each that is named, so that they outlive the process.
    Sockets(Vec<Socket>),
    Done,
    Figures(Figures),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hello {
    pub(crate) version: u32,
    pub(crate) generation: u64,
    /// [`Tables::hash`] of what the process serves.
    pub(crate) hash: String,
    /// How many sockets follow in [`Reply::Sockets`] frames.
    pub(crate) sockets: usize,
}

/// Everything the data plane is told.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tables {
    pub(crate) upstream_dns: Vec<SocketAddr>,
    pub(crate) routes: BTreeMap<Name, Arc<endpoint::Spec>>,
    pub(crate) records: BTreeMap<Name, Vec<Ipv4Addr>>,
    pub(crate) clients: BTreeMap<Name, Vec<Ipv4Addr>>,
}

/// What differs between two [`Tables`]: `None` takes an entry away.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_dns: Option<Vec<SocketAddr>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) routes: BTreeMap<Name, Option<Arc<endpoint::Spec>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) records: BTreeMap<Name, Option<Vec<Ipv4Addr>>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) clients: BTreeMap<Name, Option<Vec<Ipv4Addr>>>,
}

impl Tables {
    pub(crate) fn new(tables: &spec::plan::Tables, upstream_dns: Vec<SocketAddr>) -> Tables {
        Tables { upstream_dns, routes: tables.routes.clone(), records: tables.records.clone(), clients: tables.clients.clone() }
    }

    /// Returns a fingerprint that is equal for equal tables.
    pub(crate) fn hash(&self) -> String {
        let json = serde_json::to_string(self).expect("maps with text keys are JSON");
        hash::hex(&[&json], HASH_DIGITS)
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.routes.values().map(|route| route.port)
    }

    /// Returns what makes `wanted` of these tables.
    pub(crate) fn difference(&self, wanted: &Tables) -> Change {
        Change {
            upstream_dns: (self.upstream_dns != wanted.upstream_dns).then(|| wanted.upstream_dns.clone()),
            routes: difference(&self.routes, &wanted.routes),
            records: difference(&self.records, &wanted.records),
            clients: difference(&self.clients, &wanted.clients),
        }
    }

    pub(crate) fn apply(&mut self, change: Change) {
        if let Some(servers) = change.upstream_dns {
            self.upstream_dns = servers;
        }
        apply(&mut self.routes, change.routes);
        apply(&mut self.records, change.records);
        apply(&mut self.clients, change.clients);
    }
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Change::default()
    }
}

fn difference<V: Clone + PartialEq>(present: &BTreeMap<Name, V>, wanted: &BTreeMap<Name, V>) -> BTreeMap<Name, Option<V>> {
    let gone = present.keys().filter(|name| !wanted.contains_key(name)).map(|name| (name.clone(), None));
    let new = wanted.iter().filter(|(name, value)| present.get(name) != Some(value));
    gone.chain(new.map(|(name, value)| (name.clone(), Some(value.clone())))).collect()
}

fn apply<V>(present: &mut BTreeMap<Name, V>, change: BTreeMap<Name, Option<V>>) {
    for (name, value) in change {
        match value {
            Some(value) => present.insert(name, value),
            None => present.remove(&name),
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tables() -> impl Strategy<Value = Tables> {
        let name = "[a-c]/[a-c]".prop_map(|text| text.parse::<Name>().unwrap());
        // A server's address has no flow label.
        let server = any::<(std::net::IpAddr, u16)>().prop_map(SocketAddr::from);
        let addresses = proptest::collection::vec(any::<Ipv4Addr>(), 0..3);
        let records = proptest::collection::btree_map(name.clone(), addresses.clone(), 0..5);
        let route = (0..3u16, "/[ab]?").prop_map(|(port, path)| {
            Arc::new(endpoint::Spec { protocol: endpoint::Protocol::Http, port, path, backends: Vec::new() })
        });
        let routes = proptest::collection::btree_map(name, route, 0..5);
        (routes, records.clone(), records, proptest::collection::vec(server, 0..2))
            .prop_map(|(routes, records, clients, upstream_dns)| Tables { upstream_dns, routes, records, clients })
    }

    proptest! {
        #[test]
        fn a_difference_makes_one_table_of_another_and_survives_the_wire(old in tables(), new in tables()) {
            let change = old.difference(&new);
            let sent: Change = serde_json::from_str(&serde_json::to_string(&change).unwrap()).unwrap();
            let mut result = old.clone();
            result.apply(sent);
            prop_assert_eq!(result.hash(), new.hash());
            prop_assert_eq!(&result, &new);
            prop_assert!(result.difference(&new).is_empty());
            prop_assert_eq!(old.hash() == new.hash(), old == new);
        }
    }
}
