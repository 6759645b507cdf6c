//! A world without a store and a node without a kernel: enough to run the controllers to the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use controllers::{ALL, Authored, Settled, Task, dirty_all, dirty_by, settle};
use spec::kind::container::{Cause, Exit, State};
use spec::kind::deployment::RETRY_AT;
use spec::kind::{Container, Deployment, Endpoint, Image, Init, Node, Resolution, container, image, init, node, resolution};
use spec::object::{Object, Resource, Uid};
use spec::plan::Tables;
use spec::view::{Item, Overlay};
use spec::{Effect, Key, Kind, Name, Spec, Status, Timestamp, View, World, Write};

pub(crate) struct Sim {
    pub(crate) world: World,
    pub(crate) now: Timestamp,
    pub(crate) tables: Tables,
    pub(crate) due: BTreeSet<Task>,
    pub(crate) rechecks: BTreeMap<Task, Timestamp>,
    revision: u64,
    /// Effects that wait for an answer, by what they occupy.
    pub(crate) pending: Vec<Effect>,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl Sim {
    pub(crate) fn new() -> Sim {
        let mut sim = Sim {
            world: World::default(),
            now: Timestamp(1_000_000),
            tables: Tables::default(),
            due: BTreeSet::new(),
            rechecks: BTreeMap::new(),
            revision: 0,
            pending: Vec::new(),
        };
        let key = Key::new(Kind::Node, name("vps"));
        sim.write(&Write::Spec { key: key.clone(), owner: None, spec: Node::to_spec(node::Spec {}) });
        let status = node::Status {
            id: "ab12".into(),
            pool: Some("10.192.0.0/12".parse().unwrap()),
            filter_intact: true,
            filter_failure: None,
        };
        sim.write(&Write::Status { key, status: Node::to_status(status) });
        sim
    }

    /// Applies a manifest, as a PUT does: one that is there already, and does not serve, is to be tried again.
    pub(crate) fn put(&mut self, yaml: &str) {
        let manifest = spec::manifest::parse(yaml).unwrap();
        let deployment = name(&manifest.deployment);
        let there = self.item::<Deployment>(&deployment);
        let again = there.is_some_and(|item| *item.spec == manifest && item.status.is_some_and(|status| !status.ready));
        let key = Key::new(Kind::Deployment, deployment);
        match again {
            true => self.label(&key, RETRY_AT, &self.now.0.to_string()),
            false => self.write(&Write::Spec { key, owner: None, spec: Deployment::to_spec(manifest) }),
        }
    }

    pub(crate) fn delete(&mut self, deployment: &str) {
        self.write(&Write::Delete { key: Key::new(Kind::Deployment, name(deployment)) });
    }

    fn label(&mut self, key: &Key, label: &str, value: &str) {
        let mut object = Object::clone(self.world.get(key).unwrap());
        object.labels.insert(label.to_owned(), value.to_owned());
        let change = self.world.set(key, Some(Arc::new(object)));
        let none = Overlay::default();
        self.due.extend(dirty_by(ALL, &View::new(&self.world, &none), &change));
    }

    /// Settles once, commits, and keeps the effects for [`Sim::answer`].
    pub(crate) fn settle(&mut self) -> Settled {
        let now = self.now;
        let ripe: Vec<_> = self.rechecks.iter().filter(|(_, at)| **at <= now).map(|(task, _)| task.clone()).collect();
        self.due.extend(ripe);
        let settled = settle(ALL, &self.world, std::mem::take(&mut self.due), now);
        assert_eq!(settled.aside, [], "nothing is set aside");
        for (task, at) in &settled.rechecks {
            match at {
                Some(at) => self.rechecks.insert(task.clone(), *at),
                None => self.rechecks.remove(task),
            };
        }
        for Authored { write, .. } in settled.writes.values().flatten() {
            self.apply(write);
        }
        let mut opened = Vec::new();
        for effect in &settled.effects {
            match effect.slot() {
                None => {
                    self.tables.apply(effect);
                    if let Effect::Route { name, route: Some(_) } = effect {
                        opened.push(name.clone());
                    }
                }
                Some(slot) if self.pending.iter().all(|other| other.slot().as_ref() != Some(&slot)) => {
                    self.pending.push(effect.clone());
                }
                Some(_) => {}
            }
        }
        for name in opened {
            if self.item::<Endpoint>(&name).is_some_and(|item| item.object.observed_generation != item.object.generation) {
                self.report::<Endpoint>(&name, |status| status.serving = true);
            }
        }
        settled
    }

    /// Plans everything there is once more, and returns what it would write.
    pub(crate) fn full_pass(&self) -> Settled {
        settle(ALL, &self.world, dirty_all(ALL, &self.world), self.now)
    }

    /// Settles and answers every effect with success until nothing more happens.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000 {
            self.settle();
            if self.pending.is_empty() && !self.due.is_empty() {
                continue;
            }
            if self.pending.is_empty() {
                let Some(next) = self.rechecks.values().min().copied() else { return };
                if next > self.now.after(spec::units::Duration::seconds(60)) {
                    return;
                }
                self.now = self.now.max(next);
                continue;
            }
            self.answer(0, true);
        }
        panic!("it never comes to rest");
    }

    /// Carries out the effect at `index`, well or badly.
    pub(crate) fn answer(&mut self, index: usize, well: bool) {
        let effect = self.pending.remove(index);
        self.now.0 += 1;
        // What the controllers want may have changed meanwhile; they are asked again when an effect is over.
        self.due.extend(dirty_all(ALL, &self.world));
        let now = self.now;
        let failure =
            |attempts: u64| image::Failure { message: "it failed".into(), attempts: attempts + 1, at: now, permanent: false };
        match effect {
            Effect::Resolve { name, spec } => self.report::<Resolution>(&name, |status| {
                if well {
                    let digest = format!("sha256:{}", spec::hash::hex(&[&spec.reference], 64));
                    let resolved =
                        resolution::Resolved { reference: spec.reference.clone(), digest, repository: spec.reference.clone() };
                    *status = resolution::Status { resolved: Some(resolved), failure: None };
                } else {
                    status.failure = Some(failure(status.failure.as_ref().map_or(0, |failure| failure.attempts)));
                }
            }),
            Effect::Pull { name, .. } => self.report::<Image>(&name, |status| {
                if well {
                    let config = image::Config { entrypoint: vec!["/serve".into()], ..Default::default() };
                    *status = image::Status { config: Some(config), failure: None };
                } else {
                    status.failure = Some(failure(status.failure.as_ref().map_or(0, |failure| failure.attempts)));
                }
            }),
            Effect::Link { name, .. } => self.report::<Container>(&name, |status| {
                status.linked = well;
                status.link_failure =
                    (!well).then(|| failure(status.link_failure.as_ref().map_or(0, |failure| failure.attempts)));
            }),
            Effect::RunInit { name, spec } => {
                let outcome = match well {
                    true => init::Outcome::Succeeded,
                    false => init::Outcome::Failed { id: "step".into(), message: "no".into(), started: now, at: now },
                };
                if !well {
                    let cause = Cause::InitFailed { step: "step".into(), message: "no".into() };
                    self.end(&name, spec.attempt, cause);
                }
                self.report::<Init>(&name, |status| *status = init::Status { attempt: spec.attempt, outcome, warnings: vec![] });
            }
            Effect::StopInit { name } => {
                let attempt = self.item::<Init>(&name).map_or(0, |item| item.spec.attempt);
                self.pending.retain(|other| !matches!(other, Effect::RunInit { name: running, .. } if *running == name));
                let outcome = init::Outcome::Failed { id: String::new(), message: "stopped".into(), started: now, at: now };
                self.report::<Init>(&name, |status| *status = init::Status { attempt, outcome, warnings: vec![] });
            }
            Effect::Start { name, attempt, .. } => match well {
                true => self.report::<Container>(&name, |status| {
                    status.state = State::Running { attempt, pid: 1, since: now };
                    status.health = container::Health { passed: true, ..Default::default() };
                }),
                false => self.end(&name, attempt, Cause::NotStarted("no such file".into())),
            },
            Effect::Stop { name, .. } => {
                if let Some(State::Running { attempt, .. }) =
                    self.item::<Container>(&name).and_then(|item| item.status).map(|status| status.state.clone())
                {
                    self.end(&name, attempt, Cause::Code(0));
                }
            }
            Effect::Release { name, .. } => {
                self.report::<Container>(&name, |status| *status = container::Status { released: true, ..Default::default() });
            }
            Effect::RepairFilter { name } => self.report::<Node>(&name, |status| status.filter_intact = well),
            Effect::Overlay { .. } | Effect::Route { .. } | Effect::Record { .. } | Effect::Client { .. } => {}
        }
    }

    /// Ends a container's run.
    pub(crate) fn end(&mut self, name: &Name, attempt: u64, cause: Cause) {
        let now = self.now;
        self.report::<Container>(name, |status| {
            let started = match status.state {
                State::Running { since, .. } => since,
                State::Down => now,
            };
            status.ended(Exit { attempt, started, ended: now, cause });
        });
    }

    pub(crate) fn item<R: Resource>(&self, name: &Name) -> Option<Item<'_, R>> {
        self.world.get(&Key::new(R::KIND, name.clone())).and_then(|object| Item::of(object))
    }

    /// Changes a status, as the node's edge does.
    pub(crate) fn report<R: Resource>(&mut self, name: &Name, change: impl FnOnce(&mut R::Status))
    where
        R::Status: Clone + Default,
    {
        let Some(item) = self.item::<R>(name) else { return };
        let mut status = item.status.cloned().unwrap_or_default();
        change(&mut status);
        self.write(&Write::Status { key: Key::new(R::KIND, name.clone()), status: R::to_status(status) });
    }

    /// A write from outside: changes the world and wakes the controllers.
    pub(crate) fn write(&mut self, write: &Write) {
        if let Some(change) = self.apply(write) {
            let none = Overlay::default();
            self.due.extend(dirty_by(ALL, &View::new(&self.world, &none), &change));
        }
    }

    /// What the store does with a write.
    fn apply(&mut self, write: &Write) -> Option<spec::Change> {
        self.revision += 1;
        let key = write.key();
        let old = self.world.get(key).cloned();
        let new = match (write, old) {
            (Write::Remove { .. }, Some(old)) => {
                assert!(old.deleting, "only what is marked is removed: {key}");
                None
            }
            (Write::Delete { .. }, Some(old)) => Some(Object { deleting: true, ..Object::clone(&old) }),
            (Write::Status { status, .. }, Some(old)) => {
                Some(Object { status: Some(Status::clone(status)), observed_generation: old.generation, ..Object::clone(&old) })
            }
            (Write::Spec { spec, .. }, Some(old)) => {
                assert!(!old.deleting, "what is marked is not written: {key}");
                if old.spec == *spec {
                    return None;
                }
                Some(Object { spec: Spec::clone(spec), generation: old.generation + 1, ..Object::clone(&old) })
            }
            (Write::Spec { key, owner, spec }, None) => Some(Object {
                key: key.clone(),
                uid: Uid(format!("u{}", self.revision)),
                revision: self.revision,
                spec_revision: self.revision,
                status_revision: 0,
                generation: 1,
                observed_generation: 0,
                owner: owner.clone(),
                labels: BTreeMap::new(),
                deleting: false,
                spec: spec.clone(),
                status: None,
            }),
            (_, None) => return None,
        };
        Some(self.world.set(key, new.map(Arc::new)))
    }

    /// Names of all objects of a kind.
    pub(crate) fn names(&self, kind: Kind) -> Vec<String> {
        self.world.iter().filter(|object| object.key.kind == kind).map(|object| object.key.name.to_string()).collect()
    }
}
