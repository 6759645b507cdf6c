//! Which start of a container is next, and when: one answer for the controllers that prepare it and that make it.

use spec::Key;
use spec::kind::container::{EXITS_KEPT, Exit, Status};
use spec::units::{Duration, Timestamp};

use super::backoff;

/// A run at least this long was a good one: the next end starts counting anew.
const GOOD_RUN: Duration = Duration::seconds(60);
/// A container that ended [`EXITS_KEPT`] times within this is in a crash loop.
const LOOP_WINDOW: Duration = Duration::seconds(60);
/// How long one in a crash loop is left alone.
const QUARANTINE: Duration = Duration::seconds(300);

/// The next start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) attempt: u64,
    pub(crate) not_before: Timestamp,
    /// It ended too often in too short a time.
    pub(crate) quarantined: bool,
}

/// Returns the start that comes after the ends recorded in `status`.
///
/// Ends up to `forgiven` do not count, nor does one that lies in the future: that was written under a clock that has been set back: it says nothing about how long ago it was.
pub(crate) fn next(status: &Status, who: &Key, now: Timestamp, forgiven: Timestamp) -> Next {
    let attempt = status.last_attempt() + 1;
    let exits = &status.exits[status.exits.partition_point(|exit| exit.ended <= forgiven)..];
    let (Some(first), Some(last)) = (exits.first(), exits.last().filter(|last| last.ended <= now)) else {
        return Next { attempt, not_before: Timestamp(0), quarantined: false };
    };
    let quarantined = exits.len() == EXITS_KEPT && last.ended.since(first.ended) < LOOP_WINDOW;
    let wait = if quarantined { QUARANTINE } else { backoff::after(short_runs(exits), who) };
    Next { attempt, not_before: last.ended.after(wait), quarantined }
}

/// Returns how many of the latest runs were short.
fn short_runs(exits: &[Exit]) -> u64 {
    exits.iter().rev().take_while(|exit| exit.ended.since(exit.started) < GOOD_RUN).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::Kind;
    use spec::kind::container::Cause;

    fn ended_at(runs: &[(u64, u64)]) -> Status {
        let mut status = Status::default();
        for (index, (started, ended)) in runs.iter().enumerate() {
            let (started, ended) = (Timestamp(started * 1000), Timestamp(ended * 1000));
            status.ended(Exit { attempt: index as u64 + 1, started, ended, cause: Cause::Code(1) });
        }
        status
    }

    fn wait(runs: &[(u64, u64)]) -> (u64, bool) {
        let last = runs.last().map_or(0, |run| run.1 * 1000);
        let next = next(&ended_at(runs), &Key::new(Kind::Replica, "a/b/0".parse().unwrap()), Timestamp(last), Timestamp(0));
        (next.not_before.0 - last, next.quarantined)
    }

    #[test]
    fn the_first_start_and_one_after_a_long_run_come_at_once() {
        assert_eq!(wait(&[]), (0, false));
        assert_eq!(wait(&[(0, 100)]), (0, false));
    }

    #[test]
    fn what_a_person_forgave_does_not_count() {
        let crashes: Vec<_> = (0..6).map(|i| (i, i + 1)).collect();
        let next =
            |forgiven| next(&ended_at(&crashes), &Key::new(Kind::Replica, "a/b/0".parse().unwrap()), Timestamp(6500), forgiven);
        assert!(next(Timestamp(0)).quarantined);
        assert_eq!((next(Timestamp(6000)).quarantined, next(Timestamp(6000)).not_before), (false, Timestamp(0)));
        assert!(next(Timestamp(5500)).not_before > Timestamp(6000), "the last came after");
    }

    #[test]
    fn short_runs_wait_longer_each_time() {
        let (one, two) = (wait(&[(0, 1)]).0, wait(&[(0, 1), (1, 2)]).0);
        assert!((80..=120).contains(&one) && (160..=240).contains(&two), "{one} {two}");
    }

    #[test]
    fn five_restarts_within_a_minute_are_enough() {
        let crashes: Vec<_> = (0..6).map(|i| (i, i + 1)).collect();
        assert!(!wait(&crashes[..5]).1);
        assert_eq!(wait(&crashes), (300_000, true));
        let slow: Vec<_> = (0..6).map(|i| (i * 20, i * 20 + 1)).collect();
        assert!(!wait(&slow).1);
    }
}
