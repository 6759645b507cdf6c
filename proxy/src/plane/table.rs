//! The table as traffic reads it: routes by port and path, names by client address.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use spec::Name;
use spec::kind::endpoint;

use super::metrics;
use crate::http::backend::Backend;
use crate::wire;

/// One state of the tables, never changed once it is in use.
#[derive(Default)]
pub(crate) struct Table {
    ports: HashMap<u16, Port>,
    routes: BTreeMap<Name, Arc<Route>>,
    /// By address, so that a backend keeps its connections whichever routes it is in.
    backends: HashMap<SocketAddrV4, Arc<Backend>>,
    pub(crate) names: Names,
    pub(crate) upstream_dns: Arc<[SocketAddr]>,
}

#[derive(Default)]
struct Port {
    /// Length of the longest prefix: no more of a path is looked at.
    longest: usize,
    by_prefix: HashMap<Box<str>, Arc<Route>>,
}

/// Where requests for one endpoint go.
pub(crate) struct Route {
    /// `<deployment>/<service>`, for people.
    pub(crate) service: String,
    spec: Arc<endpoint::Spec>,
    pub(crate) backends: Vec<Arc<Backend>>,
    turn: Arc<AtomicUsize>,
    pub(crate) metrics: Arc<metrics::Route>,
}

/// Who may look up which names.
#[derive(Default)]
pub(crate) struct Names {
    clients: HashMap<Ipv4Addr, Client>,
    records: HashMap<Box<str>, Vec<Ipv4Addr>>,
}

/// A replica that asks.
pub(crate) struct Client {
    deployment: Box<str>,
    service: Box<str>,
}

impl Table {
    /// Builds the table of `tables`; connections and counters of what was in `previous` live on.
    pub(crate) fn new(tables: &wire::Tables, previous: &Table) -> Table {
        let mut table =
            Table { names: Names::new(tables), upstream_dns: tables.upstream_dns.as_slice().into(), ..Table::default() };
        for (name, spec) in &tables.routes {
            let route = table.route(name, spec, previous);
            let port = table.ports.entry(spec.port).or_default();
            let prefix = spec.path.trim_end_matches('/');
            port.longest = port.longest.max(prefix.len());
            // Two endpoints on one path are refused before they get here; if not, the first by name serves.
            port.by_prefix.entry(prefix.into()).or_insert_with(|| route.clone());
            table.routes.insert(name.clone(), route);
        }
        table
    }

    fn route(&mut self, name: &Name, spec: &Arc<endpoint::Spec>, previous: &Table) -> Arc<Route> {
        let mut backend = |address: &SocketAddrV4| -> Arc<Backend> {
            let known = self.backends.get(address).or_else(|| previous.backends.get(address)).cloned();
            let backend = known.unwrap_or_else(|| Arc::new(Backend::new(*address)));
            self.backends.insert(*address, backend.clone());
            backend
        };
        let backends = spec.backends.iter().map(&mut backend).collect();
        let before = previous.routes.get(name);
        match before {
            Some(route) if route.spec == *spec => route.clone(),
            _ => Arc::new(Route {
                service: name.parent().unwrap_or_else(|| name.clone()).to_string(),
                spec: spec.clone(),
                backends,
                turn: before.map(|route| route.turn.clone()).unwrap_or_default(),
                metrics: before.map(|route| route.metrics.clone()).unwrap_or_default(),
            }),
        }
    }

    /// Returns the route of the longest prefix of whole segments of `path`.
    pub(crate) fn find(&self, port: u16, path: &str) -> Option<&Arc<Route>> {
        let port = self.ports.get(&port)?;
        let mut prefix = cut(path, port.longest);
        loop {
            if let Some(route) = port.by_prefix.get(prefix) {
                return Some(route);
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }

    pub(crate) fn has_port(&self, port: u16) -> bool {
        self.ports.contains_key(&port)
    }

    pub(crate) fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.backends.values()
    }

    pub(crate) fn route_figures(&self) -> BTreeMap<String, metrics::RouteFigures> {
        self.routes.iter().map(|(name, route)| (name.to_string(), route.metrics.figures())).collect()
    }
}

/// Returns the whole segments of `path` that fit in `longest` bytes, without a `/` at the end.
///
/// A path of 60 KB with as many segments costs no more than the longest prefix that could match.
fn cut(path: &str, longest: usize) -> &str {
    let path = path.trim_end_matches('/');
    if path.len() <= longest || path.as_bytes()[longest] == b'/' {
        return path.get(..longest.min(path.len())).unwrap_or_default();
    }
    let end = path.as_bytes()[..longest].iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &path[..end]
}

impl Route {
    /// Returns the index of the backend whose turn it is.
    pub(crate) fn next(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

impl Names {
    pub(crate) fn new(tables: &wire::Tables) -> Names {
        let records = tables.records.iter().map(|(name, addresses)| (name.as_str().into(), addresses.clone()));
        let clients = tables.clients.iter().flat_map(|(replica, addresses)| {
            let mut parts = replica.components();
            let (deployment, service) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            addresses.iter().map(move |&address| (address, Client { deployment: deployment.into(), service: service.into() }))
        });
        Names { clients: clients.collect(), records: records.collect() }
    }

    pub(crate) fn client(&self, address: Ipv4Addr) -> Option<&Client> {
        self.clients.get(&address)
    }

    pub(crate) fn deployment(&self, address: Ipv4Addr) -> Option<&str> {
        self.client(address).map(|client| &*client.deployment)
    }

    /// Returns the addresses of a service of the client's deployment.
    pub(crate) fn global(&self, client: &Client, service: &str) -> Option<&[Ipv4Addr]> {
        self.records.get(format!("{}/{service}", client.deployment).as_str()).map(Vec::as_slice)
    }

    /// Returns the addresses of the client's own service.
    pub(crate) fn own(&self, client: &Client, service: &str) -> Option<&[Ipv4Addr]> {
        if *client.service == *service { self.global(client, service) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(routes: &[(&str, u16, &str)]) -> wire::Tables {
        let route = |&(name, port, path): &(&str, u16, &str)| {
            let backends = vec!["10.0.0.1:80".parse().unwrap()];
            let spec = endpoint::Spec { protocol: endpoint::Protocol::Http, port, path: path.into(), backends };
            (name.parse().unwrap(), Arc::new(spec))
        };
        wire::Tables { routes: routes.iter().map(route).collect(), ..wire::Tables::default() }
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let wire = tables(&[
            ("d/root/http", 80, "/"),
            ("d/api/http", 80, "/api"),
            ("d/v2/http", 80, "/api/v2/"),
            ("d/only/http", 81, "/only"),
        ]);
        let table = Table::new(&wire, &Table::default());
        let found = |port, path| table.find(port, path).map(|route| route.service.as_str());
        for (path, service) in [
            ("/", "d/root"),
            ("/x", "d/root"),
            ("/api", "d/api"),
            ("/api/", "d/api"),
            ("/apix", "d/root"),
            ("/api/x", "d/api"),
            ("/api/v2", "d/v2"),
            ("/api/v2/", "d/v2"),
            ("/api/v2x", "d/api"),
            ("/api/v2/x/y/z", "d/v2"),
            ("/ap", "d/root"),
            ("//api", "d/root"),
            ("", "d/root"),
        ] {
            assert_eq!(found(80, path), Some(service), "{path}");
        }
        assert_eq!(found(81, "/only/x"), Some("d/only"));
        for path in ["/", "/onlyx", "/on", "/é/é/é", "*"] {
            assert_eq!(found(81, path), None, "{path}");
        }
        assert_eq!(found(82, "/"), None);
    }

    #[test]
    fn what_did_not_change_keeps_its_connections_and_counters() {
        let first = Table::new(&tables(&[("d/a/http", 80, "/"), ("d/b/http", 80, "/b")]), &Table::default());
        first.find(80, "/").unwrap().metrics.requests.add_one();
        let second = Table::new(&tables(&[("d/a/http", 80, "/moved")]), &first);
        let (old, new) = (first.find(80, "/").unwrap(), second.find(80, "/moved").unwrap());
        assert_eq!(new.metrics.figures().requests, 1);
        assert!(Arc::ptr_eq(&old.backends[0], &new.backends[0]));
        assert_eq!(second.route_figures().len(), 1);
    }
}
