//! Asks a running container whether it serves, and reports what it answers.

use std::path::PathBuf;
use std::time::Duration;

use spec::kind::container::{Probe, State, Status};
use spec::kind::{Container, container};
use tokio::time::Instant;

use super::{Edge, Subject};
use crate::report;

/// The first question after a start; a fast program is found ready at once.
const FIRST: Duration = Duration::from_millis(5);
/// The longest pause before it first passes, whatever the interval.
const EAGER: Duration = Duration::from_millis(500);

/// Probes one attempt until it is told to end by being dropped.
pub(super) async fn watch(edge: Edge, subject: Subject, attempt: u64, probe: Probe, netns: PathBuf) {
    let mut pause = FIRST;
    let mut health = container::Health::default();
    // Before the first pass it is asked often, but a failure counts once an interval: the count means time, not eagerness.
    let mut counts_from = Instant::now() + Duration::from(probe.interval);
    loop {
        tokio::time::sleep(pause).await;
        let answer = runtime::probe::check(&probe, &netns).await;
        let before = health.clone();
        match answer {
            Ok(()) => health = container::Health { passed: true, ..Default::default() },
            Err(message) => {
                health.message = message;
                if Instant::now() >= counts_from {
                    counts_from = Instant::now() + Duration::from(probe.interval);
                    health.failures = (health.failures + 1).min(probe.retries);
                }
            }
        }
        if health != before && !tell(&edge, &subject, attempt, &health).await {
            return;
        }
        pause = match health.passed {
            true => probe.interval.into(),
            false => (pause * 2).min(EAGER).min(probe.interval.into()),
        };
        if health.passed {
            counts_from = Instant::now();
        }
    }
}

/// Reports for this attempt only; returns whether the container is still there.
async fn tell(edge: &Edge, subject: &Subject, attempt: u64, health: &container::Health) -> bool {
    report::status::<Container>(&edge.store, &subject.name, &subject.uid, |status: &mut Status| {
        if matches!(status.state, State::Running { attempt: now, .. } if now == attempt) {
            status.health = health.clone();
        }
    })
    .await
}
