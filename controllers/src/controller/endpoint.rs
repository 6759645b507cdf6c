//! Leads traffic to the replicas that serve: routes of the proxy, and names that containers look up.
//!
//! Keys: Service (its endpoints and its name), Endpoint (its route).

use std::net::SocketAddrV4;
use std::sync::Arc;

use spec::kind::replica::Phase;
use spec::kind::{Endpoint, Replica, Service, endpoint};
use spec::manifest;
use spec::object::{Half, Resource};
use spec::view::Item;
use spec::{Effect, Key, Kind, Plan, Timestamp, View, Write};

use crate::Controller;
use crate::rules::wake::{itself, itself_and_owner, owner};

pub const CONTROLLER: Controller = Controller {
    name: "endpoint",
    reads: &[(Kind::Service, itself), (Kind::Replica, owner), (Kind::Endpoint, itself_and_owner)],
    writes: &[(Kind::Endpoint, Half::Spec)],
    plan,
};

fn plan(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    match key.kind {
        Kind::Service => publish(view, key),
        Kind::Endpoint => route(view, key),
        _ => Plan::default(),
    }
}

fn publish(view: &View<'_>, key: &Key) -> Plan {
    let mut plan = Plan::default();
    let service = view.get::<Service>(&key.name).filter(|service| !service.deleting());
    let ready = service.map(|_| ready(view, key)).unwrap_or_default();
    let addresses =
        service.map(|_| ready.iter().filter_map(|item| item.spec.addresses.first()).map(|address| address.address).collect());
    plan.effect(Effect::Record { service: key.name.clone(), addresses });

    let Some(service) = service else { return plan };
    for endpoint in &service.spec.endpoints {
        let Ok(name) = key.name.child(&endpoint.name) else { continue };
        let Some(spec) = binding(endpoint, &ready) else { continue };
        plan.write(Write::Spec { key: Key::new(Kind::Endpoint, name), owner: Some(key.clone()), spec: Endpoint::to_spec(spec) });
    }
    let wanted = |item: &Item<'_, Endpoint>| service.spec.endpoints.iter().any(|endpoint| endpoint.name == item.name().leaf());
    for extra in view.owned::<Endpoint>(key).iter().filter(|item| !wanted(item)) {
        plan.write(Write::Delete { key: extra.object.key.clone() });
    }
    plan
}

/// Returns the replicas that take traffic: ready, and not on their way out.
fn ready<'a>(view: &View<'a>, service: &Key) -> Vec<Item<'a, Replica>> {
    let mut replicas = view.owned::<Replica>(service);
    replicas.retain(|item| !item.deleting() && item.status.is_some_and(|status| status.phase == Phase::Ready));
    replicas
}

fn binding(endpoint: &manifest::Endpoint, ready: &[Item<'_, Replica>]) -> Option<endpoint::Spec> {
    let protocol = match endpoint.protocol {
        manifest::Protocol::Http => endpoint::Protocol::Http,
        _ => return None,
    };
    let addresses = ready.iter().filter_map(|item| item.spec.addresses.first());
    let mut backends: Vec<_> = addresses.map(|address| SocketAddrV4::new(address.address, endpoint.target().get())).collect();
    backends.sort();
    Some(endpoint::Spec { protocol, port: endpoint.port.get(), path: endpoint.path().to_owned(), backends })
}

fn route(view: &View<'_>, key: &Key) -> Plan {
    let endpoint = view.get::<Endpoint>(&key.name).filter(|item| !item.deleting());
    let route = endpoint.map(|item| Arc::new(item.spec.clone()));
    Plan { effects: vec![Effect::Route { name: key.name.clone(), route }], ..Plan::default() }
}
