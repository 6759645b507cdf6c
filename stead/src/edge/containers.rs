//! Starting, watching, stopping and releasing containers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::container::{ExitRecord, Launch, Role};
use spec::kind::Container;
use spec::kind::container::{Cause, Exit, Spec, State, Status};
use spec::{Name, Timestamp};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{Edge, Subject, probes};
use crate::report::{self, chain};

/// Wait beyond the grace for a killed container to be reported gone.
const REAP: Duration = Duration::from_secs(10);

/// Who watches which container: one task for each that runs.
#[derive(Default)]
pub(super) struct Supervisors {
    by_name: Mutex<BTreeMap<Name, Supervisor>>,
}

struct Supervisor {
    attempt: u64,
    stops: mpsc::Sender<Option<String>>,
    /// Becomes true, or closes, when the container has ended and that is reported.
    ended: watch::Receiver<bool>,
}

impl Supervisors {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Name, Supervisor>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_watching(&self, name: &Name) -> bool {
        self.lock().get(name).is_some_and(|supervisor| !*supervisor.ended.borrow())
    }
}

pub(super) async fn start(edge: &Edge, name: &Name, spec: Arc<Spec>, attempt: u64) {
    let Some(subject) = edge.subject::<Container>(name) else { return };
    if edge.shared.supervisors.is_watching(name) {
        return;
    }
    match launch(edge, &spec, attempt).await {
        Ok(running) => {
            info!(replica = %name, attempt, pid = running.pid, "started");
            supervise(edge, subject, spec, running).await;
        }
        Err(why) => {
            warn!(replica = %name, attempt, why, "not started");
            let now = edge.clock.now();
            end(edge, &subject, Exit { attempt, started: now, ended: now, cause: Cause::NotStarted(why) }).await;
        }
    }
}

async fn launch(edge: &Edge, spec: &Spec, attempt: u64) -> Result<runtime::container::Running, String> {
    let env = edge.environment.resolve(&spec.process.env).await?;
    let layers = edge.images.layers(&spec.image).map_err(|error| chain(&error))?;
    let launch = Launch { spec: spec.clone(), layers, env, attempt, role: Role::Main };
    edge.containers.start(launch).await.map_err(|error| chain(&error))
}

/// Reports a container as running, and watches it from now on.
pub(super) async fn supervise(edge: &Edge, subject: Subject, spec: Arc<Spec>, running: runtime::container::Running) {
    let (attempt, pid) = (running.attempt, running.pid);
    let (stops, stop_requests) = mpsc::channel(4);
    let (ended_tx, ended) = watch::channel(false);
    edge.shared.supervisors.lock().insert(subject.name.clone(), Supervisor { attempt, stops, ended });
    let now = edge.clock.now();
    report::status::<Container>(&edge.store, &subject.name, &subject.uid, |status: &mut Status| {
        if !matches!(status.state, State::Running { attempt: known, .. } if known == attempt) {
            status.health = Default::default();
            status.state = State::Running { attempt, pid, since: now };
        }
    })
    .await;
    let watcher = Watcher { edge: edge.clone(), subject, spec, running, stop_requests, ended: ended_tx };
    tokio::spawn(watcher.watch());
}

struct Watcher {
    edge: Edge,
    subject: Subject,
    spec: Arc<Spec>,
    running: runtime::container::Running,
    stop_requests: mpsc::Receiver<Option<String>>,
    ended: watch::Sender<bool>,
}

impl Watcher {
    async fn watch(mut self) {
        let probing = self.spec.probe.clone().map(|probe| {
            let netns = self.edge.netns_dir.join(&self.spec.link.netns);
            let probe = probes::watch(self.edge.clone(), self.subject.clone(), self.running.attempt, probe, netns);
            AbortOnDrop(tokio::spawn(probe))
        });
        let (record, unhealthy) = self.until_it_ends().await;
        drop(probing);
        let exit = exit_of(record, unhealthy, self.edge.clock.now());
        info!(replica = %self.subject.name, attempt = exit.attempt, cause = %exit.cause, "ended");
        end(&self.edge, &self.subject, exit).await;
        self.ended.send_replace(true);
    }

    async fn until_it_ends(&mut self) -> (ExitRecord, Option<String>) {
        let mut unhealthy = None;
        loop {
            tokio::select! {
                record = self.running.wait() => return (record, unhealthy),
                Some(why) = self.stop_requests.recv() => {
                    unhealthy = why;
                    let stop = &self.spec.stop;
                    if let Err(error) = self.running.stop(&stop.signal, stop.grace.into()).await {
                        warn!(replica = %self.subject.name, error = chain(&error), "it cannot be told to stop");
                    }
                }
            }
        }
    }
}

/// Returns the end that a shim recorded. Its times come from the wall clock, which may have stepped: none lies in the future.
pub(super) fn exit_of(record: ExitRecord, unhealthy: Option<String>, now: Timestamp) -> Exit {
    let cause = unhealthy.map_or(record.cause, Cause::Unhealthy);
    let length = record.ended.since(record.started);
    let started = Timestamp(now.0.saturating_sub(length.0));
    Exit { attempt: record.attempt, started, ended: now, cause }
}

async fn end(edge: &Edge, subject: &Subject, exit: Exit) {
    report::status::<Container>(&edge.store, &subject.name, &subject.uid, |status: &mut Status| {
        status.ended_once(exit.clone());
    })
    .await;
}

/// Asks a container to end, and returns when it has.
pub(super) async fn stop(edge: &Edge, name: &Name, spec: &Spec, unhealthy: Option<String>) {
    let Some((stops, mut ended, attempt)) = edge
        .shared
        .supervisors
        .lock()
        .get(name)
        .map(|supervisor| (supervisor.stops.clone(), supervisor.ended.clone(), supervisor.attempt))
    else {
        return lost(edge, name).await;
    };
    if *ended.borrow() {
        return lost(edge, name).await;
    }
    info!(replica = %name, attempt, unhealthy, "stopping");
    // A full channel means that it has been asked already.
    let _ = stops.try_send(unhealthy);
    let deadline = Duration::from(spec.stop.grace) + REAP;
    if tokio::time::timeout(deadline, ended.wait_for(|ended| *ended)).await.is_err() {
        warn!(replica = %name, "it did not end though it was killed");
    }
}

/// Corrects a status that says a container runs which nobody watches.
async fn lost(edge: &Edge, name: &Name) {
    let Some(subject) = edge.subject::<Container>(name) else { return };
    let now = edge.clock.now();
    report::status::<Container>(&edge.store, name, &subject.uid, |status: &mut Status| {
        if let State::Running { attempt, since, .. } = status.state {
            status.ended(Exit { attempt, started: since, ended: now, cause: Cause::Lost });
        }
    })
    .await;
}

/// Takes away all that a container has on the host.
pub(super) async fn release(edge: &Edge, name: &Name, spec: &Spec) {
    let Some(subject) = edge.subject::<Container>(name) else { return };
    edge.shared.links.remove(&spec.link);
    let result = async {
        edge.containers.release(&spec.id).await.map_err(|error| chain(&error))?;
        edge.containers.forget_logs(spec).await.map_err(|error| chain(&error))?;
        edge.netctl.remove_link(&spec.link).await.map_err(|error| chain(&error))?;
        edge.shared.links.flush().await.map_err(|error| chain(&error))
    };
    match result.await {
        Ok(()) => {
            edge.shared.supervisors.lock().remove(name);
            report::status::<Container>(&edge.store, name, &subject.uid, |status: &mut Status| {
                status.linked = false;
                status.released = true;
            })
            .await;
        }
        Err(why) => warn!(replica = %name, why, "what it has on the host cannot be taken away yet"),
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
