//! Takes out what is marked for deletion, from the leaves inward.
//!
//! Wakes on every change. Writes no half; it alone passes the mark from an owner to what it owns, lowest
//! [teardown rank](Kind::teardown_rank) first, and removes an object once nothing is left that it owns or holds.

use spec::kind::{Container, Init, init};
use spec::view::Item;
use spec::{Key, Kind, Object, Plan, Timestamp, View, Write};

use crate::Controller;
use crate::rules::wake::itself_and_owner;

pub(crate) const NAME: &str = "collect";

pub const CONTROLLER: Controller = Controller {
    name: NAME,
    reads: &[
        (Kind::Container, itself_and_owner),
        (Kind::Deployment, itself_and_owner),
        (Kind::Endpoint, itself_and_owner),
        (Kind::Event, itself_and_owner),
        (Kind::Image, itself_and_owner),
        (Kind::Init, itself_and_owner),
        (Kind::Node, itself_and_owner),
        (Kind::Overlay, itself_and_owner),
        (Kind::Replica, itself_and_owner),
        (Kind::Resolution, itself_and_owner),
        (Kind::Revision, itself_and_owner),
        (Kind::Service, itself_and_owner),
    ],
    writes: &[],
    plan,
};

fn plan(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(object) = view.object(key) else { return plan };
    if !object.deleting {
        let orphaned = object.owner.as_ref().is_some_and(|owner| view.object(owner).is_none());
        if orphaned {
            plan.write(Write::Delete { key: key.clone() });
        }
        return plan;
    }
    let children = view.owned_by(key);
    match children.iter().map(|child| child.key.kind.teardown_rank()).min() {
        Some(rank) => {
            let first = children.iter().filter(|child| child.key.kind.teardown_rank() == rank && !child.deleting);
            plan.writes.extend(first.map(|child| Write::Delete { key: child.key.clone() }));
        }
        None if holds_nothing(object) => plan.write(Write::Remove { key: key.clone() }),
        None => {}
    }
    plan
}

/// Returns whether nothing outside the store depends on the object any more.
fn holds_nothing(object: &Object) -> bool {
    if let Some(container) = Item::<Container>::of(object) {
        return container.status.is_some_and(|status| status.released);
    }
    if let Some(init) = Item::<Init>::of(object) {
        return has_ended(&init);
    }
    true
}

/// Returns whether the steps of the attempt asked for are over.
pub(crate) fn has_ended(init: &Item<'_, Init>) -> bool {
    let ended = |outcome: &init::Outcome| matches!(outcome, init::Outcome::Succeeded | init::Outcome::Failed { .. });
    init.status.is_some_and(|status| status.attempt == init.spec.attempt && ended(&status.outcome))
}
