//! Looks again when somebody changed the network, and reports what is no longer as it was left.

use std::time::Duration;

use netctl::{Event, Events};
use spec::kind::{Container, Node, container, node};
use spec::view::Item;
use spec::{Kind, Object};
use tracing::{debug, warn};

use super::Edge;
use crate::report::{self, chain};

/// Changes come in bursts, most of them our own: look when one is over.
const QUIET: Duration = Duration::from_millis(200);

/// Watches until the network is closed. The events begin before all is observed, so that nothing falls in between.
pub(crate) async fn watch(edge: Edge, mut events: Events) {
    while let Some(first) = events.next().await {
        tokio::time::sleep(QUIET).await;
        let mut seen = vec![first];
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
            seen.push(event);
        }
        debug!(?seen, "the network changed");
        if seen.contains(&Event::Links) {
            look_at_links(&edge).await;
        }
        if seen.contains(&Event::Filter) {
            look_at_filter(&edge).await;
        }
    }
}

async fn look_at_links(edge: &Edge) {
    for object in containers(edge) {
        let Some(item) = Item::<Container>::of(&object) else { continue };
        if object.deleting || !item.status.is_some_and(|status| status.linked) {
            continue;
        }
        match edge.netctl.link_is_complete(&item.spec.link).await {
            Ok(true) => {}
            Ok(false) => {
                warn!(replica = %object.key.name, "its link was changed by someone else");
                let lost = |status: &mut container::Status| status.linked = false;
                report::status::<Container>(&edge.store, &object.key.name, &object.uid, lost).await;
            }
            Err(error) => warn!(replica = %object.key.name, error = chain(&error), "its link cannot be looked at"),
        }
    }
}

pub(super) fn containers(edge: &Edge) -> Vec<std::sync::Arc<Object>> {
    let mut objects = edge.store.snapshot().objects;
    objects.retain(|object| object.key.kind == Kind::Container);
    objects
}

async fn look_at_filter(edge: &Edge) {
    match edge.netctl.filter_is_intact().await {
        Ok(true) => {}
        Ok(false) => {
            let Some(subject) = edge.subject::<Node>(&edge.node) else { return };
            let lost = |status: &mut node::Status| status.filter_intact = false;
            report::status::<Node>(&edge.store, &subject.name, &subject.uid, lost).await;
        }
        Err(error) => warn!(error = chain(&error), "the packet filter cannot be looked at"),
    }
}
