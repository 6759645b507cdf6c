//! A node without a kernel: it carries out effects when told to, well or badly, and remembers what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spec::kind::container::{Cause, Exit, State};
use spec::kind::image::Failure;
use spec::kind::{Container, Endpoint, Image, Init, Node, Replica, Resolution, container, image, init, resolution};
use spec::object::{Object, Resource};
use spec::plan::Tables;
use spec::view::Item;
use spec::{Effect, Key, Name, hash};
use stead::clock::Clock;
use stead::driver::Edge;
use stead::report;
use store::Store;
use tokio::sync::oneshot;

pub struct FakeNode {
    store: Store,
    clock: Clock,
    state: Mutex<Fake>,
}

#[derive(Default)]
struct Fake {
    /// Effects under way, each with the line to the task that waits for its end.
    work: Vec<(Effect, oneshot::Sender<()>)>,
    /// Attempts that run, by container.
    running: BTreeMap<Name, u64>,
    links: BTreeSet<Name>,
    tables: Tables,
}

impl Edge for FakeNode {
    fn run(&self, effect: Effect) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (done, wait) = oneshot::channel();
        self.lock().work.push((effect, done));
        Box::pin(async move {
            // An error is a crash: the effect is lost.
            let _ = wait.await;
        })
    }

    fn publish<'a>(&'a self, tables: &'a Tables) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.lock().tables = tables.clone();
        Box::pin(async {
            for name in tables.routes.keys() {
                let object = self.store.get(&Key::new(Endpoint::KIND, name.clone()));
                if let Some(object) = object.filter(|object| object.observed_generation != object.generation) {
                    let serving = |status: &mut spec::kind::endpoint::Status| status.serving = true;
                    report::status::<Endpoint>(&self.store, name, &object.uid, serving).await;
                }
            }
        })
    }
}

impl FakeNode {
    pub fn new(store: Store, clock: Clock) -> FakeNode {
        FakeNode { store, clock, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Fake> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn has_work(&self) -> bool {
        !self.lock().work.is_empty()
    }

    pub fn running(&self) -> usize {
        self.lock().running.len()
    }

    pub fn links(&self) -> usize {
        self.lock().links.len()
    }

    /// Forgets what was under way, as the death of a daemon does; what runs goes on.
    pub fn crash(&self) {
        self.lock().work.clear();
    }

    /// Ends one of the effects under way, and reports it.
    pub async fn answer(&self, which: u64, well: bool) -> String {
        let Some((effect, done)) = self.take(which) else { return "nothing is under way".to_owned() };
        let said = format!("{}: {effect:?}", if well { "done" } else { "failed" });
        self.carry_out(&effect, well, true).await;
        let _ = done.send(());
        said
    }

    /// Ends an effect that did its work, but whose report was lost.
    pub async fn lose_a_report(&self, which: u64) -> String {
        let Some((effect, done)) = self.take(which) else { return "nothing is under way".to_owned() };
        self.carry_out(&effect, true, false).await;
        let _ = done.send(());
        format!("done, and the report is lost: {effect:?}")
    }

    fn take(&self, which: u64) -> Option<(Effect, oneshot::Sender<()>)> {
        let mut state = self.lock();
        let count = state.work.len() as u64;
        (count > 0).then(|| state.work.remove((which % count) as usize))
    }

    async fn carry_out(&self, effect: &Effect, well: bool, tell: bool) {
        let now = self.clock.now();
        let failed = |attempts| Failure { message: "it failed".into(), attempts: attempts + 1, at: now, permanent: false };
        match effect {
            Effect::Resolve { name, spec } => {
                self.report::<Resolution>(tell, name, |status: &mut resolution::Status| {
                    let digest = format!("sha256:{}", hash::hex(&[&spec.reference], 64));
                    let (reference, repository) = (spec.reference.clone(), spec.reference.clone());
                    match well {
                        true => status.resolved = Some(resolution::Resolved { reference, digest, repository }),
                        false => status.failure = Some(failed(status.failure.as_ref().map_or(0, |failure| failure.attempts))),
                    }
                })
                .await;
            }
            Effect::Pull { name, .. } => {
                self.report::<Image>(tell, name, |status: &mut image::Status| match well {
                    true => status.config = Some(image::Config { entrypoint: vec!["/serve".into()], ..Default::default() }),
                    false => status.failure = Some(failed(status.failure.as_ref().map_or(0, |failure| failure.attempts))),
                })
                .await;
            }
            Effect::Link { name, .. } => {
                if well {
                    self.lock().links.insert(name.clone());
                }
                self.report::<Container>(tell, name, |status: &mut container::Status| {
                    status.linked = well;
                    status.link_failure =
                        (!well).then(|| failed(status.link_failure.as_ref().map_or(0, |failure| failure.attempts)));
                })
                .await;
            }
            Effect::RunInit { name, spec } => {
                let outcome = match well {
                    true => init::Outcome::Succeeded,
                    false => init::Outcome::Failed { id: "s".into(), message: "no".into(), started: now, at: now },
                };
                if !well {
                    self.end(tell, name, spec.attempt, Cause::InitFailed { step: "s".into(), message: "no".into() }).await;
                }
                let status = init::Status { attempt: spec.attempt, outcome, warnings: Vec::new() };
                self.report::<Init>(tell, name, |there: &mut init::Status| *there = status.clone()).await;
            }
            Effect::StopInit { name } => {
                self.lock().work.retain(|(other, _)| !matches!(other, Effect::RunInit { name: running, .. } if running == name));
                let key = Key::new(Init::KIND, name.clone());
                let object = self.store.get(&key);
                let attempt = object.as_deref().and_then(Item::<Init>::of).map_or(0, |item| item.spec.attempt);
                let outcome = init::Outcome::Failed { id: String::new(), message: "stopped".into(), started: now, at: now };
                let status = init::Status { attempt, outcome, warnings: Vec::new() };
                self.report::<Init>(tell, name, |there: &mut init::Status| *there = status.clone()).await;
            }
            Effect::Start { name, attempt, .. } => {
                // Starting what runs already is nothing, whoever asks.
                let attempt = match well {
                    true => *self.lock().running.entry(name.clone()).or_insert(*attempt),
                    false => return self.end(tell, name, *attempt, Cause::NotStarted("no such file".into())).await,
                };
                self.report::<Container>(tell, name, |status: &mut container::Status| {
                    status.state = State::Running { attempt, pid: 1, since: now };
                    status.health = container::Health { passed: true, ..Default::default() };
                })
                .await;
            }
            Effect::Stop { name, .. } => {
                let attempt = self.lock().running.remove(name).unwrap_or_else(|| running_attempt(&self.store, name));
                self.end(tell, name, attempt, Cause::Code(0)).await;
            }
            Effect::Release { name, .. } => {
                if !well {
                    return;
                }
                {
                    let mut state = self.lock();
                    state.running.remove(name);
                    state.links.remove(name);
                }
                self.report::<Container>(tell, name, |status: &mut container::Status| status.released = true).await;
            }
            Effect::RepairFilter { name } => {
                self.report::<Node>(tell, name, |status: &mut spec::kind::node::Status| status.filter_intact = well).await;
            }
            Effect::Overlay { .. } | Effect::Route { .. } | Effect::Record { .. } | Effect::Client { .. } => {}
        }
    }

    async fn end(&self, tell: bool, name: &Name, attempt: u64, cause: Cause) {
        let now = self.clock.now();
        self.report::<Container>(tell, name, |status: &mut container::Status| {
            status.ended_once(Exit { attempt, started: now, ended: now, cause: cause.clone() });
        })
        .await;
    }

    async fn report<R: Resource>(&self, tell: bool, name: &Name, change: impl Fn(&mut R::Status) + Send)
    where
        R::Status: Default + Clone + PartialEq,
    {
        let object = self.store.get(&Key::new(R::KIND, name.clone())).filter(|_| tell);
        if let Some(object) = object {
            report::status::<R>(&self.store, name, &object.uid, change).await;
        }
    }

    /// Something breaks that nobody asked for: a container dies or falls ill, a link or the filter is lost.
    pub async fn break_something(&self, which: u64) -> String {
        let names: Vec<Name> = self.lock().running.keys().cloned().collect();
        if names.is_empty() || which.is_multiple_of(7) {
            self.report::<Node>(true, &"vps".parse().expect("a name"), |status: &mut spec::kind::node::Status| {
                status.filter_intact = false;
            })
            .await;
            return "the packet filter is lost".to_owned();
        }
        let name = &names[(which / 7) as usize % names.len()];
        match which % 3 {
            0 => {
                let attempt = self.lock().running.remove(name).unwrap_or_default();
                self.end(true, name, attempt, Cause::Signal("SIGKILL".into())).await;
                format!("{name} is killed")
            }
            1 => {
                self.lock().links.remove(name);
                self.report::<Container>(true, name, |status: &mut container::Status| status.linked = false).await;
                format!("{name} loses its link")
            }
            _ => {
                self.report::<Container>(true, name, |status: &mut container::Status| status.health.failures = 3).await;
                format!("{name} falls ill")
            }
        }
    }

    /// What a daemon does when it comes back: writes down what it finds, and takes away what belongs to nothing.
    pub async fn observe(&self) {
        let objects = self.store.snapshot().objects;
        let containers: Vec<_> = objects.iter().filter(|object| object.key.kind == Container::KIND).collect();
        let known: BTreeSet<Name> = containers.iter().map(|object| object.key.name.clone()).collect();
        let (running, links) = {
            let mut state = self.lock();
            state.running.retain(|name, _| known.contains(name));
            state.links.retain(|name| known.contains(name));
            (state.running.clone(), state.links.clone())
        };
        let now = self.clock.now();
        for object in containers {
            let name = &object.key.name;
            let (linked, attempt) = (links.contains(name), running.get(name).copied());
            report::status::<Container>(&self.store, name, &object.uid, |status: &mut container::Status| {
                status.linked = linked;
                match (attempt, status.state.clone()) {
                    (Some(attempt), _) => {
                        status.state = State::Running { attempt, pid: 1, since: now };
                        status.health = container::Health { passed: true, ..Default::default() };
                    }
                    (None, State::Running { attempt, since, .. }) => {
                        status.ended(Exit { attempt, started: since, ended: now, cause: Cause::Lost });
                    }
                    (None, State::Down) => {}
                }
            })
            .await;
        }
    }

    /// Makes all that is ill well again, and tells all that was lost.
    pub async fn heal(&self) {
        self.observe().await;
        for object in self.store.snapshot().objects {
            if object.key.kind == Container::KIND {
                let well = |status: &mut container::Status| status.health.failures = 0;
                report::status::<Container>(&self.store, &object.key.name, &object.uid, well).await;
            }
        }
    }

    /// Checks that traffic is only led to replicas that are there.
    pub fn check_routes(&self, objects: &[Arc<Object>]) {
        let addresses: BTreeSet<_> = objects
            .iter()
            .filter_map(|object| Item::<Replica>::of(object))
            .flat_map(|replica| replica.spec.addresses.iter().map(|address| address.address))
            .collect();
        for (route, spec) in &self.lock().tables.routes {
            for backend in &spec.backends {
                assert!(addresses.contains(backend.ip()), "{route} leads to {backend}, which no replica has");
            }
        }
    }
}

fn running_attempt(store: &Store, name: &Name) -> u64 {
    let object = store.get(&Key::new(Container::KIND, name.clone()));
    let status = object.as_deref().and_then(Item::<Container>::of).and_then(|item| item.status);
    match status.map(|status| status.state.clone()) {
        Some(State::Running { attempt, .. }) => attempt,
        _ => 0,
    }
}
