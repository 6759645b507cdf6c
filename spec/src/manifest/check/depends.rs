//! What must be there before a service starts: names, conditions that can never come. Cycles have their own file.

use std::collections::BTreeMap;

use super::{Findings, One, cycles};
use crate::manifest::{Condition, Dependency, Manifest, Rtype, Scale, ServiceName};
use crate::problem::{Code, Problem};
use crate::words::{either, quoted};
use crate::yaml::Path;

pub(super) fn check(manifest: &Manifest, findings: &mut Findings<'_>) {
    let services = Path::ROOT.key("services");
    for (name, service) in &manifest.services {
        let here = services.key(name);
        let depends = here.key("depends");
        let mut seen: BTreeMap<&ServiceName, usize> = BTreeMap::new();
        for (index, dependency) in service.depends.iter().enumerate() {
            let path = depends.index(index);
            timeout(dependency, path, findings);
            if let Some(first) = seen.get(&dependency.service) {
                twice(dependency, depends.index(*first), path, findings);
                continue;
            }
            seen.insert(&dependency.service, index);
            match manifest.services.get(&dependency.service) {
                _ if dependency.service == *name => itself(name, path, findings),
                Some(target) => {
                    let target = One { name: &dependency.service, service: target, here: services.key(&dependency.service) };
                    condition(dependency, target, path, findings);
                }
                None => unknown(manifest, &dependency.service, path.key("service"), findings),
            }
        }
    }
    cycles::check(manifest, findings);
}

/// A service that there is not. One that there is, and could not be read, is known.
pub(super) fn unknown(manifest: &Manifest, name: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    let services = Path::ROOT.key("services");
    // To find out takes its time.
    if findings.has_room() && !findings.is_said(services.key(name)) {
        let problem = no_service(manifest, name, findings);
        findings.add(path, problem);
    }
}

/// Most services that are listed where one is meant.
const LISTED_MAX: usize = 8;

fn no_service(manifest: &Manifest, name: &str, findings: &Findings<'_>) -> Problem {
    let names = || manifest.services.keys().map(|name| &**name);
    let problem = Problem::at("", format!("there is no service `{name}` in this deployment")).code(Code::UnknownService);
    let few = manifest.services.len() <= LISTED_MAX;
    match findings.nearest(name, names()) {
        Some(near) => problem.fix(format!("did you mean `{near}`?")),
        None if few => problem.fix(format!("name {}, or add `{name}` to the services", either(&quoted(names())))),
        None => problem.fix(format!("name one that there is, or add `{name}` to the services")),
    }
}

fn itself(name: &ServiceName, path: Path<'_>, findings: &mut Findings<'_>) {
    let problem = Problem::at("", format!("service `{name}` waits for itself before it starts")).code(Code::Cycle);
    findings.add(path.key("service"), problem.fix("leave it out, or name another service"));
}

fn twice(dependency: &Dependency, first: Path<'_>, path: Path<'_>, findings: &mut Findings<'_>) {
    let related = vec![findings.related(first.key("service"), "the first one is here")];
    let problem = Problem::at("", format!("`{}` is waited for twice", dependency.service)).code(Code::DuplicateName);
    let fix = "keep one: `ready` waits for `healthy` and `started` too";
    findings.add(path.key("service"), Problem { related, ..problem.fix(fix) });
}

fn timeout(dependency: &Dependency, path: Path<'_>, findings: &mut Findings<'_>) {
    if dependency.timeout.0 == 0 {
        let problem = Problem::at("", "a timeout of 0 leaves no time to wait").code(Code::BadValue);
        findings.add(path.key("timeout"), problem.fix("make it more than 0, or leave the dependency out"));
    }
}

/// What is waited for must be able to come, and better not only by chance.
fn condition(dependency: &Dependency, target: One<'_>, path: Path<'_>, findings: &mut Findings<'_>) {
    let problem = match target.service.rtype {
        Rtype::Job | Rtype::Cron => Some(of_a_job(dependency, target, findings)),
        Rtype::Service if dependency.condition == Condition::Healthy && target.service.health.is_none() => {
            no_health(target, findings)
        }
        Rtype::Service => may_be_none(target, findings),
    };
    let Some(problem) = problem else { return };
    let at = if findings.is_said(path.key("condition")) { path.key("condition") } else { path.key("service") };
    findings.add(at, problem);
}

fn of_a_job(dependency: &Dependency, target: One<'_>, findings: &Findings<'_>) -> Problem {
    let (name, kind) = (target.name, target.service.rtype);
    let problem = match dependency.condition {
        Condition::Started => {
            let message = format!("this waits until something starts the {kind} `{name}`");
            Problem::at("", message).code(Code::Suspicious).warning()
        }
        condition => {
            let message = format!("`{name}` can never become {condition}: a {kind} runs to its end");
            Problem::at("", message).code(Code::Unreachable)
        }
    };
    let related = vec![findings.related(target.here.key("rtype"), format!("`{name}` is a {kind}"))];
    Problem { related, ..problem.fix("leave it out, or do what it does in an init step") }
}

fn no_health(target: One<'_>, findings: &Findings<'_>) -> Option<Problem> {
    let name = target.name;
    findings.is_whole(target.here.key("health")).then(|| {
        let related = vec![findings.related(target.here, format!("`{name}` has no `health`"))];
        let problem =
            Problem::at("", format!("`{name}` can never become healthy: it has no health check")).code(Code::Unreachable);
        Problem { related, ..problem.fix(format!("give `{name}` a `health`, or wait until it is `ready`")) }
    })
}

/// A service that need not have a replica.
pub(super) fn may_be_none(target: One<'_>, findings: &Findings<'_>) -> Option<Problem> {
    let (field, has) = match target.service.scale.as_ref()? {
        Scale::Adaptive(adaptive) if adaptive.min == 0 => ("min", "may have"),
        Scale::Fixed(fixed) if fixed.replicas == 0 => ("replicas", "has"),
        _ => return None,
    };
    let (name, scale) = (target.name, target.here.key("scale"));
    let related = vec![findings.related(scale.key(field), "it needs none")];
    let message = format!("`{name}` {has} no replica, and waiting for it starts none");
    let problem = Problem::at("", message).code(Code::Suspicious).warning();
    Some(Problem { related, ..problem.fix(format!("let `{name}` have at least one replica, or leave it out")) })
}
