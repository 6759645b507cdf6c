//! Runs each replica's container: makes its link, starts it, restarts it, stops it, takes it away; and says how the replica is.
//!
//! Keys: Replica.

use std::sync::Arc;

use spec::kind::container::{self, Health, Spec, State};
use spec::kind::replica::Phase;
use spec::kind::{Container, Image, Init, Replica, Revision, init, replica};
use spec::object::{Half, Resource};
use spec::units::Duration;
use spec::view::Item;
use spec::{Change, Effect, Key, Kind, Plan, Timestamp, View, Write};

use super::init::is_done;
use crate::Controller;
use crate::rules::attempt::{self, Next};
use crate::rules::template::container_spec;
use crate::rules::wake::{itself, itself_and_owner, owner};
use crate::rules::{backoff, names, retry};

pub const CONTROLLER: Controller = Controller {
    name: "container",
    reads: &[
        (Kind::Deployment, retry::replicas),
        (Kind::Replica, itself),
        (Kind::Container, itself_and_owner),
        (Kind::Init, owner),
        (Kind::Image, replicas_of_image),
        (Kind::Node, replicas_of_node),
    ],
    writes: &[(Kind::Container, Half::Spec), (Kind::Replica, Half::Status)],
    plan,
};

/// The replicas whose revision is of an image. Images change a few times in their life, so looking through all is fine.
fn replicas_of_image(view: &View<'_>, change: &Change) -> Vec<Key> {
    let of_image = |item: &Item<'_, Replica>| {
        let revision = view.get::<Revision>(&item.spec.revision);
        revision.and_then(|revision| names::image(&revision.spec.digest)).as_ref() == Some(&change.key.name)
    };
    view.all::<Replica>().iter().filter(|item| of_image(item)).map(|item| item.object.key.clone()).collect()
}

/// The replicas on a node that came up: their names on the host depend on its id.
fn replicas_of_node(view: &View<'_>, change: &Change) -> Vec<Key> {
    let id = |object: Option<&Arc<spec::Object>>| {
        object
            .and_then(|object| Item::<spec::kind::Node>::of(object))
            .and_then(|node| node.status)
            .map(|status| status.id.clone())
    };
    if id(change.old.as_ref()) == id(change.new.as_ref()) {
        return Vec::new();
    }
    view.all::<Replica>().iter().filter(|item| item.spec.node == change.key.name).map(|item| item.object.key.clone()).collect()
}

/// How long a container that nothing can be asked of has to run to count as ready.
const UNPROBED: Duration = Duration(500);

fn plan(view: &View<'_>, key: &Key, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let replica = match key.kind {
        Kind::Replica => view.get::<Replica>(&key.name),
        _ => return plan,
    };
    let addresses = replica.map(|item| item.spec.addresses.iter().map(|address| address.address).collect());
    plan.effect(Effect::Client { replica: key.name.clone(), addresses });
    let container = view.get::<Container>(&key.name);
    let Some(replica) = replica else {
        // A crash between two transactions of one settlement can leave a container alone.
        wind_down(container, &mut plan);
        return plan;
    };

    let report = match container {
        _ if replica.deleting() => wind_down(container, &mut plan),
        Some(marked) if marked.deleting() => wind_down(container, &mut plan),
        Some(container) => drive(view, &replica, &container, now, &mut plan),
        None => Report::new(Phase::Pending, "is being set up"),
    };
    if !replica.deleting() {
        match describe(view, &replica) {
            Ok(spec) => {
                let key = names::same::<Container>(&key.name);
                plan.write(Write::Spec { key, owner: Some(replica.object.key.clone()), spec: Container::to_spec(spec) });
                plan.write(report.into_write(&replica, container, now));
            }
            // Without its image a replica that runs goes on; only one that does not is held up.
            Err(missing) if container.is_none() => plan.write(missing.into_write(&replica, container, now)),
            Err(_) => plan.write(report.into_write(&replica, container, now)),
        }
    } else {
        plan.write(report.into_write(&replica, container, now));
    }
    plan
}

/// What is said about a replica.
struct Report {
    phase: Phase,
    message: String,
}

impl Report {
    fn new(phase: Phase, message: impl Into<String>) -> Report {
        Report { phase, message: message.into() }
    }

    fn into_write(self, replica: &Item<'_, Replica>, container: Option<Item<'_, Container>>, now: Timestamp) -> Write {
        let Report { phase, message } = self;
        let since = replica.status.filter(|status| status.phase == phase).map_or(now, |status| status.since);
        let status = container.and_then(|container| container.status);
        let running = status.is_some_and(|status| matches!(status.state, State::Running { .. }));
        // Of the starts so far, the first is no restart.
        let starts = status.map_or(0, |status| status.exits.len() as u64 + status.exits_forgotten + u64::from(running));
        let status = replica::Status { phase, message, since, restarts: starts.saturating_sub(1) };
        Write::Status { key: replica.object.key.clone(), status: Replica::to_status(status) }
    }
}

/// Returns what the replica's container should be, or why that cannot be said yet.
fn describe(view: &View<'_>, replica: &Item<'_, Replica>) -> Result<Spec, Report> {
    let being_set_up = || Report::new(Phase::Pending, "is being set up");
    let revision = view.get::<Revision>(&replica.spec.revision).ok_or_else(being_set_up)?;
    let (_, node) = names::node(view).ok_or_else(|| Report::new(Phase::Pending, "waits for its node to come up"))?;
    let image = names::image(&revision.spec.digest).and_then(|name| view.get::<Image>(&name)).ok_or_else(being_set_up)?;
    let status = image.status.cloned().unwrap_or_default();
    match (status.config, status.failure) {
        (Some(config), _) => Ok(container_spec(&node.id, replica, revision.spec, &config)),
        (None, Some(failure)) if failure.permanent => Err(Report::new(Phase::Failed, failure.message)),
        (None, Some(failure)) => Err(Report::new(Phase::Pulling, format!("{}; trying again", failure.message))),
        (None, None) => Err(Report::new(Phase::Pulling, format!("pulling {}", revision.spec.repository))),
    }
}

/// Stops and releases the container of a replica that goes.
fn wind_down(container: Option<Item<'_, Container>>, plan: &mut Plan) -> Report {
    let report = Report::new(Phase::Stopping, "is stopping");
    let Some(container) = container else { return report };
    let (name, spec) = (container.name().clone(), Arc::new(container.spec.clone()));
    let status = container.status.cloned().unwrap_or_default();
    if matches!(status.state, State::Running { .. }) {
        plan.effect(Effect::Stop { name, spec, unhealthy: None });
    } else if !status.released && container.deleting() {
        // The mark comes once its init steps are over, which use what is released here.
        plan.effect(Effect::Release { name, spec });
    }
    report
}

/// Brings the container one step nearer to serving.
fn drive(
    view: &View<'_>,
    replica: &Item<'_, Replica>,
    container: &Item<'_, Container>,
    now: Timestamp,
    plan: &mut Plan,
) -> Report {
    let status = container.status.cloned().unwrap_or_default();
    if !status.linked {
        link(container, &status, now, plan);
    }
    match &status.state {
        State::Running { since, .. } => watch(container, &status.health, *since, now, plan),
        State::Down if !status.linked => {
            Report::new(Phase::Starting, status.link_failure.map_or("is being connected".to_owned(), |failure| failure.message))
        }
        State::Down => start(view, replica, container, &status, now, plan),
    }
}

fn link(container: &Item<'_, Container>, status: &container::Status, now: Timestamp, plan: &mut Plan) {
    match backoff::retry_at(status.link_failure.as_ref(), &container.object.key, now) {
        Some(at) if at > now => plan.recheck(at),
        _ => plan.effect(Effect::Link { name: container.name().clone(), spec: Arc::new(container.spec.clone()) }),
    }
}

/// Judges a running container by its probe.
fn watch(container: &Item<'_, Container>, health: &Health, since: Timestamp, now: Timestamp, plan: &mut Plan) -> Report {
    let Some(probe) = &container.spec.probe else {
        // One that ends at once was never ready, though it ran.
        let stays = since.after(UNPROBED);
        if now < stays && now >= since {
            plan.recheck(stays);
            return Report::new(Phase::Running, "is starting");
        }
        return Report::new(Phase::Ready, "");
    };
    if health.failures < probe.retries {
        return if health.passed { Report::new(Phase::Ready, "") } else { Report::new(Phase::Running, not_healthy_yet(health)) };
    }
    if probe.restart {
        plan.effect(Effect::Stop {
            name: container.name().clone(),
            spec: Arc::new(container.spec.clone()),
            unhealthy: Some(health.message.clone()),
        });
    }
    Report::new(Phase::Running, format!("health check fails: {}", health.message))
}

fn not_healthy_yet(health: &Health) -> String {
    if health.message.is_empty() {
        "waits for its first health check".to_owned()
    } else {
        format!("not healthy yet: {}", health.message)
    }
}

/// Starts a container that is down, when its time has come and its init steps are done.
fn start(
    view: &View<'_>,
    replica: &Item<'_, Replica>,
    container: &Item<'_, Container>,
    status: &container::Status,
    now: Timestamp,
    plan: &mut Plan,
) -> Report {
    let next = attempt::next(status, &replica.object.key, now, retry::forgiven(view, replica.name()));
    if next.not_before > now {
        plan.recheck(next.not_before);
        let report = waiting(status, next);
        if next.quarantined {
            plan.note(&replica.object.key, "quarantined", format!("before start {}: {}", next.attempt, report.message));
        }
        return report;
    }
    let steps = view.get::<Revision>(&replica.spec.revision).map_or(0, |revision| revision.spec.template.init.steps.len());
    let init = view.get::<Init>(replica.name());
    if steps > 0 && !is_done(init.as_ref(), next.attempt) {
        return Report::new(Phase::Init, init_message(init.as_ref(), next.attempt));
    }
    plan.effect(Effect::Start { name: container.name().clone(), spec: Arc::new(container.spec.clone()), attempt: next.attempt });
    Report::new(Phase::Starting, "is starting")
}

fn waiting(status: &container::Status, next: Next) -> Report {
    let cause = status.exits.last().map(|exit| exit.cause.to_string()).unwrap_or_default();
    match next.quarantined {
        true => Report::new(
            Phase::Failed,
            format!("{cause}; it ended {} times within a minute and is left alone for a while", status.exits.len()),
        ),
        false => Report::new(Phase::Backoff, format!("{cause}; starting again")),
    }
}

fn init_message(init: Option<&Item<'_, Init>>, attempt: u64) -> String {
    let outcome = init.and_then(|init| init.status).filter(|status| status.attempt == attempt).map(|status| &status.outcome);
    match outcome {
        Some(init::Outcome::Running { id, .. }) => format!("runs init step `{id}`"),
        _ => "begins its init steps".to_owned(),
    }
}
