//! Rollouts: fields that go with the strategy, and bounds within which a change can move.

use super::{Findings, One};
use crate::manifest::{Rollout, Rtype, Strategy};
use crate::problem::{Code, Problem};

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    let here = one.here.key("rollout");
    if one.service.rtype != Rtype::Service || !findings.is_whole(here) {
        return;
    }
    strategy(one, findings);
    bounds(one, findings);
}

/// Returns the strategy, or what its absence means.
fn effective(One { service, .. }: One<'_>) -> Strategy {
    let has_volume = service.volumes.iter().any(|volume| volume.name.is_some());
    service.rollout.strategy.unwrap_or(if has_volume { Strategy::Recreate } else { Strategy::Rolling })
}

fn strategy(one: One<'_>, findings: &mut Findings<'_>) {
    let here = one.here.key("rollout");
    let (rollout, default) = (&one.service.rollout, Rollout::default());
    let strategy = effective(one);
    if rollout.strategy.is_none() && !findings.is_whole(one.here.key("volumes")) {
        return;
    }
    for (field, differs, goes_with) in [
        ("max_surge", rollout.max_surge != default.max_surge, Strategy::Rolling),
        ("max_unavailable", rollout.max_unavailable != default.max_unavailable, Strategy::Rolling),
        ("warmup", rollout.warmup != default.warmup, Strategy::BlueGreen),
    ] {
        let path = here.key(field);
        if strategy == goes_with || !differs {
            continue;
        }
        let related = findings.related_if_said(here.key("strategy"), format!("this is `{strategy}`"));
        let message = match related {
            Some(_) => format!("`{field}` goes with `strategy: {goes_with}`"),
            None => format!("`{field}` goes with `strategy: {goes_with}`; without `strategy` it is `{strategy}` here"),
        };
        let problem = Problem::at("", message).code(Code::MisplacedField);
        let problem = problem.fix(format!("leave it out, or write `strategy: {goes_with}`"));
        findings.add_at_key(path, Problem { related: related.into_iter().collect(), ..problem });
    }
}

fn bounds(one: One<'_>, findings: &mut Findings<'_>) {
    let here = one.here.key("rollout");
    let rollout = &one.service.rollout;
    if effective(one) != Strategy::Rolling || rollout.max_surge > 0 || rollout.max_unavailable > 0 {
        return;
    }
    let related = findings.related_if_said(here.key("max_unavailable"), "no replica may go before a new one is there");
    let message = "a change could never begin: `max_surge` and `max_unavailable` are both 0";
    let problem = Problem::at("", message).code(Code::Contradiction).label("no replica may be added");
    let problem = problem.fix("make one of them at least 1");
    findings.add(here.key("max_surge"), Problem { related: related.into_iter().collect(), ..problem });
}
