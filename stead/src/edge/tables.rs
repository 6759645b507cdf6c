//! Publishing the node's tables: routes and names to the data plane, overlays to the packet filter.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use spec::kind::{Endpoint, Node, endpoint, node};
use spec::plan::Tables;
use spec::view::Item;
use spec::{Key, Kind, Name};
use tracing::warn;

use super::Edge;
use crate::report::{self, chain};

/// Longest wait for the data plane. It has the newest table as soon as it can take it; decisions must not wait for that.
const DEADLINE: Duration = Duration::from_secs(2);

/// Ports that the data plane was last told to serve, by endpoint.
#[derive(Default)]
pub(super) struct Ports(Mutex<BTreeMap<Name, u16>>);

impl Ports {
    /// Takes over new tables; returns the endpoints whose port is new or another.
    fn replace(&self, tables: &Tables) -> Vec<(Name, u16)> {
        let ports: BTreeMap<Name, u16> = tables.routes.iter().map(|(name, route)| (name.clone(), route.port)).collect();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = ports.iter().filter(|(name, port)| known.get(*name) != Some(*port));
        let new = new.map(|(name, port)| (name.clone(), *port)).collect();
        *known = ports;
        new
    }

    fn all(&self) -> Vec<(Name, u16)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(name, port)| (name.clone(), *port)).collect()
    }
}

pub(super) async fn publish(edge: &Edge, tables: &Tables) {
    edge.shared.links.set_overlays(tables.overlays.values().copied());
    if let Err(error) = edge.shared.links.flush().await {
        warn!(error = chain(&error), "the packet filter cannot be changed");
        filter_is_suspect(edge).await;
    }
    let new = edge.shared.ports.replace(tables);
    match tokio::time::timeout(DEADLINE, edge.data_plane.set(tables)).await {
        Ok(Ok(applied)) => report_endpoints(edge, new, &applied.failed).await,
        Ok(Err(error)) => warn!(error = chain(&error), "the data plane did not take the new table"),
        // It takes it when it can; its status tells.
        Err(_) => warn!("the data plane has not taken the new table yet"),
    }
}

/// Follows what the data plane can and cannot serve: a port that was in use opens once it is free.
pub(crate) async fn watch_data_plane(edge: Edge) {
    let mut status = edge.data_plane.status();
    while status.changed().await.is_ok() {
        let failed = status.borrow_and_update().failed.clone();
        report_endpoints(&edge, edge.shared.ports.all(), &failed).await;
    }
}

async fn report_endpoints(edge: &Edge, endpoints: Vec<(Name, u16)>, failed: &BTreeMap<u16, String>) {
    for (name, port) in endpoints {
        let status = match failed.get(&port) {
            None => endpoint::Status { serving: true, error: None },
            Some(why) => endpoint::Status { serving: false, error: Some(format!("port {port} cannot be used: {why}")) },
        };
        let Some(object) = edge.store.get(&Key::new(Kind::Endpoint, name.clone())) else { continue };
        let known = Item::<Endpoint>::of(&object).and_then(|item| item.status);
        if known != Some(&status) {
            report::status::<Endpoint>(&edge.store, &name, &object.uid, |there: &mut endpoint::Status| *there = status.clone())
                .await;
        }
    }
}

/// Lets the controllers know that the packet filter is not what it should be.
async fn filter_is_suspect(edge: &Edge) {
    let Some(subject) = edge.subject::<Node>(&edge.node) else { return };
    let suspect = |status: &mut node::Status| status.filter_intact = false;
    report::status::<Node>(&edge.store, &subject.name, &subject.uid, suspect).await;
}
