//! Links of containers, and the packet filter that judges their traffic.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, PoisonError};

use netctl::{Filter, Netctl};
use spec::Name;
use spec::kind::{Container, Node, container, node};
use spec::net::{Block, Link};
use tracing::warn;

use super::Edge;
use super::images::one_more;
use crate::report::{self, chain};

/// The packet filter as it should be, and its way into the kernel.
pub(super) struct Links {
    netctl: Netctl,
    wanted: Mutex<Wanted>,
    /// Version of `wanted` that the kernel has; held while it is brought there, so that those who wait share one change.
    applied: tokio::sync::Mutex<u64>,
}

struct Wanted {
    version: u64,
    filter: Filter,
}

impl Links {
    pub(super) fn new(netctl: Netctl, pool: Block) -> Links {
        let filter = Filter { pool, overlays: Default::default(), links: BTreeMap::new() };
        Links { netctl, wanted: Mutex::new(Wanted { version: 1, filter }), applied: tokio::sync::Mutex::new(0) }
    }

    pub(super) fn set_overlays(&self, blocks: impl Iterator<Item = Block>) {
        let blocks = blocks.collect();
        self.change(|filter| std::mem::replace(&mut filter.overlays, blocks) != filter.overlays);
    }

    pub(super) fn add(&self, link: &Link) {
        let addresses: std::collections::BTreeSet<Ipv4Addr> = link.addresses.iter().map(|address| address.address).collect();
        self.change(|filter| filter.links.insert(link.host_name.clone(), addresses.clone()) != Some(addresses));
    }

    pub(super) fn remove(&self, link: &Link) {
        self.change(|filter| filter.links.remove(&link.host_name).is_some());
    }

    fn change(&self, change: impl FnOnce(&mut Filter) -> bool) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if change(&mut wanted.filter) {
            wanted.version += 1;
        }
    }

    /// Brings the kernel to what is wanted now, or to something newer.
    pub(super) async fn flush(&self) -> Result<(), netctl::Error> {
        let version = self.wanted.lock().unwrap_or_else(PoisonError::into_inner).version;
        let mut applied = self.applied.lock().await;
        if *applied >= version {
            return Ok(());
        }
        let (version, filter) = {
            let wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            (wanted.version, wanted.filter.clone())
        };
        self.netctl.set_filter(filter).await?;
        *applied = version;
        Ok(())
    }
}

/// Makes a container's link, and lets its addresses through.
pub(super) async fn link(edge: &Edge, name: &Name, spec: &container::Spec) {
    let Some(subject) = edge.subject::<Container>(name) else { return };
    edge.shared.links.add(&spec.link);
    // The filter comes first: a link that is up is always judged.
    let result = async {
        edge.shared.links.flush().await?;
        edge.netctl.ensure_link(&spec.link).await
    };
    let result = result.await;
    let now = edge.clock.now();
    if let Err(error) = &result {
        warn!(replica = %name, error = chain(error), "the link cannot be made");
    }
    report::status::<Container>(&edge.store, name, &subject.uid, |status: &mut container::Status| {
        status.linked = result.is_ok();
        let failure = |error: &netctl::Error| {
            one_more(status.link_failure.as_ref(), format!("its network cannot be made: {}", chain(error)), false, now)
        };
        status.link_failure = result.as_ref().err().map(failure);
    })
    .await;
}

pub(super) async fn repair_filter(edge: &Edge, name: &Name) {
    let Some(subject) = edge.subject::<Node>(name) else { return };
    let result = edge.netctl.repair_filter().await;
    let now = edge.clock.now();
    match &result {
        Ok(()) => warn!("the packet filter was changed by someone else, and has been put right"),
        Err(error) => warn!(error = chain(error), "the packet filter cannot be put right"),
    }
    report::status::<Node>(&edge.store, name, &subject.uid, |status: &mut node::Status| {
        status.filter_intact = result.is_ok();
        status.filter_failure =
            result.as_ref().err().map(|error| one_more(status.filter_failure.as_ref(), chain(error), false, now));
    })
    .await;
}
