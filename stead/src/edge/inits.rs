//! Running init steps, and ending them early.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use runtime::container::{Launch, Role};
use runtime::init;
use spec::kind::container::{self, Cause, Exit};
use spec::kind::init::{Outcome, Spec, Status};
use spec::kind::{Container, Init};
use spec::{Key, Kind, Name, Timestamp};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Edge, Subject};
use crate::report::{self, chain, status_op};

/// Inits under way, to be ended early.
#[derive(Default)]
pub(super) struct Running {
    by_name: Mutex<BTreeMap<Name, CancellationToken>>,
}

impl Running {
    fn begin(&self, name: &Name) -> CancellationToken {
        let token = CancellationToken::new();
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), token.clone());
        token
    }

    fn end(&self, name: &Name) {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Returns whether there was one to cancel.
    fn cancel(&self, name: &Name) -> bool {
        let token = self.by_name.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        token.inspect(CancellationToken::cancel).is_some()
    }
}

pub(super) async fn run(edge: &Edge, name: &Name, spec: &Spec) {
    let Some(subject) = edge.subject::<Init>(name) else { return };
    let token = edge.shared.inits.begin(name);
    let started = edge.clock.now();
    let result = tokio::select! {
        result = steps(edge, &subject, spec) => result,
        () = token.cancelled() => Err((String::new(), "it was stopped".to_owned())),
    };
    edge.shared.inits.end(name);
    match result {
        Ok(warnings) => {
            let status = Status { attempt: spec.attempt, outcome: Outcome::Succeeded, warnings };
            report::status::<Init>(&edge.store, name, &subject.uid, |there: &mut Status| *there = status.clone()).await;
        }
        Err((id, message)) => {
            warn!(replica = %name, step = id, message, "init failed");
            fail(edge, &subject, spec.attempt, started, &id, &message).await;
        }
    }
}

/// Runs the steps; returns warnings, or the step that failed and why.
async fn steps(edge: &Edge, subject: &Subject, spec: &Spec) -> Result<Vec<String>, (String, String)> {
    let whole = |why: String| (String::new(), why);
    let env = edge.environment.resolve(&spec.container.process.env).await.map_err(whole)?;
    let layers = edge.images.layers(&spec.container.image).map_err(|error| whole(chain(&error)))?;
    let launch = Launch { spec: spec.container.clone(), layers, env, attempt: spec.attempt, role: Role::Main };
    let context = init::Context { containers: edge.containers.clone(), launch };
    let (progress, mut begun) = tokio::sync::mpsc::channel::<(usize, String)>(spec.steps.len().max(1));
    let telling = async {
        while let Some((index, id)) = begun.recv().await {
            info!(replica = %subject.name, step = id, "init step");
            let outcome = Outcome::Running { index, id, since: edge.clock.now() };
            report::status::<Init>(&edge.store, &subject.name, &subject.uid, |status: &mut Status| {
                *status = Status { attempt: spec.attempt, outcome: outcome.clone(), warnings: Vec::new() };
            })
            .await;
        }
    };
    let running = async move {
        // Moved in, so that its end ends the telling. There is room for every step.
        init::run_steps(&context, &spec.steps, |index, id| drop(progress.try_send((index, id.to_owned())))).await
    };
    let (outcome, ()) = tokio::join!(running, telling);
    match outcome.failure {
        Some(failure) => Err((failure.id, failure.message)),
        None => Ok(outcome.warnings),
    }
}

/// Reports the failure of the init and, in the same transaction, the end of the attempt that it was for.
async fn fail(edge: &Edge, subject: &Subject, attempt: u64, started: Timestamp, id: &str, message: &str) {
    let at = edge.clock.now();
    let outcome = Outcome::Failed { id: id.to_owned(), message: message.to_owned(), started, at };
    let cause = Cause::InitFailed { step: id.to_owned(), message: message.to_owned() };
    let exit = Exit { attempt, started, ended: at, cause };
    let (init, container) = (Key::new(Kind::Init, subject.name.clone()), Key::new(Kind::Container, subject.name.clone()));
    report::observed(&edge.store, &init, || {
        let first = status_op::<Init>(&edge.store, &init, &subject.uid, |status: &mut Status| {
            *status = Status { attempt, outcome: outcome.clone(), warnings: Vec::new() };
        });
        let Some(first) = first else { return Vec::new() };
        let second = edge.store.get(&container).and_then(|object| {
            status_op::<Container>(&edge.store, &container, &object.uid, |status: &mut container::Status| {
                if status.last_attempt() < attempt {
                    status.ended(exit.clone());
                }
            })
        });
        std::iter::once(first).chain(second).collect()
    })
    .await;
}

/// Ends the init of a replica; what it was doing reports the end, or this does when there was nothing.
pub(super) async fn stop(edge: &Edge, name: &Name) {
    let Some(subject) = edge.subject::<Init>(name) else { return };
    if edge.shared.inits.cancel(name) {
        return;
    }
    let object = edge.object::<Init>(name);
    let attempt = object.as_deref().and_then(spec::view::Item::<Init>::of).map_or(0, |item| item.spec.attempt);
    let at = edge.clock.now();
    report::status::<Init>(&edge.store, name, &subject.uid, |status: &mut Status| {
        // It may have come to its own end just now.
        if status.attempt != attempt || !matches!(status.outcome, Outcome::Succeeded | Outcome::Failed { .. }) {
            let outcome = Outcome::Failed { id: String::new(), message: "it was stopped".to_owned(), started: at, at };
            *status = Status { attempt, outcome, warnings: Vec::new() };
        }
    })
    .await;
}
