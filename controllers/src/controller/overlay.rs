//! Gives each deployment and each service its overlay network: a block of addresses of its own.
//!
//! Keys: Deployment, Service (to have one), Overlay (to let its addresses reach each other).

use std::collections::BTreeSet;

use spec::kind::{Deployment, Node, Overlay, Service, overlay};
use spec::net::Block;
use spec::object::{Half, Resource};
use spec::{Change, Effect, Key, Kind, Plan, Timestamp, View, Write};

use crate::Controller;
use crate::rules::names;
use crate::rules::wake::{every, itself};

/// Prefix length of a deployment's block: 4,096 addresses.
const DEPLOYMENT_PREFIX: u8 = 20;
/// Prefix length of a service's block: 1,024 addresses.
const SERVICE_PREFIX: u8 = 22;

pub const CONTROLLER: Controller = Controller {
    name: "overlay",
    reads: &[(Kind::Deployment, itself), (Kind::Service, itself), (Kind::Overlay, itself), (Kind::Node, all_owners)],
    writes: &[(Kind::Overlay, Half::Spec)],
    plan,
};

/// A node that comes up brings the pool that blocks are taken from.
fn all_owners(view: &View<'_>, change: &Change) -> Vec<Key> {
    let pool = |object: Option<&std::sync::Arc<spec::Object>>| {
        object.and_then(|object| spec::view::Item::<Node>::of(object)).and_then(|node| node.status).and_then(|status| status.pool)
    };
    if pool(change.old.as_ref()) == pool(change.new.as_ref()) {
        return Vec::new();
    }
    [every::<Deployment>(view, change), every::<Service>(view, change)].concat()
}

fn plan(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let wanted = match key.kind {
        Kind::Deployment => view.get::<Deployment>(&key.name).filter(|item| !item.deleting()).map(|_| DEPLOYMENT_PREFIX),
        Kind::Service => view.get::<Service>(&key.name).filter(|item| !item.deleting()).map(|_| SERVICE_PREFIX),
        _ => {
            let block = view.get::<Overlay>(&key.name).map(|item| item.spec.block);
            plan.effect(Effect::Overlay { name: key.name.clone(), block });
            None
        }
    };
    if let Some(prefix) = wanted
        && view.get::<Overlay>(&key.name).is_none()
        && let Some(block) = free_block(view, prefix)
    {
        let spec = Overlay::to_spec(overlay::Spec { block });
        plan.write(Write::Spec { key: names::same::<Overlay>(&key.name), owner: Some(key.clone()), spec });
    }
    plan
}

/// Returns the first block of the pool that no overlay has.
fn free_block(view: &View<'_>, prefix: u8) -> Option<Block> {
    let pool = names::node(view)?.1.pool?;
    let taken: BTreeSet<Block> = view.all::<Overlay>().iter().map(|item| item.spec.block).collect();
    pool.split(prefix).find(|block| {
        // Blocks are disjoint and sorted, so only the neighbours can overlap.
        let before = taken.range(..=*block).next_back();
        let after = taken.range(*block..).next();
        !before.into_iter().chain(after).any(|other| other.overlaps(block))
    })
}
