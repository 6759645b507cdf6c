//! How many replicas: bounds, and what they are counted by.

use super::limits::REPLICAS_MAX;
use super::{Findings, One};
use crate::manifest::{Adaptive, Protocol, Rtype, Scale, Targets};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    let scale = one.here.key("scale");
    if one.service.rtype != Rtype::Service || !findings.is_whole(scale.key("mode")) {
        return;
    }
    match one.service.scale.as_ref() {
        Some(Scale::Adaptive(adaptive)) => {
            most(adaptive.min, scale.key("min"), findings);
            adaptive.max.into_iter().for_each(|max| most(max, scale.key("max"), findings));
            bounds(adaptive, scale, findings);
            waking(one, adaptive, scale.key("min"), findings);
            targets(one, adaptive, scale.key("targets"), findings);
            growing(adaptive, scale, findings);
        }
        Some(Scale::Fixed(fixed)) => most(fixed.replicas, scale.key("replicas"), findings),
        Some(Scale::Manual(_)) | None => {}
    }
}

fn most(count: u32, path: Path<'_>, findings: &mut Findings<'_>) {
    if count > REPLICAS_MAX {
        let message = format!("{count} replicas are more than the {REPLICAS_MAX} that one service may have");
        findings.add(path, Problem::at("", message).code(Code::Limit).fix("make it several services"));
    }
}

fn bounds(adaptive: &Adaptive, scale: Path<'_>, findings: &mut Findings<'_>) {
    let (min, max) = (adaptive.min, adaptive.max());
    let here = scale.key("max");
    if max < min {
        let related = findings.related_if_said(scale.key("min"), "the least number is here");
        let message = match (&related, min) {
            (None, 1) => format!("`max` is {max}, which is less than `min`: that is 1 where it is not written"),
            _ => format!("`max` is {max}, which is less than `min`, {min}"),
        };
        let problem = Problem::at("", message).code(Code::Contradiction).fix(format!("make `max` at least {min}"));
        findings.add(here, Problem { related: related.into_iter().collect(), ..problem });
    } else if max == 0 {
        let problem = Problem::at("", "with `max: 0` there never is a replica").code(Code::Contradiction);
        findings.add(here, problem.fix("write `mode: fixed` and `replicas: 0` to stop the service"));
    }
}

/// Without replicas, only a request can ask for one.
fn waking(One { name, service, here }: One<'_>, adaptive: &Adaptive, min: Path<'_>, findings: &mut Findings<'_>) {
    let endpoints = here.key("endpoints");
    let wakes = service.endpoints.iter().any(|endpoint| endpoint.protocol != Protocol::Udp);
    if adaptive.min > 0 || adaptive.max() == 0 || wakes || !findings.is_whole(endpoints) {
        return;
    }
    let message = match service.endpoints.is_empty() {
        true => format!("with `min: 0` nothing would ever start `{name}`: it has no endpoint that could be asked"),
        false => {
            format!("with `min: 0` nothing would ever start `{name}`: datagrams, which are all its endpoints take, wake nothing")
        }
    };
    let problem = Problem::at("", message).code(Code::Unreachable);
    findings.add(min, problem.fix("write `min: 1`, or add an endpoint of http, https, websocket or tcp"));
}

fn targets(One { name, service, here }: One<'_>, adaptive: &Adaptive, targets: Path<'_>, findings: &mut Findings<'_>) {
    let (resources, endpoints) = (here.key("resources"), here.key("endpoints"));
    if let (Some(memory), None) = (adaptive.targets.memory, service.resources.memory)
        && findings.is_whole(resources)
    {
        let message = format!("{memory} of what? service `{name}` has no `resources.memory`");
        let problem = Problem::at("", message).code(Code::MissingField);
        findings.add(targets.key("memory"), problem.fix("say how much it may use, such as `resources: {memory: 512Mi}`"));
    }
    let Some(rps) = adaptive.targets.rps else { return };
    if rps == 0 {
        let problem = Problem::at("", "a target of 0 requests a second cannot be reached").code(Code::BadValue);
        findings.add(targets.key("rps"), problem.fix("write how many requests a second one replica is to serve"));
    } else if findings.is_whole(endpoints) && !service.endpoints.iter().any(|endpoint| endpoint.protocol.is_http()) {
        let message = format!("requests are counted at http, https and websocket endpoints, and service `{name}` has none");
        findings.add(targets.key("rps"), Problem::at("", message).code(Code::Unreachable).fix("add one, or leave `rps` out"));
    }
}

fn growing(adaptive: &Adaptive, scale: Path<'_>, findings: &mut Findings<'_>) {
    let grows = adaptive.max() > adaptive.min.max(1);
    if grows || adaptive.targets == Targets::default() || !findings.is_whole(scale) {
        return;
    }
    let max = findings.related_if_said(scale.key("max"), "the greatest number is here");
    let message = match max {
        Some(_) => "`targets` change nothing, because `max` leaves nothing to add",
        None => "`targets` change nothing, because without `max` there are never more than `min`",
    };
    let problem = Problem::at("", message).code(Code::Suspicious).warning().fix("write a `max` that is greater than `min`");
    findings.add_at_key(scale.key("targets"), Problem { related: max.into_iter().collect(), ..problem });
}
