//! Splits a deployment into its services, and freezes each into a revision once its image is known.
//!
//! Keys: Deployment, Service.

use std::collections::BTreeMap;

use spec::kind::{Deployment, Replica, Revision, Service, deployment};
use spec::object::{Half, Name, Resource};
use spec::view::Item;
use spec::{Key, Kind, Plan, Timestamp, View, Write};

use crate::Controller;
use crate::rules::names;
use crate::rules::wake::{itself, itself_and_owner, owner};

pub const CONTROLLER: Controller = Controller {
    name: "service",
    reads: &[
        (Kind::Deployment, itself),
        (Kind::Service, itself_and_owner),
        (Kind::Resolution, owner),
        (Kind::Revision, owner),
        (Kind::Replica, owner),
    ],
    writes: &[(Kind::Deployment, Half::Status), (Kind::Service, Half::Spec), (Kind::Revision, Half::Spec)],
    plan,
};

fn plan(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    match key.kind {
        Kind::Deployment => view.get::<Deployment>(&key.name).map(|item| split(view, &item)),
        Kind::Service => view.get::<Service>(&key.name).map(|item| freeze(view, &item)),
        _ => None,
    }
    .unwrap_or_default()
}

fn split(view: &View<'_>, deployment: &Item<'_, Deployment>) -> Plan {
    let mut plan = Plan::default();
    if deployment.deleting() {
        return plan;
    }
    let owner = &deployment.object.key;
    let mut waiting = BTreeMap::new();
    for (name, service) in &deployment.spec.services {
        let Ok(full) = owner.name.child(name) else { continue };
        let there = view.get::<Service>(&full);
        if let Some(why) = not_settled(there.as_ref()) {
            waiting.insert(name.to_string(), why);
        }
        let key = Key::new(Kind::Service, full);
        plan.write(Write::Spec { key, owner: Some(owner.clone()), spec: Service::to_spec(service.clone()) });
    }
    for service in view.owned::<Service>(owner) {
        let name = service.name().leaf();
        if !deployment.spec.services.contains_key(name) {
            waiting.insert(name.to_owned(), "is being removed".to_owned());
            plan.write(Write::Delete { key: service.object.key.clone() });
        }
    }
    let status = deployment::Status { ready: waiting.is_empty(), waiting };
    plan.write(Write::Status { key: owner.clone(), status: Deployment::to_status(status) });
    plan
}

/// Returns what a service still waits for.
fn not_settled(service: Option<&Item<'_, Service>>) -> Option<String> {
    let Some(service) = service else { return Some("is being set up".to_owned()) };
    match service.status {
        _ if service.deleting() => Some("is being removed before it is set up anew".to_owned()),
        Some(status) if service.object.observed_generation == service.object.generation => {
            (!status.settled).then(|| status.message.clone())
        }
        _ => Some("is being set up".to_owned()),
    }
}

fn freeze(view: &View<'_>, service: &Item<'_, Service>) -> Plan {
    let mut plan = Plan::default();
    if service.deleting() {
        return plan;
    }
    let Some((current, spec)) = names::revision(view, service) else { return plan };
    let owner = &service.object.key;
    let in_use = |name: &Name| view.owned::<Replica>(owner).iter().any(|replica| replica.spec.revision == *name);
    for revision in view.owned::<Revision>(owner) {
        if *revision.name() != current && !in_use(revision.name()) {
            plan.write(Write::Delete { key: revision.object.key.clone() });
        }
    }
    let key = Key::new(Kind::Revision, current);
    plan.write(Write::Spec { key, owner: Some(owner.clone()), spec: Revision::to_spec(spec) });
    plan
}
