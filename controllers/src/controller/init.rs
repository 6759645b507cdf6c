//! Runs the init steps of each replica before each start of its container.
//!
//! Keys: Replica.

use std::sync::Arc;

use spec::kind::container::State;
use spec::kind::{Container, Init, Replica, Revision, init};
use spec::object::{Half, Resource};
use spec::view::Item;
use spec::{Effect, Key, Kind, Plan, Timestamp, View, Write};

use crate::Controller;
use crate::controller::collect::has_ended;
use crate::rules::wake::{itself, itself_and_owner, owner};
use crate::rules::{attempt, names, retry};

pub const CONTROLLER: Controller = Controller {
    name: "init",
    reads: &[
        (Kind::Deployment, retry::replicas),
        (Kind::Replica, itself),
        (Kind::Container, owner),
        (Kind::Init, itself_and_owner),
    ],
    writes: &[(Kind::Init, Half::Spec)],
    plan,
};

fn plan(view: &View<'_>, key: &Key, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    match key.kind {
        Kind::Replica => prepare(view, key, now, &mut plan),
        Kind::Init => run(view, key, &mut plan),
        _ => {}
    }
    plan
}

/// Asks for the steps of the next attempt, once the container is linked and its time has come.
fn prepare(view: &View<'_>, key: &Key, now: Timestamp, plan: &mut Plan) {
    let Some(replica) = view.get::<Replica>(&key.name).filter(|item| !item.deleting()) else { return };
    let Some(revision) = view.get::<Revision>(&replica.spec.revision) else { return };
    let Some(container) = view.get::<Container>(&key.name) else { return };
    let Some(status) = container.status.filter(|status| status.linked && status.state == State::Down) else { return };
    let steps = &revision.spec.template.init.steps;
    if steps.is_empty() {
        return;
    }
    let next = attempt::next(status, key, now, retry::forgiven(view, &key.name));
    if next.not_before > now {
        return plan.recheck(next.not_before);
    }
    let spec = init::Spec { attempt: next.attempt, steps: steps.clone(), container: container.spec.clone() };
    plan.write(Write::Spec { key: names::same::<Init>(&key.name), owner: Some(key.clone()), spec: Init::to_spec(spec) });
}

/// Runs what was asked for, or ends it when the replica goes.
fn run(view: &View<'_>, key: &Key, plan: &mut Plan) {
    let Some(init) = view.get::<Init>(&key.name) else { return };
    let name = key.name.clone();
    if has_ended(&init) {
        return;
    }
    plan.effect(if init.deleting() {
        Effect::StopInit { name }
    } else {
        Effect::RunInit { name, spec: Arc::new(init.spec.clone()) }
    });
}

/// Returns whether the steps for `attempt` are done and the container may start.
pub(crate) fn is_done(init: Option<&Item<'_, Init>>, attempt: u64) -> bool {
    init.and_then(|init| init.status)
        .is_some_and(|status| status.attempt == attempt && status.outcome == init::Outcome::Succeeded)
}
