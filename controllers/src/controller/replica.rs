//! Keeps the right number of replicas, of the right revision, and says how far a service is.
//!
//! Keys: Service. An update goes one replica at a time: one more than asked for is made, and an old one goes for each new one
//! that serves, so that the number of serving replicas never falls below what was asked for.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use spec::kind::replica::Phase;
use spec::kind::{Endpoint, Node, Overlay, Replica, Resolution, Service, replica, service};
use spec::net::Address;
use spec::object::{Half, Name, Resource};
use spec::view::Item;
use spec::{Change, Key, Kind, Plan, Timestamp, View, Write, hash};

use crate::Controller;
use crate::rules::names;
use crate::rules::wake::{every, itself, owner};

/// Replicas above the number asked for while an update is under way.
const SURGE: usize = 1;

pub const CONTROLLER: Controller = Controller {
    name: "replica",
    reads: &[
        (Kind::Service, itself),
        (Kind::Resolution, owner),
        (Kind::Revision, owner),
        (Kind::Replica, owner),
        (Kind::Endpoint, owner),
        (Kind::Overlay, members),
        (Kind::Node, nodes),
    ],
    writes: &[(Kind::Replica, Half::Spec), (Kind::Service, Half::Status)],
    plan,
};

/// The services whose replicas are in an overlay.
fn members(view: &View<'_>, change: &Change) -> Vec<Key> {
    let name = &change.key.name;
    match name.parent() {
        Some(_) => vec![names::same::<Service>(name)],
        None => view
            .owned::<Service>(&names::same::<spec::kind::Deployment>(name))
            .iter()
            .map(|item| item.object.key.clone())
            .collect(),
    }
}

/// All services, when a node comes up.
fn nodes(view: &View<'_>, change: &Change) -> Vec<Key> {
    let up = |object: Option<&std::sync::Arc<spec::Object>>| {
        object.and_then(|object| Item::<Node>::of(object)).is_some_and(|node| node.status.is_some())
    };
    if up(change.old.as_ref()) == up(change.new.as_ref()) { Vec::new() } else { every::<Service>(view, change) }
}

fn plan(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(service) = view.get::<Service>(&key.name).filter(|service| !service.deleting()) else { return plan };
    let all = view.owned::<Replica>(key);
    let current = names::current_revision(view, &service).map(|revision| revision.name().clone());
    let fleet = Fleet::of(&all, &service, current.as_ref());
    plan.writes.extend(fleet.surplus().into_iter().map(|replica| Write::Delete { key: replica.object.key.clone() }));
    if let Some(current) = &current {
        create(view, &service, current, &all, fleet.to_create(), &mut plan);
    }
    let status = report(view, &service, current, &all);
    plan.write(Write::Status { key: key.clone(), status: Service::to_status(status) });
    plan
}

/// A service's replicas that are not on their way out, apart by whether they are of the current revision.
struct Fleet<'a> {
    desired: usize,
    current: Vec<Item<'a, Replica>>,
    old: Vec<Item<'a, Replica>>,
}

impl<'a> Fleet<'a> {
    /// Without a current revision, as long as its image is not known, all that is there counts as current.
    fn of(all: &[Item<'a, Replica>], service: &Item<'a, Service>, current: Option<&Name>) -> Fleet<'a> {
        let is_current = |item: &Item<'_, Replica>| current.is_none_or(|current| item.spec.revision == *current);
        let (current, old) = all.iter().filter(|item| !item.deleting()).partition(|item| is_current(item));
        Fleet { desired: service.spec.replicas() as usize, current, old }
    }

    fn to_create(&self) -> usize {
        let surge = if self.old.is_empty() { 0 } else { SURGE };
        let room = (self.desired + surge).saturating_sub(self.current.len() + self.old.len());
        room.min(self.desired.saturating_sub(self.current.len()))
    }

    /// Returns the replicas that may go now.
    fn surplus(&self) -> Vec<Item<'a, Replica>> {
        let ready = self.current.iter().chain(&self.old).filter(|item| is_ready(item)).count();
        let mut spare = ready.saturating_sub(self.desired);
        let mut surplus = Vec::new();
        // Old ones that do not serve help nobody; of the others as many go as are spare.
        for old in self.old.iter().rev() {
            if !is_ready(old) {
                surplus.push(*old);
            } else if spare > 0 {
                spare -= 1;
                surplus.push(*old);
            }
        }
        let mut extra = self.current.clone();
        // What serves stays, then what has the lowest number.
        extra.sort_by_key(|item| (!is_ready(item), number(item.name())));
        surplus.extend(extra.into_iter().skip(self.desired));
        surplus
    }
}

fn is_ready(replica: &Item<'_, Replica>) -> bool {
    !replica.deleting() && replica.status.is_some_and(|status| status.phase == Phase::Ready)
}

fn number(name: &Name) -> usize {
    name.leaf().parse().unwrap_or(usize::MAX)
}

/// Writes `count` new replicas under the lowest numbers that are free.
fn create(
    view: &View<'_>,
    service: &Item<'_, Service>,
    current: &Name,
    all: &[Item<'_, Replica>],
    count: usize,
    plan: &mut Plan,
) {
    if count == 0 {
        return;
    }
    let Some((node, _)) = names::node(view) else { return };
    let Some(overlays) = names::overlays(view, service.name()) else { return };
    let taken: BTreeSet<usize> = all.iter().map(|item| number(item.name())).collect();
    let deployment = service.name().parent().unwrap_or_else(|| service.name().clone());
    let replicas = view.in_deployment::<Replica>(&deployment);
    let mut used: BTreeSet<Ipv4Addr> =
        replicas.iter().flat_map(|item| &item.spec.addresses).map(|address| address.address).collect();
    for number in (0..).filter(|number| !taken.contains(number)).take(count) {
        let Ok(name) = service.name().child(&number.to_string()) else { return };
        let addresses: Option<Vec<_>> = overlays.iter().map(|overlay| allocate(overlay, &name, current, &mut used)).collect();
        let Some(addresses) = addresses else { return };
        let spec = replica::Spec { revision: current.clone(), node: node.name().clone(), addresses };
        let key = Key::new(Kind::Replica, name);
        plan.write(Write::Spec { key, owner: Some(service.object.key.clone()), spec: Replica::to_spec(spec) });
    }
}

/// Takes an address of an overlay that no replica has.
///
/// The search begins at a place that depends on the replica and its revision: an address that was just given back is not
/// the next to be given out, so that nobody's cached answer leads to a stranger.
fn allocate(overlay: &Item<'_, Overlay>, replica: &Name, revision: &Name, used: &mut BTreeSet<Ipv4Addr>) -> Option<Address> {
    let block = overlay.spec.block;
    // The first address is the network's, the next the node's own, the last the broadcast address.
    let (reserved, room) = (2, block.size() - 3);
    let start = hash::number(&[replica.as_str(), revision.as_str()]) % room;
    let mut candidates = (0..room).filter_map(|step| block.nth(reserved + (start + step) % room));
    let address = candidates.find(|address| !used.contains(address))?;
    used.insert(address);
    Some(Address { address, block })
}

fn report(view: &View<'_>, service: &Item<'_, Service>, current: Option<Name>, all: &[Item<'_, Replica>]) -> service::Status {
    let desired = service.spec.replicas();
    let count = |test: &dyn Fn(&Item<'_, Replica>) -> bool| all.iter().filter(|item| test(item)).count() as u32;
    let of_current = |item: &Item<'_, Replica>| !item.deleting() && Some(&item.spec.revision) == current.as_ref();
    let (ready, updated) = (count(&is_ready), count(&of_current));
    let serving = updated == desired && all.len() as u32 == desired && ready == desired && current.is_some();
    let waiting = if serving { not_open(view, service) } else { Some(waiting_for(view, service, current.as_ref(), all)) };
    let settled = waiting.is_none();
    let (message, failed) = waiting.unwrap_or_default();
    service::Status { revision: current, desired, ready, updated, settled, failed, message }
}

/// Returns which endpoint the proxy does not serve yet, and whether that will not pass by itself.
fn not_open(view: &View<'_>, service: &Item<'_, Service>) -> Option<(String, bool)> {
    service.spec.endpoints.iter().find_map(|endpoint| {
        let there = service.name().child(&endpoint.name).ok().and_then(|name| view.get::<Endpoint>(&name));
        // What is said of the port or the replicas that stood here before says nothing about these.
        let told = there.filter(|item| item.object.observed_generation == item.object.generation);
        match told.and_then(|item| item.status).cloned().unwrap_or_default() {
            status if status.serving => None,
            status => match status.error {
                Some(error) => Some((format!("endpoint {}: {error}", endpoint.name), true)),
                None => Some((format!("endpoint {} is being opened", endpoint.name), false)),
            },
        }
    })
}

/// Returns what keeps a service from being settled, and whether it will not pass by itself.
fn waiting_for(
    view: &View<'_>,
    service: &Item<'_, Service>,
    current: Option<&Name>,
    all: &[Item<'_, Replica>],
) -> (String, bool) {
    if current.is_none() {
        let resolution = view.get::<Resolution>(service.name());
        let asked = resolution.filter(|item| item.object.observed_generation == item.object.generation);
        return match asked.and_then(|item| item.status).and_then(|status| status.failure.as_ref()) {
            Some(failure) => (failure.message.clone(), failure.permanent),
            None => (format!("looking up image {}", service.spec.image.name), false),
        };
    }
    let Some((_, node)) = names::node(view) else { return ("no node is up".to_owned(), false) };
    if names::overlays(view, service.name()).is_none() {
        let pool = node.pool.map_or("the node's pool".to_owned(), |pool| format!("the node's pool {pool}"));
        return (
            format!("{pool} has no block of addresses left for its network: delete a deployment, or give a larger pool"),
            true,
        );
    }
    let mut on_the_way = all.iter().filter(|item| !item.deleting() && Some(&item.spec.revision) == current && !is_ready(item));
    let failed = on_the_way.clone().find(|item| item.status.is_some_and(|status| status.phase == Phase::Failed));
    match failed.or_else(|| on_the_way.next()) {
        Some(item) => {
            let message = item.status.map_or("is being set up", |status| status.message.as_str());
            (format!("replica {}: {message}", item.name().leaf()), failed.is_some())
        }
        None if all.iter().any(Item::deleting) => ("replicas are stopping".to_owned(), false),
        None => ("replicas are being set up".to_owned(), false),
    }
}
