//! How long to wait before trying again.

use spec::kind::image::Failure;
use spec::units::{Duration, Timestamp};
use spec::{Key, hash};

/// The first wait.
const FIRST: Duration = Duration(100);
/// The longest wait.
const LONGEST: Duration = Duration::seconds(30);
/// The wait after a failure that trying again will hardly mend.
const PERMANENT: Duration = Duration::seconds(60);

/// Returns the wait after `failures` in a row: from 100 ms doubling to 30 s, give or take a fifth that depends on who waits,
/// so that those who failed together do not try together.
pub(crate) fn after(failures: u64, who: &Key) -> Duration {
    if failures == 0 {
        return Duration(0);
    }
    let doubled = FIRST.0 << (failures - 1).min(12);
    spread(Duration(doubled.min(LONGEST.0)), failures, who)
}

/// Returns when to try again after `failure`; `None` when nothing failed, or when that lies in the future, as after the clock was
/// set back.
pub(crate) fn retry_at(failure: Option<&Failure>, who: &Key, now: Timestamp) -> Option<Timestamp> {
    failure.filter(|failure| failure.at <= now).map(|failure| {
        let wait = if failure.permanent { spread(PERMANENT, failure.attempts, who) } else { after(failure.attempts, who) };
        failure.at.after(wait)
    })
}

fn spread(wait: Duration, failures: u64, who: &Key) -> Duration {
    let jitter = hash::number(&[who.kind.as_str(), who.name.as_str(), &failures.to_string()]) % 401;
    Duration(wait.0 * (800 + jitter) / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use spec::Kind;

    #[test]
    fn waits_double_to_half_a_minute_and_differ_by_who_waits() {
        let key = |name: &str| Key::new(Kind::Image, name.parse().unwrap());
        assert_eq!(after(0, &key("a")), Duration(0));
        for (failures, middle) in [(1, 100), (2, 200), (5, 1600), (9, 25_600), (10, 30_000), (1000, 30_000)] {
            let wait = after(failures, &key("a")).0;
            assert!((middle * 8 / 10..=middle * 12 / 10).contains(&wait), "{failures}: {wait}");
        }
        let waits: std::collections::BTreeSet<_> = (0..20).map(|i| after(10, &key(&format!("n{i}")))).collect();
        assert!(waits.len() > 15);
    }
}
