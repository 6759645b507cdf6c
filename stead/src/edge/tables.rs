//! Publishing the node's tables: routes and names to the data plane, overlays to the packet filter.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use spec::Name;
use spec::kind::{Endpoint, Node, endpoint, node};
use spec::plan::Tables;
use spec::view::Item;
use tracing::warn;

use super::Edge;
use crate::report::{self, chain};

/// Longest wait for the data plane. It has the newest table as soon as it can take it; decisions must not wait for that.
const DEADLINE: Duration = Duration::from_secs(2);

/// Routes that the data plane was last told to serve, by endpoint.
#[derive(Default)]
pub(super) struct Told(Mutex<Routes>);

type Routes = BTreeMap<Name, Arc<endpoint::Spec>>;

impl Told {
    /// Takes over new routes; returns those that are new or other than before.
    fn replace(&self, routes: &Routes) -> Routes {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = routes.iter().filter(|(name, route)| known.get(*name) != Some(*route));
        let new = new.map(|(name, route)| (name.clone(), route.clone())).collect();
        *known = routes.clone();
        new
    }

    fn all(&self) -> Routes {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(super) async fn publish(edge: &Edge, tables: &Tables) {
    edge.shared.links.set_overlays(tables.overlays.values().copied());
    if let Err(error) = edge.shared.links.flush().await {
        warn!(error = chain(&error), "the packet filter cannot be changed");
        filter_is_suspect(edge).await;
    }
    let new = edge.shared.told.replace(&tables.routes);
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
        report_endpoints(&edge, edge.shared.told.all(), &failed).await;
    }
}

/// Reports how each route fares, if it still is what the endpoint wants: then the report is on the endpoint's generation.
async fn report_endpoints(edge: &Edge, routes: Routes, failed: &BTreeMap<u16, String>) {
    for (name, route) in routes {
        let port = route.port;
        let status = match failed.get(&port) {
            None => endpoint::Status { serving: true, error: None },
            Some(why) => endpoint::Status { serving: false, error: Some(format!("port {port} cannot be used: {why}")) },
        };
        let Some(object) = edge.object::<Endpoint>(&name) else { continue };
        let Some(item) = Item::<Endpoint>::of(&object) else { continue };
        let is_known = item.status == Some(&status) && object.observed_generation == object.generation;
        if *item.spec == *route && !is_known {
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
