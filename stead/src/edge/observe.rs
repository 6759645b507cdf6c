//! What is there already: looked at and written down before anything is decided.

use std::collections::BTreeSet;
use std::sync::Arc;

use spec::Object;
use spec::kind::container::{Cause, Exit, State, Status};
use spec::kind::{Container, Image};
use spec::view::Item;
use tracing::{info, warn};

use super::{Edge, Subject, containers, images, monitor};
use crate::report::{self, chain};

/// Finds images, and each container's shim and link again, and takes away what belongs to no container.
pub(crate) async fn observe(edge: &Edge) -> anyhow::Result<()> {
    look_at_images(edge).await;
    let objects = monitor::containers(edge);
    for object in &objects {
        if let Some(item) = Item::<Container>::of(object) {
            edge.shared.links.add(&item.spec.link);
            reattach(edge, object, &item).await;
        }
    }
    remove_orphans(edge, &objects).await
}

/// Finds out which images are no longer there, as after a part of the data directory was lost: they are pulled again.
async fn look_at_images(edge: &Edge) {
    for object in edge.store.snapshot().objects {
        let Some(item) = Item::<Image>::of(&object) else { continue };
        if item.status.is_some_and(|status| status.config.is_some()) {
            images::look_at(edge, &object, &item.spec.digest).await;
        }
    }
}

async fn reattach(edge: &Edge, object: &Object, item: &Item<'_, Container>) {
    let subject = Subject { name: object.key.name.clone(), uid: object.uid.clone() };
    let linked = edge.netctl.link_is_complete(&item.spec.link).await.unwrap_or(false);
    report::status::<Container>(&edge.store, &subject.name, &subject.uid, |status: &mut Status| status.linked = linked).await;

    match edge.containers.attach(&item.spec.id).await {
        Ok(Some(running)) => {
            info!(replica = %subject.name, pid = running.pid, "found running");
            containers::supervise(edge, subject, Arc::new(item.spec.clone()), running).await;
        }
        Ok(None) => ended_unwatched(edge, &subject, item).await,
        Err(error) => {
            warn!(replica = %subject.name, error = chain(&error), "its shim cannot be reached");
            ended_unwatched(edge, &subject, item).await;
        }
    }
}

/// Writes down how a container ended while no daemon ran.
async fn ended_unwatched(edge: &Edge, subject: &Subject, item: &Item<'_, Container>) {
    let record = edge.containers.exit_record(&item.spec.id).ok().flatten();
    let now = edge.clock.now();
    report::status::<Container>(&edge.store, &subject.name, &subject.uid, |status: &mut Status| {
        let known = status.last_attempt();
        if let Some(record) = record.clone().filter(|record| record.attempt > known) {
            status.ended(containers::exit_of(record, None, now));
        } else if let State::Running { attempt, since, .. } = status.state {
            status.ended(Exit { attempt, started: since, ended: now, cause: Cause::Lost });
        }
    })
    .await;
}

async fn remove_orphans(edge: &Edge, objects: &[Arc<Object>]) -> anyhow::Result<()> {
    let items = || objects.iter().filter_map(|object| Item::<Container>::of(object));
    let ids: BTreeSet<&str> = items().map(|item| item.spec.id.as_str()).collect();
    let links: BTreeSet<&str> = items().map(|item| item.spec.link.host_name.as_str()).collect();
    let pins: BTreeSet<&str> = items().map(|item| item.spec.link.netns.as_str()).collect();
    for id in edge.containers.list().await? {
        if !ids.contains(id.as_str()) {
            warn!(id, "removing a container that belongs to nothing");
            edge.containers.release(&id).await?;
        }
    }
    let seen = edge.netctl.observed().await?;
    for link in seen.links.iter().filter(|link| !links.contains(link.as_str())) {
        edge.netctl.remove_orphan_link(link).await?;
    }
    for pin in seen.pins.iter().filter(|pin| !pins.contains(pin.as_str())) {
        edge.netctl.remove_orphan_pin(pin).await?;
    }
    Ok(())
}
