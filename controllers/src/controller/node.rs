//! Keeps a node's packet filter as it should be.
//!
//! Keys: Node.

use spec::kind::Node;
use spec::{Effect, Key, Kind, Plan, Timestamp, View};

use crate::Controller;
use crate::rules::backoff;
use crate::rules::wake::itself;

pub const CONTROLLER: Controller = Controller { name: "node", reads: &[(Kind::Node, itself)], writes: &[], plan };

fn plan(view: &View<'_>, key: &Key, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(status) = view.get::<Node>(&key.name).and_then(|node| node.status) else { return plan };
    if status.filter_intact || status.id.is_empty() {
        return plan;
    }
    match backoff::retry_at(status.filter_failure.as_ref(), key, now) {
        Some(at) if at > now => plan.recheck(at),
        _ => plan.effect(Effect::RepairFilter { name: key.name.clone() }),
    }
    plan
}
