//! Publishing the node's tables: routes and names to the data plane, overlays to the packet filter.

use std::time::Duration;

use spec::Key;
use spec::kind::{Endpoint, endpoint};
use spec::plan::Tables;
use tracing::warn;

use super::Edge;
use crate::report::{self, chain};

/// Longest wait for the data plane. It has the newest table as soon as it can take it; decisions must not wait for that.
const DEADLINE: Duration = Duration::from_secs(2);

pub(super) async fn publish(edge: &Edge, tables: &Tables) {
    edge.shared.links.set_overlays(tables.overlays.values().copied());
    if let Err(error) = edge.shared.links.flush().await {
        warn!(error = chain(&error), "the packet filter cannot be changed");
        links_are_suspect(edge).await;
    }
    let applied = match tokio::time::timeout(DEADLINE, edge.data_plane.set(tables)).await {
        Ok(Ok(applied)) => applied,
        Ok(Err(error)) => {
            warn!(error = chain(&error), "the data plane did not take the new table");
            return;
        }
        Err(_) => {
            warn!("the data plane has not taken the new table yet");
            return;
        }
    };
    for (name, route) in &tables.routes {
        let status = match applied.failed.get(&route.port) {
            None => endpoint::Status { serving: true, error: None },
            Some(why) => endpoint::Status { serving: false, error: Some(format!("port {} cannot be used: {why}", route.port)) },
        };
        let object = edge.store.get(&Key::new(spec::Kind::Endpoint, name.clone()));
        let Some(object) = object else { continue };
        let known = spec::view::Item::<Endpoint>::of(&object).and_then(|item| item.status);
        if known != Some(&status) {
            report::status::<Endpoint>(&edge.store, name, &object.uid, |there: &mut endpoint::Status| *there = status.clone())
                .await;
        }
    }
}

/// Lets the controllers know that the packet filter is not what it should be.
async fn links_are_suspect(edge: &Edge) {
    let Some(subject) = edge.subject::<spec::kind::Node>(&edge.node) else { return };
    report::status::<spec::kind::Node>(&edge.store, &subject.name, &subject.uid, |status: &mut spec::kind::node::Status| {
        status.filter_intact = false;
    })
    .await;
}
