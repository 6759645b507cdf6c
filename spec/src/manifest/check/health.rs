//! Health checks: ports they can ask, times that fit.

use super::{Findings, One};
use crate::manifest::{Check, Health, Protocol, Rtype};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    let Some(health) = one.service.health.as_ref().filter(|_| one.service.rtype == Rtype::Service) else { return };
    let here = one.here.key("health");
    port(one, health, here.key("check"), findings);
    command(health, here.key("check"), findings);
    times(health, here, findings);
}

/// A check without a port takes that of the first endpoint.
fn port(One { name, service, here }: One<'_>, health: &Health, check: Path<'_>, findings: &mut Findings<'_>) {
    let endpoints = here.key("endpoints");
    let asks_port = matches!(health.check, Check::Tcp(_) | Check::Http(_)) && health.check.port().is_none();
    if !asks_port || !findings.is_whole(endpoints) || !findings.is_whole(check) {
        return;
    }
    let fix = "add `port`, the port on which the container listens";
    match service.endpoints.first() {
        None => {
            let message = format!("the check has no `port`, and service `{name}` has no endpoint to take it from");
            findings.add(check, Problem::at("", message).code(Code::MissingField).fix(fix));
        }
        Some(first) if first.protocol == Protocol::Udp => {
            let first = endpoints.index(0);
            let related = vec![findings.related(first.key("protocol"), "datagrams are not accepted as connections are")];
            let message = "the check has no `port`, and the first endpoint, whose port it would take, is udp";
            let problem = Problem::at("", message).code(Code::Unreachable).fix(fix);
            findings.add(check, Problem { related, ..problem });
        }
        Some(_) => {}
    }
}

fn command(health: &Health, check: Path<'_>, findings: &mut Findings<'_>) {
    if let Check::Command(command) = &health.check
        && command.command.is_empty()
        && findings.is_whole(check)
    {
        let problem = Problem::at("", "the check has an empty command").code(Code::BadValue);
        findings.add(check.key("command"), problem.fix("write what is to run, such as `command: pg_isready`"));
    }
}

fn times(health: &Health, here: Path<'_>, findings: &mut Findings<'_>) {
    for (field, zero, message) in [
        ("interval", health.interval.0 == 0, "an interval of 0 leaves no time between two checks"),
        ("timeout", health.timeout.0 == 0, "a timeout of 0 leaves no time to answer"),
        ("retries", health.retries == 0, "with 0 retries it would be unhealthy before the first failure"),
    ] {
        if zero {
            findings.add(here.key(field), Problem::at("", message).code(Code::BadValue).fix("make it more than 0"));
        }
    }
    if health.timeout > health.interval && health.interval.0 > 0 {
        slow(health, here, findings);
    }
}

/// A check may take longer than until the next one.
fn slow(health: &Health, here: Path<'_>, findings: &mut Findings<'_>) {
    let message = format!("one check may take {}, and the next one is due after {}", health.timeout, health.interval);
    let problem = Problem::at("", message).code(Code::Suspicious).warning().fix("make `timeout` at most `interval`");
    let (timeout, interval) = (here.key("timeout"), here.key("interval"));
    if findings.is_said(timeout) {
        let related = findings.related_if_said(interval, "the interval is here");
        findings.add(timeout, Problem { related: related.into_iter().collect(), ..problem });
    } else {
        findings.add(interval, problem);
    }
}
