//! Init steps: unique names, hosts that can be there.

use std::collections::BTreeMap;

use super::{Findings, One, depends};
use crate::manifest::{Action, Manifest};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

pub(super) fn check(manifest: &Manifest, one: One<'_>, findings: &mut Findings<'_>) {
    let init = one.here.key("init");
    let steps = init.key("steps");
    let mut ids = BTreeMap::new();
    for (index, step) in one.service.init.steps.iter().enumerate() {
        let here = steps.index(index);
        let inputs = here.key("with");
        if let Some(first) = ids.insert(&step.id, index) {
            let first = steps.index(first);
            let related = vec![findings.related(first.key("id"), "the first one is here")];
            let problem = Problem::at("", format!("two init steps have the id `{}`", step.id)).code(Code::DuplicateName);
            findings.add(here.key("id"), Problem { related, ..problem.fix("give one of them another id") });
        }
        if step.timeout.0 == 0 {
            let problem = Problem::at("", "a timeout of 0 leaves no time for the step").code(Code::BadValue);
            findings.add(here.key("timeout"), problem.fix("make it more than 0"));
        }
        match &step.action {
            Action::Run(run) if run.command.is_empty() && findings.is_whole(inputs) => {
                let problem = Problem::at("", "the step has an empty command").code(Code::BadValue);
                findings.add(inputs.key("command"), problem.fix("write what is to run, such as `command: /app/migrate`"));
            }
            Action::Run(_) => {}
            Action::WaitTcp(wait) => host(manifest, one, &wait.host, inputs.key("host"), findings),
            Action::WaitHttp(wait) => host(manifest, one, host_of(&wait.url), inputs.key("url"), findings),
        }
    }
}

/// Returns the host of a URL of http.
fn host_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").unwrap_or(url);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[').and_then(|address| address.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Checks the host that a step waits for.
fn host(manifest: &Manifest, one: One<'_>, host: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    let host = host.to_ascii_lowercase();
    if let Some(name) = host.strip_suffix(".global") {
        global(manifest, one, name, path, findings);
    } else if let Some(name) = host.strip_suffix(".service") {
        own(manifest, one, name, path, findings);
    } else if matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1") {
        let message = format!("`{host}` is the replica itself, in which nothing runs before its init steps are done");
        let problem = Problem::at("", message).code(Code::Suspicious).warning();
        findings.add(path, problem.fix("name another service, as `<service>.global`"));
    } else if manifest.services.contains_key(host.as_str()) {
        let message = format!("services have no short names: `{host}` is looked for outside of the deployment");
        let problem = Problem::at("", message).code(Code::Suspicious).warning();
        findings.add(path, problem.fix(format!("write `{host}.global`")));
    }
}

/// A name of the deployment's network.
fn global(manifest: &Manifest, one: One<'_>, name: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    let services = Path::ROOT.key("services");
    if *one.name == name {
        let message = format!("service `{name}` would wait for itself before it starts");
        findings.add(path, Problem::at("", message).code(Code::Unreachable).fix("leave the step out, or name another service"));
        return;
    }
    let Some((name, target)) = manifest.services.get_key_value(name) else {
        return depends::unknown(manifest, name, path, findings);
    };
    for side in [one, One { name, service: target, here: services.key(name) }] {
        if !side.service.network.overlays.global.enabled {
            let (network, overlays, global);
            network = side.here.key("network");
            overlays = network.key("overlays");
            global = overlays.key("global");
            let related = vec![findings.related(global.key("enabled"), format!("`{}` leaves it here", side.name))];
            let message = format!("`{name}.global` cannot be reached: `{}` is not in the deployment's network", side.name);
            let problem = Problem::at("", message).code(Code::Unreachable);
            findings.add(path, Problem { related, ..problem.fix("leave `enabled: false` out") });
            return;
        }
    }
}

/// A name of a service's own network, in which only its own replicas are unless it is not isolated.
fn own(manifest: &Manifest, one: One<'_>, name: &str, path: Path<'_>, findings: &mut Findings<'_>) {
    if *one.name == name {
        return;
    }
    match manifest.services.get(name) {
        None => depends::unknown(manifest, name, path, findings),
        Some(target) if target.network.overlays.service.isolated => {
            let message = format!("`{name}.service` is known to the replicas of `{name}` alone");
            findings.add(path, Problem::at("", message).code(Code::Unreachable).fix(format!("write `{name}.global`")));
        }
        Some(_) => {}
    }
}
