//! Random worlds: whatever happens in whatever order, the controllers come to rest, and then want nothing.

mod support;

use proptest::prelude::*;
use spec::Kind;
use spec::kind::container::{Cause, State};
use spec::kind::replica::Phase;
use spec::kind::{Container, Deployment, Node, Replica};
use support::{Sim, name};

/// Something that happens to the world.
#[derive(Clone, Debug)]
enum Happening {
    Put { deployment: u8, replicas: u8, image: u8, init: bool, health: bool },
    Delete { deployment: u8 },
    Answer { which: usize, well: bool },
    Kill { which: usize },
    Unlink { which: usize },
    Sicken { which: usize },
    LoseFilter,
    Wait { milliseconds: u64 },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (0..2u8, 0..4u8, 0..3u8, any::<bool>(), any::<bool>())
            .prop_map(|(deployment, replicas, image, init, health)| Happening::Put { deployment, replicas, image, init, health }),
        1 => (0..2u8).prop_map(|deployment| Happening::Delete { deployment }),
        12 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(which, well)| Happening::Answer { which, well }),
        2 => any::<usize>().prop_map(|which| Happening::Kill { which }),
        1 => any::<usize>().prop_map(|which| Happening::Unlink { which }),
        1 => any::<usize>().prop_map(|which| Happening::Sicken { which }),
        1 => Just(Happening::LoseFilter),
        2 => (1..100_000u64).prop_map(|milliseconds| Happening::Wait { milliseconds }),
    ]
}

fn manifest(deployment: u8, replicas: u8, image: u8, init: bool, health: bool) -> String {
    let init = if init { "init: {steps: [{id: s, uses: init.run, with: {command: 'true'}}]}" } else { "" };
    let health = if health { "health: {check: {type: tcp, port: 80}}" } else { "" };
    let port = 8000 + u16::from(deployment);
    format!(
        "version: v1\ndeployment: d{deployment}\nservices:\n  a:\n    image: {{name: i{image}}}\n    {init}\n    {health}\n    \
         endpoints: [{{name: e, protocol: http, port: {port}, expose: public}}]\n    scale: {{mode: fixed, replicas: {replicas}}}\n  \
         b:\n    image: {{name: i0}}\n"
    )
}

fn containers(sim: &Sim) -> Vec<spec::Name> {
    sim.names(Kind::Container).iter().map(|text| name(text)).collect()
}

fn happen(sim: &mut Sim, happening: &Happening) {
    match *happening {
        Happening::Put { deployment, replicas, image, init, health } => {
            let there = sim.item::<Deployment>(&name(&format!("d{deployment}")));
            if !there.is_some_and(|item| item.deleting()) {
                sim.put(&manifest(deployment, replicas, image, init, health));
            }
        }
        Happening::Delete { deployment } => sim.delete(&format!("d{deployment}")),
        Happening::Answer { which, well } if !sim.pending.is_empty() => sim.answer(which % sim.pending.len(), well),
        Happening::Kill { which } | Happening::Unlink { which } | Happening::Sicken { which } => {
            let all = containers(sim);
            if all.is_empty() {
                return;
            }
            let one = &all[which % all.len()];
            let running = sim.item::<Container>(one).and_then(|item| item.status).and_then(|status| match status.state {
                State::Running { attempt, .. } => Some(attempt),
                State::Down => None,
            });
            match (happening, running) {
                (Happening::Kill { .. }, Some(attempt)) => sim.end(one, attempt, Cause::Signal("SIGKILL".into())),
                (Happening::Sicken { .. }, Some(_)) => sim.report::<Container>(one, |status| status.health.failures = 3),
                (Happening::Unlink { .. }, _) => sim.report::<Container>(one, |status| status.linked = false),
                _ => {}
            }
        }
        Happening::LoseFilter => sim.report::<Node>(&name("vps"), |status| status.filter_intact = false),
        Happening::Wait { milliseconds } => sim.now.0 += milliseconds,
        Happening::Answer { .. } => {}
    }
}

/// Settles until nothing is due: what is told to the node's tables is reported on at once.
fn settle(sim: &mut Sim) {
    sim.settle();
    while !sim.due.is_empty() {
        sim.settle();
    }
}

/// What must hold at every moment.
fn invariants(sim: &Sim) {
    let mut addresses = std::collections::BTreeSet::new();
    for replica in sim.names(Kind::Replica) {
        let item = sim.item::<Replica>(&name(&replica)).unwrap();
        for address in &item.spec.addresses {
            assert!(address.block.contains(address.address));
            assert!(addresses.insert(address.address), "{replica} shares {}", address.address);
        }
    }
    for (route, spec) in &sim.tables.routes {
        for backend in &spec.backends {
            let owner = sim.names(Kind::Replica).into_iter().find(|replica| {
                sim.item::<Replica>(&name(replica)).unwrap().spec.addresses.iter().any(|address| address.address == *backend.ip())
            });
            assert!(owner.is_some(), "{route} leads to {backend}, which no replica has");
        }
    }
}

/// How many worlds: `PROPTEST_CASES`, or as many as take a few seconds.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_world_comes_to_rest_and_settling_twice_writes_nothing(happenings in prop::collection::vec(happening(), 1..80)) {
        let mut sim = Sim::new();
        for happening in &happenings {
            happen(&mut sim, happening);
            settle(&mut sim);
            let again = sim.full_pass();
            prop_assert!(again.writes.is_empty(), "settling again writes {:?}", again.writes);
            invariants(&sim);
        }
        // From here on all goes well: what was asked for is there, and what was deleted is gone.
        for container in containers(&sim) {
            sim.report::<Container>(&container, |status| status.health.failures = 0);
        }
        sim.now.0 += 400_000;
        sim.run();
        sim.now.0 += 400_000;
        sim.run();
        prop_assert!(sim.full_pass().effects.iter().all(|effect| effect.slot().is_none()));
        let deployments = sim.names(Kind::Deployment);
        for deployment in &deployments {
            let item = sim.item::<Deployment>(&name(deployment)).unwrap();
            let status = item.status.unwrap();
            prop_assert!(status.ready, "{:?}", status.waiting);
            for (service, definition) in &item.spec.services {
                let prefix = format!("{deployment}/{service}/");
                let mine: Vec<_> = sim.names(Kind::Replica).into_iter().filter(|replica| replica.starts_with(&prefix)).collect();
                prop_assert_eq!(mine.len(), definition.replicas() as usize);
                for replica in mine {
                    prop_assert_eq!(sim.item::<Replica>(&name(&replica)).unwrap().status.unwrap().phase, Phase::Ready);
                }
            }
        }
        let strays = containers(&sim).into_iter().filter(|container| !deployments.contains(&container.root().to_owned())).count();
        prop_assert_eq!(strays, 0);
    }
}
