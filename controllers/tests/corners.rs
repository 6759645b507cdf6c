//! Corners of the controllers: sizes at the limits, clocks that stepped, and worlds that a crash left half made.

mod support;

use controllers::{ALL, dirty_all};
use spec::kind::container::{Cause, State};
use spec::kind::{Container, Deployment, Node, Replica, Service};
use spec::{Key, Kind, Timestamp, Write};
use support::{Sim, name};

fn manifest(image: &str, port: u16, replicas: u32) -> String {
    format!(
        "version: v1\ndeployment: d\nservices:\n  a:\n    image: {{name: {image}}}\n    \
         endpoints: [{{name: e, protocol: http, port: {port}, target: 80, expose: public}}]\n    \
         scale: {{mode: fixed, replicas: {replicas}}}\n"
    )
}

/// Makes everything due, as a daemon's start does.
fn start_over(sim: &mut Sim) {
    sim.rechecks.clear();
    sim.due = dirty_all(ALL, &sim.world);
}

fn message(sim: &Sim) -> (String, bool) {
    let status = sim.item::<Service>(&name("d/a")).and_then(|item| item.status).expect("the service has a status");
    (status.message.clone(), status.failed)
}

#[test]
fn as_many_services_as_a_manifest_may_have_come_and_go_without_being_set_aside() {
    let mut sim = Sim::new();
    let services = (0..256).map(|i| format!("  s{i}: {{image: {{name: i}}}}\n")).collect::<String>();
    sim.put(&format!("version: v1\ndeployment: d\nservices:\n{services}"));
    sim.settle();
    assert_eq!(sim.names(Kind::Service).len(), 256);
    sim.put("version: v1\ndeployment: d\nservices:\n  s0: {image: {name: i}}\n");
    sim.settle();
    assert_eq!(sim.names(Kind::Service), ["d/s0"], "removed in one settlement, since nothing of them ran");
    sim.put(&format!("version: v1\ndeployment: d\nservices:\n{services}"));
    sim.settle();
    sim.delete("d");
    sim.settle();
    assert_eq!(sim.names(Kind::Deployment), [""; 0]);
    assert_eq!(sim.full_pass().writes, Default::default());
}

#[test]
fn times_that_lie_in_the_future_hold_nothing_up() {
    let mut sim = Sim::new();
    sim.put(&manifest("i", 8000, 1));
    sim.run();
    sim.end(&name("d/a/0"), 1, Cause::Code(1));
    // The machine came back with a clock that is a day behind.
    let before = sim.now;
    sim.now = Timestamp(before.0 - 86_400_000.min(before.0 - 1));
    start_over(&mut sim);
    sim.settle();
    assert!(!sim.pending.is_empty(), "it is started at once, and not in a day");

    let mut sim = Sim::new();
    sim.put(&manifest("i", 8000, 1));
    sim.settle();
    sim.answer(0, false);
    sim.now = Timestamp(1);
    start_over(&mut sim);
    sim.settle();
    assert!(!sim.pending.is_empty(), "the image is asked for again");
}

#[test]
fn a_container_that_is_marked_under_a_replica_that_stays_goes_and_comes_anew() {
    let mut sim = Sim::new();
    sim.put(&manifest("i", 8000, 1));
    sim.run();
    let uid = sim.item::<Container>(&name("d/a/0")).unwrap().object.uid.clone();
    sim.write(&Write::Delete { key: Key::new(Kind::Container, name("d/a/0")) });
    sim.run();
    let container = sim.item::<Container>(&name("d/a/0")).unwrap();
    assert!(!container.deleting() && container.object.uid != uid);
    assert!(matches!(container.status.unwrap().state, State::Running { .. }));
}

#[test]
fn a_container_without_a_replica_is_stopped_and_taken_away() {
    let mut sim = Sim::new();
    sim.put(&manifest("i", 8000, 1));
    sim.run();
    // A crash between two transactions of one large settlement.
    for (kind, lost) in [(Kind::Replica, "d/a/0"), (Kind::Service, "d/a"), (Kind::Deployment, "d")] {
        sim.world.set(&Key::new(kind, name(lost)), None);
    }
    start_over(&mut sim);
    sim.run();
    assert_eq!(sim.names(Kind::Container), [""; 0]);
}

#[test]
fn a_service_shrinks_also_while_its_new_image_cannot_be_looked_up() {
    let mut sim = Sim::new();
    sim.put(&manifest("i", 8000, 3));
    sim.run();
    sim.put(&manifest("gone", 8000, 1));
    sim.settle();
    sim.answer(0, false);
    for _ in 0..20 {
        sim.settle();
        while let Some(index) = sim.pending.iter().position(|effect| !matches!(effect, spec::Effect::Resolve { .. })) {
            sim.answer(index, true);
        }
    }
    assert_eq!(sim.names(Kind::Replica), ["d/a/0"], "as many as asked for, of the old image");
}

#[test]
fn a_pool_without_room_is_told() {
    let mut sim = Sim::new();
    sim.report::<Node>(&name("vps"), |status| status.pool = "10.9.0.0/24".parse().ok());
    sim.put(&manifest("i", 8000, 1));
    sim.settle();
    sim.answer(0, true);
    sim.settle();
    let (message, failed) = message(&sim);
    assert!(message.contains("10.9.0.0/24") && failed, "{message}");
    assert_eq!(sim.names(Kind::Replica), [""; 0]);
}

#[test]
fn a_service_whose_port_changes_is_not_settled_before_the_new_port_is_served() {
    let mut sim = Sim::new();
    sim.put(&manifest("i", 8000, 1));
    sim.run();
    assert!(sim.item::<Deployment>(&name("d")).unwrap().status.unwrap().ready);
    sim.put(&manifest("i", 8001, 1));
    sim.settle();
    assert!(!sim.item::<Deployment>(&name("d")).unwrap().status.unwrap().ready);
    assert_eq!(message(&sim).0, "endpoint e is being opened");
    sim.run();
    assert!(sim.item::<Deployment>(&name("d")).unwrap().status.unwrap().ready);
    assert_eq!(sim.names(Kind::Replica).len(), 1);
    assert!(sim.item::<Replica>(&name("d/a/0")).unwrap().status.unwrap().restarts == 0);
}
