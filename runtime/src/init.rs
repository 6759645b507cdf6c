//! The init steps of a replica: what must be so, or must be done, before its container starts.
//!
//! To add an action: its variant in `spec::manifest::Action`, a file here, and its line in [`ACTIONS`].

mod run;
mod wait_http;
mod wait_tcp;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use spec::manifest::{OnFailure, Step};
use spec::units;
use tokio::time::Instant;

use crate::container::{Containers, Launch};

/// All actions, sorted by name.
pub const ACTIONS: &[Action] = &[run::ACTION, wait_http::ACTION, wait_tcp::ACTION];

/// Pause after the first and before each later look at what is waited for, at most; it doubles in between.
const LOOKS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The same between two tries of a step.
const TRIES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Longest single look: one that gets no answer at all shall not use up the time for others.
const LOOK: Duration = Duration::from_secs(5);

/// What can be done in a step.
pub struct Action {
    /// As in `uses` of a manifest.
    pub name: &'static str,
    try_once: for<'a> fn(&'a Context, usize, &'a Step) -> Try<'a>,
}

type Try<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;

/// The replica the steps are for.
#[derive(Clone)]
pub struct Context {
    pub containers: Containers,
    /// Its container as it will be started: steps share its root, network, environment and limits.
    pub launch: Launch,
}

/// How the steps went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Steps that failed and were told to go on: id and reason.
    pub warnings: Vec<String>,
    /// The step that ended it.
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub id: String,
    pub message: String,
}

/// Runs the steps one after another, and says with `progress` which one begins.
///
/// Dropping the future ends the step that runs.
pub async fn run_steps(context: &Context, steps: &[Step], mut progress: impl FnMut(usize, &str)) -> Outcome {
    let mut outcome = Outcome::default();
    for (index, step) in steps.iter().enumerate() {
        progress(index, &step.id);
        let Err(message) = run_step(context, index, step).await else { continue };
        match step.on_failure {
            OnFailure::Fail => {
                outcome.failure = Some(Failure { id: step.id.to_string(), message });
                break;
            }
            OnFailure::Warn | OnFailure::Continue => outcome.warnings.push(format!("{}: {message}", step.id)),
        }
    }
    outcome
}

async fn run_step(context: &Context, index: usize, step: &Step) -> Result<(), String> {
    let Some(action) = ACTIONS.iter().find(|action| action.name == step.action.name()) else {
        return Err(format!("this node does not know {}", step.action.name()));
    };
    let mut pause = TRIES.0;
    let mut left = step.retry;
    loop {
        match (action.try_once)(context, index, step).await {
            Err(_) if left > 0 => {}
            done => return done,
        }
        left -= 1;
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(TRIES.1);
    }
}

/// Looks again and again until `look` succeeds; fails with what the last look said when `timeout` has passed.
async fn until<L: Future<Output = Result<(), String>>>(timeout: units::Duration, look: impl Fn() -> L) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from(timeout);
    let mut last = None;
    let mut pause = LOOKS.0;
    loop {
        let end = deadline.min(Instant::now() + LOOK);
        match tokio::time::timeout_at(end, look()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(message)) => last = Some(message),
            // Cut off by the deadline: what was said before tells more.
            Err(_) => last = last.or_else(|| Some("no answer".to_owned())),
        }
        if Instant::now() + pause >= deadline {
            tokio::time::sleep_until(deadline).await;
            return Err(format!("not within {timeout}: {}", last.unwrap_or_default()));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOKS.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn each_action_of_the_language_is_there_in_its_order() {
        let names: Vec<&str> = ACTIONS.iter().map(|action| action.name).collect();
        assert_eq!(names, spec::manifest::Action::NAMES);
    }

    #[tokio::test(start_paused = true)]
    async fn looking_backs_off_and_says_what_it_saw_last() {
        let looks = AtomicU32::new(0);
        let begin = Instant::now();
        let seen =
            until(units::Duration::seconds(10), || async { Err(format!("look {}", looks.fetch_add(1, Ordering::Relaxed))) });
        let message = seen.await.unwrap_err();
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
        // After 0, 100, 300, 700 and 1500 ms, and then each second.
        assert_eq!(message, "not within 10s: look 12");
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_without_an_answer_is_cut_off() {
        let looks = AtomicU32::new(0);
        let found = until(units::Duration::seconds(20), || async {
            if looks.fetch_add(1, Ordering::Relaxed) == 0 {
                std::future::pending::<()>().await;
            }
            Ok(())
        });
        assert_eq!(found.await, Ok(()));
        assert_eq!(looks.load(Ordering::Relaxed), 2);
    }
}
