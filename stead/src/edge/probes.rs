//! Asks a running container whether it serves, and reports what it answers.

use std::path::PathBuf;
use std::time::Duration;

use spec::kind::container::{Probe, State, Status};
use spec::kind::{Container, container};
use spec::units;
use spec::view::Item;
use tokio::time::Instant;

use super::{Edge, Subject};
use crate::report;

/// The first question after a start; a fast program is found ready at once.
const FIRST: Duration = Duration::from_millis(1);
/// The longest pause before it first passes, whatever the interval.
const EAGER: Duration = Duration::from_millis(500);

/// Probes one attempt until it is told to end by being dropped.
pub(super) async fn watch(edge: Edge, subject: Subject, attempt: u64, probe: Probe, netns: PathBuf) {
    let mut pause = FIRST;
    // A container that was found running goes on from what was known of it: one failure does not make it new.
    let (mut health, runs_for) = known(&edge, &subject, attempt);
    let mut counts_from = Instant::now() + if health.passed { Duration::ZERO } else { patience(&probe, runs_for) };
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

/// Returns what is known of the attempt's health, and how long it has been running.
fn known(edge: &Edge, subject: &Subject, attempt: u64) -> (container::Health, units::Duration) {
    let object = edge.object::<Container>(&subject.name).filter(|object| object.uid == subject.uid);
    match object.as_deref().and_then(Item::<Container>::of).and_then(|item| item.status) {
        Some(Status { state: State::Running { attempt: known, since, .. }, health, .. }) if *known == attempt => {
            (health.clone(), edge.clock.now().since(*since))
        }
        _ => Default::default(),
    }
}

/// Returns how long failures do not count yet before the first pass. Until then it is asked often, but a failure counts once an
/// interval: the count means time, not eagerness.
fn patience(probe: &Probe, runs_for: units::Duration) -> Duration {
    let grace = probe.start_grace.0.saturating_sub(runs_for.0);
    units::Duration(grace.max(probe.interval.0)).into()
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

#[cfg(test)]
mod tests {
    use spec::kind::container::Check;
    use spec::units::Duration as Length;

    use super::*;

    #[test]
    fn failures_count_after_the_start_grace_and_then_once_an_interval() {
        let probe = Probe {
            check: Check::Tcp { port: 80 },
            address: std::net::Ipv4Addr::LOCALHOST,
            interval: Length::seconds(10),
            timeout: Length::seconds(2),
            retries: 3,
            start_grace: Length::seconds(60),
            restart: true,
        };
        assert_eq!(patience(&probe, Length(0)), Duration::from_secs(60));
        assert_eq!(patience(&probe, Length::seconds(45)), Duration::from_secs(15), "it was found running by another daemon");
        assert_eq!(patience(&probe, Length::seconds(3600)), Duration::from_secs(10));
    }
}
