//! Init steps: unique names, hosts that can be there. Services that wait for each other are told of with `depends`.

use std::collections::BTreeMap;

use super::{Findings, One, depends};
use crate::manifest::{Action, Manifest, OnFailure, Rtype, ServiceName, Step};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

pub(super) fn check(manifest: &Manifest, one: One<'_>, findings: &mut Findings<'_>) {
    let init = one.here.key("init");
    let steps = init.key("steps");
    let mut ids = BTreeMap::new();
    for (index, step) in one.service.init.steps.iter().enumerate() {
        let here = steps.index(index);
        if let Some(first) = ids.insert(&step.id, index) {
            let first = steps.index(first);
            let related = vec![findings.related(first.key("id"), "the first one is here")];
            let problem = Problem::at("", format!("two init steps have the id `{}`", step.id)).code(Code::DuplicateName);
            findings.add(here.key("id"), Problem { related, ..problem.fix("give one of them another id") });
        }
        fields(step, here, findings);
        if let Some((input, host)) = host(&step.action) {
            reachable(manifest, one, step, &host, here.key("with").key(input), findings);
        }
    }
}

fn fields(step: &Step, here: Path<'_>, findings: &mut Findings<'_>) {
    if step.timeout.0 == 0 {
        let problem = Problem::at("", "a timeout of 0 leaves no time for the step").code(Code::BadValue);
        findings.add(here.key("timeout"), problem.fix("make it more than 0"));
    }
    let inputs = here.key("with");
    if matches!(&step.action, Action::Run(run) if run.command.is_empty()) && findings.is_whole(inputs) {
        let problem = Problem::at("", "the step has an empty command").code(Code::BadValue);
        findings.add(inputs.key("command"), problem.fix("write what is to run, such as `command: /app/migrate`"));
    }
}

/// Returns the input that names what a step waits for, and the host in it, in lower case.
pub(super) fn host(action: &Action) -> Option<(&'static str, String)> {
    match action {
        Action::WaitTcp(wait) => Some(("host", wait.host.to_ascii_lowercase())),
        Action::WaitHttp(wait) => Some(("url", wait.url.host().to_ascii_lowercase())),
        Action::Run(_) => None,
    }
}

/// Returns the service that a host of the deployment's networks belongs to.
pub(super) fn service(host: &str) -> Option<&str> {
    host.strip_suffix(".global").or_else(|| host.strip_suffix(".service"))
}

/// Checks the host that a step waits for.
fn reachable(manifest: &Manifest, one: One<'_>, step: &Step, host: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    if service(host).is_some_and(|name| *one.name == name) {
        itself(one.name, step, path, findings);
    } else if let Some(name) = host.strip_suffix(".global") {
        global(manifest, one, name, path, findings);
    } else if let Some(name) = host.strip_suffix(".service") {
        own(manifest, name, path, findings);
    } else if matches!(host, "localhost" | "127.0.0.1" | "::1") {
        let message = format!("`{host}` is the replica itself, in which nothing runs before its init steps are done");
        let problem = Problem::at("", message).code(Code::Suspicious).warning();
        findings.add(path, problem.fix("name another service, as `<service>.global`"));
    } else if manifest.services.contains_key(host) {
        let message = format!("services have no short names: `{host}` is looked for outside of the deployment");
        let problem = Problem::at("", message).code(Code::Suspicious).warning();
        findings.add(path, problem.fix(format!("write `{host}.global`")));
    }
}

/// The service's own name is known once a replica is ready. A step that may fail looks for one, and goes on without.
fn itself(name: &ServiceName, step: &Step, path: Path<'_>, findings: &mut Findings<'_>) {
    if step.on_failure == OnFailure::Fail {
        let message = format!("service `{name}` would wait for itself before it starts");
        findings.add(path, Problem::at("", message).code(Code::Unreachable).fix("leave the step out, or name another service"));
    }
}

/// A name of the deployment's network.
fn global(manifest: &Manifest, one: One<'_>, name: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    let services = Path::ROOT.key("services");
    let Some((name, service)) = manifest.services.get_key_value(name) else {
        return depends::unknown(manifest, name, path, findings);
    };
    let target = One { name, service, here: services.key(name) };
    let outside = [one, target].into_iter().find(|side| !side.service.network.overlays.global.enabled);
    let problem = match outside {
        Some(side) => Some(unreachable(name, side, findings)),
        None if service.rtype == Rtype::Service => depends::may_be_none(target, findings),
        None => Some(at_times(target, findings)),
    };
    if let Some(problem) = problem {
        findings.add(path, problem);
    }
}

/// One side is not in the network.
fn unreachable(name: &ServiceName, side: One<'_>, findings: &Findings<'_>) -> Problem {
    let network = side.here.key("network");
    let overlays = network.key("overlays");
    let related = vec![findings.related(overlays.key("global").key("enabled"), format!("`{}` leaves it here", side.name))];
    let message = format!("`{name}.global` cannot be reached: `{}` is not in the deployment's network", side.name);
    let problem = Problem::at("", message).code(Code::Unreachable).fix("leave `enabled: false` out");
    Problem { related, ..problem }
}

/// What runs to its end answers only now and then.
fn at_times(target: One<'_>, findings: &Findings<'_>) -> Problem {
    let (name, kind) = (target.name, target.service.rtype);
    let related = vec![findings.related(target.here.key("rtype"), format!("`{name}` is a {kind}"))];
    let problem = Problem::at("", format!("`{name}.global` answers only while a run of the {kind} `{name}` goes on"));
    let problem = problem.code(Code::Suspicious).warning().fix("leave it out, or do what it does in an init step");
    Problem { related, ..problem }
}

/// A name of another service's own network, in which only that one's replicas are unless it is not isolated.
fn own(manifest: &Manifest, name: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    match manifest.services.get(name) {
        None => depends::unknown(manifest, name, path, findings),
        Some(target) if target.network.overlays.service.isolated => {
            let message = format!("`{name}.service` is known to the replicas of `{name}` alone");
            findings.add(path, Problem::at("", message).code(Code::Unreachable).fix(format!("write `{name}.global`")));
        }
        Some(_) => {}
    }
}
