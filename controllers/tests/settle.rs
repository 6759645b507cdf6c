//! The controllers together: objects in, writes and effects out.

mod support;

use controllers::{ALL, Controller, PLANS_MAX, Task, dirty_all, settle, writers};
use expect_test::expect;
use spec::kind::container::{Cause, State};
use spec::kind::replica::Phase;
use spec::kind::{Container, Endpoint, Replica, Service, image};
use spec::object::{Half, Resource};
use spec::{Effect, Key, Kind, Plan, Timestamp, View, Write};
use support::{Sim, name};

const HELLO: &str = "
version: v1
deployment: hello
services:
  web:
    image: {name: hello}
    init: {steps: [{id: wait, uses: init.wait_tcp, with: {host: greeter.global, port: 8080}}]}
    endpoints: [{name: http, protocol: http, port: 8080, expose: public}]
    scale: {mode: fixed, replicas: 2}
  greeter:
    image: {name: hello}
";

fn effects(sim: &mut Sim) -> String {
    let settled = sim.settle();
    settled.effects.iter().filter(|effect| effect.slot().is_some()).map(line).collect::<Vec<_>>().join("\n")
}

fn line(effect: &Effect) -> String {
    match effect {
        Effect::Resolve { name, .. } => format!("resolve {name}"),
        Effect::Pull { name, .. } => format!("pull {}", &name.as_str()[..12]),
        Effect::Link { name, .. } => format!("link {name}"),
        Effect::RunInit { name, spec } => format!("init {name} for start {}", spec.attempt),
        Effect::StopInit { name } => format!("stop init {name}"),
        Effect::Start { name, attempt, .. } => format!("start {name} #{attempt}"),
        Effect::Stop { name, unhealthy, .. } => format!("stop {name} {unhealthy:?}"),
        Effect::Release { name, .. } => format!("release {name}"),
        Effect::RepairFilter { name } => format!("repair filter of {name}"),
        table => format!("{table:?}"),
    }
}

fn phase(sim: &Sim, replica: &str) -> Option<(Phase, String)> {
    sim.item::<Replica>(&name(replica)).and_then(|item| item.status).map(|status| (status.phase, status.message.clone()))
}

#[test]
fn the_list_of_controllers_is_sorted_and_every_half_has_one_writer() {
    assert!(ALL.is_sorted_by_key(|controller| controller.name));
    let mut halves: Vec<_> = writers().map(|(kind, half, _)| (kind, half)).collect();
    let count = halves.len();
    halves.sort();
    halves.dedup();
    assert_eq!(halves.len(), count, "a half with two writers");
    for kind in Kind::ALL {
        assert!(halves.contains(&(*kind, Half::Spec)), "nobody writes the spec of a {kind}");
    }
}

#[test]
fn a_deployment_comes_up_step_by_step() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    let mut steps = Vec::new();
    for _ in 0..12 {
        let step = effects(&mut sim);
        while !sim.pending.is_empty() {
            sim.answer(0, true);
        }
        if !step.is_empty() {
            steps.push(step);
        }
    }
    expect![[r#"
        resolve hello/greeter
        resolve hello/web
        --
        pull sha256-c6402
        --
        link hello/greeter/0
        link hello/web/0
        link hello/web/1
        --
        start hello/greeter/0 #1
        init hello/web/0 for start 1
        init hello/web/1 for start 1
        --
        start hello/web/0 #1
        start hello/web/1 #1"#]]
    .assert_eq(&steps.join("\n--\n"));
    assert_eq!(phase(&sim, "hello/web/0"), Some((Phase::Ready, String::new())));
    sim.now.0 += 500; // what cannot be probed has to run for a moment
    sim.settle();
    let endpoint = sim.item::<Endpoint>(&name("hello/web/http")).unwrap();
    assert_eq!(endpoint.spec.backends.len(), 2);
    assert_eq!(sim.tables.routes.len(), 1);
    assert_eq!(sim.tables.records[&name("hello/greeter")].len(), 1);
    assert_eq!(sim.tables.overlays.len(), 3, "the deployment's and each service's");
}

#[test]
fn a_deployment_that_is_up_is_left_alone() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    let again = sim.full_pass();
    assert_eq!(again.writes, Default::default());
    assert!(again.effects.iter().all(|effect| effect.slot().is_none()), "{:?}", again.effects);
    sim.put(HELLO);
    assert_eq!(sim.settle().writes, Default::default());
}

#[test]
fn a_deleted_deployment_goes_from_the_leaves_and_leaves_nothing_but_its_image() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    sim.delete("hello");
    let first = sim.settle();
    assert!(sim.tables.routes.is_empty(), "traffic is turned away before anything stops");
    assert!(first.effects.iter().any(|effect| matches!(effect, Effect::Stop { .. })));
    sim.run();
    let left: Vec<_> = Kind::ALL.iter().filter(|kind| !sim.names(**kind).is_empty()).collect();
    assert_eq!(left, [&Kind::Image, &Kind::Node]);
    assert_eq!(sim.tables, Default::default());
}

#[test]
fn a_deletion_in_the_middle_of_the_start_ends_init_and_leaves_nothing() {
    for answered in 0..14 {
        let mut sim = Sim::new();
        sim.put(HELLO);
        for _ in 0..answered {
            sim.settle();
            if !sim.pending.is_empty() {
                sim.answer(0, true);
            }
        }
        sim.delete("hello");
        sim.run();
        assert!(sim.names(Kind::Container).is_empty() && sim.names(Kind::Deployment).is_empty(), "after {answered} answers");
    }
}

#[test]
fn a_killed_container_starts_again_after_its_init_steps() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    sim.now.0 += 120_000;
    sim.end(&name("hello/web/0"), 1, Cause::Signal("SIGKILL".into()));
    expect!["init hello/web/0 for start 2"].assert_eq(&effects(&mut sim));
    sim.answer(0, true);
    expect!["start hello/web/0 #2"].assert_eq(&effects(&mut sim));
    assert_eq!(phase(&sim, "hello/web/1"), Some((Phase::Ready, String::new())), "its neighbour never noticed");
    assert_eq!(sim.tables.routes[&name("hello/web/http")].backends.len(), 1);
}

#[test]
fn a_crash_loop_backs_off_and_is_then_left_alone() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    let web = name("hello/greeter/0");
    let (mut said, mut noted) = (Vec::new(), Vec::new());
    for _ in 0..60 {
        let attempt = match sim.item::<Container>(&web).unwrap().status.unwrap().state {
            State::Running { attempt, .. } => attempt,
            State::Down => 0,
        };
        if attempt > 0 {
            sim.end(&web, attempt, Cause::Code(1));
        }
        sim.now.0 += 100;
        noted.extend(sim.settle().notes);
        while !sim.pending.is_empty() {
            sim.answer(0, true);
        }
        let now = phase(&sim, web.as_str()).unwrap();
        if said.last() != Some(&now) {
            said.push(now);
        }
    }
    assert_eq!(said.last().unwrap().0, Phase::Failed);
    assert!(noted.iter().all(|note| note.reason == "quarantined" && note.message.starts_with("before start 7: ")));
    assert!(!noted.is_empty());
    let service = sim.item::<Service>(&name("hello/greeter")).unwrap();
    assert!(service.status.unwrap().failed, "{:?}", service.status);
    expect!["replica 0: it exited with code 1; it ended 6 times within a minute and is left alone for a while"]
        .assert_eq(&service.status.unwrap().message);
}

#[test]
fn a_person_who_asks_again_ends_quarantine_and_backoff() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    let replica = name("hello/greeter/0");
    for attempt in 1..=6 {
        sim.end(&replica, attempt, Cause::Code(1));
    }
    sim.settle();
    assert_eq!(phase(&sim, replica.as_str()).unwrap().0, Phase::Failed);
    assert!(sim.pending.is_empty());
    sim.now.0 += 1;
    sim.put(HELLO);
    expect!["start hello/greeter/0 #7"].assert_eq(&effects(&mut sim));
}

#[test]
fn scaling_keeps_the_lowest_ready_ones_and_restarts_nothing() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    sim.put(&HELLO.replace("replicas: 2", "replicas: 4"));
    sim.run();
    assert_eq!(sim.names(Kind::Replica), ["hello/greeter/0", "hello/web/0", "hello/web/1", "hello/web/2", "hello/web/3"]);
    sim.put(&HELLO.replace("replicas: 2", "replicas: 1"));
    sim.run();
    assert_eq!(sim.names(Kind::Replica), ["hello/greeter/0", "hello/web/0"]);
    assert_eq!(sim.item::<Replica>(&name("hello/web/0")).unwrap().status.unwrap().restarts, 0);
}

#[test]
fn an_update_never_serves_with_less_than_asked_for() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    let before = sim.names(Kind::Revision);
    sim.put(&HELLO.replace("image: {name: hello}\n    init", "image: {name: hello}\n    env: {A: b}\n    init"));
    for _ in 0..200 {
        sim.settle();
        let serving = sim.tables.routes[&name("hello/web/http")].backends.len();
        assert!(serving >= 2, "{serving} of 2 serve");
        assert!(sim.names(Kind::Replica).len() <= 4 + 1, "one more than asked for, and one that stops");
        match sim.pending.is_empty() {
            true => break,
            false => sim.answer(0, true),
        }
    }
    sim.run();
    let after = sim.names(Kind::Revision);
    assert_eq!(after.len(), before.len());
    assert_ne!(after, before);
    assert!(sim.item::<Service>(&name("hello/web")).unwrap().status.unwrap().settled);
}

#[test]
fn an_image_that_cannot_be_had_is_asked_for_again_and_said_to_be_missing() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.settle();
    for _ in 0..3 {
        while !sim.pending.is_empty() {
            sim.answer(0, false);
        }
        sim.settle();
        assert!(sim.pending.is_empty(), "not at once");
        sim.now.0 += 1000;
        sim.settle();
        assert_eq!(sim.pending.len(), 2, "but soon");
    }
    expect!["it failed"].assert_eq(&sim.item::<Service>(&name("hello/web")).unwrap().status.unwrap().message);
}

#[test]
fn an_unhealthy_container_is_restarted_only_if_it_has_a_health_check() {
    for (health, restarts) in [("", false), ("health: {retries: 2, check: {type: tcp}}", true)] {
        let mut sim = Sim::new();
        sim.put(&HELLO.replace("    endpoints:", &format!("    {health}\n    endpoints:")));
        sim.run();
        sim.report::<Container>(&name("hello/web/0"), |status| {
            status.health.failures = 3;
            status.health.message = "connection refused".into();
        });
        let stops = effects(&mut sim);
        assert_eq!(stops.contains("stop hello/web/0"), restarts, "{health}: {stops}");
        assert_eq!(sim.tables.routes[&name("hello/web/http")].backends.len(), 1, "no traffic either way");
    }
}

#[test]
fn a_lost_link_and_a_lost_filter_are_made_again() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    sim.report::<Container>(&name("hello/web/0"), |status| status.linked = false);
    sim.report::<spec::kind::Node>(&name("vps"), |status| status.filter_intact = false);
    expect![[r#"
        link hello/web/0
        repair filter of vps"#]]
    .assert_eq(&effects(&mut sim));
    assert_eq!(phase(&sim, "hello/web/0").unwrap().0, Phase::Ready, "nothing else is touched");
}

#[test]
fn a_new_defaulted_field_or_a_label_makes_no_new_revision() {
    let mut sim = Sim::new();
    sim.put(HELLO);
    sim.run();
    let before = sim.names(Kind::Revision);
    sim.put(&HELLO.replace("image: {name: hello}\n    init", "image: {name: hello}\n    env: {}\n    resources: {}\n    init"));
    sim.run();
    assert_eq!(sim.names(Kind::Revision), before);
}

fn flip(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    let digest = view.get::<spec::kind::Image>(&key.name).map_or(String::new(), |item| format!("{}x", item.spec.digest));
    let spec = spec::kind::Image::to_spec(image::Spec { digest, repository: String::new() });
    Plan { writes: vec![Write::Spec { key: key.clone(), owner: None, spec }], ..Plan::default() }
}

fn panics(_: &View<'_>, _: &Key, _: Timestamp) -> Plan {
    panic!("oh no")
}

fn strays(_: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    Plan { writes: vec![Write::Remove { key: key.clone() }], ..Plan::default() }
}

#[test]
fn a_controller_that_does_not_rest_panics_or_strays_is_set_aside_alone() {
    let bad = |name, plan| Controller {
        name,
        reads: &[(Kind::Image, |_, change| vec![change.key.clone()])],
        writes: &[(Kind::Image, Half::Spec)],
        plan,
    };
    let list = [bad("flip", flip), bad("panics", panics), bad("strays", strays)];
    let key = Key::new(Kind::Image, name("x"));
    let due = (0..3).map(|controller| Task { controller, key: key.clone() }).collect();
    let settled = settle(&list, &Default::default(), due, Timestamp(0));
    let reasons: Vec<_> =
        settled.aside.iter().map(|aside| format!("{}: {}", list[aside.task.controller].name, aside.reason)).collect();
    expect![[r#"
        flip: it was planned 64 times and still finds something to write
        panics: its plan panicked: oh no
        strays: it wants to write image x, which is not its own"#]]
    .assert_eq(&reasons.join("\n"));
    assert!(settled.plans <= u64::from(PLANS_MAX) + 2);
}

#[test]
fn an_empty_world_is_at_rest() {
    let settled = settle(ALL, &Default::default(), dirty_all(ALL, &Default::default()), Timestamp(0));
    assert_eq!((settled.writes.len(), settled.effects.len()), (0, 0));
}
