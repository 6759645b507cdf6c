//! Volumes: exactly one kind each, no two at one place, none that two revisions would share.

use std::collections::BTreeMap;

use super::{Findings, One};
use crate::manifest::{Rtype, Strategy, Volume};
use crate::problem::{Code, Problem};
use crate::yaml::Path;

/// Directories that the container's own system is in.
const RESERVED: [&str; 3] = ["dev", "proc", "sys"];

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    let here = one.here.key("volumes");
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for (index, volume) in one.service.volumes.iter().enumerate() {
        let path = here.index(index);
        source(volume, path, findings);
        let target = normal(&volume.target);
        if let Some(reserved) = reserved(&target) {
            let message = match reserved.as_str() {
                "/" => "a volume cannot stand for all files of a container".to_owned(),
                _ => format!("`{reserved}` of a container belongs to its system, and cannot be a volume"),
            };
            findings.add(path.key("target"), Problem::at("", message).code(Code::BadValue).fix("mount it at another place"));
        } else if let Some(first) = taken.get(&target) {
            let first = here.index(*first);
            let related = vec![findings.related(first.key("target"), "the first one is here")];
            let problem = Problem::at("", format!("two volumes are mounted at `{target}`")).code(Code::Clash);
            findings.add(path.key("target"), Problem { related, ..problem.fix("give one of them another `target`") });
        } else {
            taken.insert(target, index);
        }
    }
    strategy(one, here, findings);
}

/// It is either a volume or something of the node.
fn source(volume: &Volume, here: Path<'_>, findings: &mut Findings<'_>) {
    match (&volume.name, &volume.bind) {
        (Some(_), Some(_)) => {
            let related = vec![findings.related(here.key("name"), "a volume of the service")];
            let problem = Problem::at("", "a volume has a `name` or a `bind`, not both").code(Code::Contradiction);
            let problem = problem.label("a path of the node").fix("leave one of them out");
            findings.add(here.key("bind"), Problem { related, ..problem });
        }
        (None, None) if findings.is_whole(here) => {
            let problem = Problem::at("", "a volume needs `name` or `bind`").code(Code::MissingField);
            findings.add(here, problem.fix("add `name: data` for one that Stead keeps, or `bind: /path` for a file of the node"));
        }
        (_, Some(_)) if volume.read_only == Some(false) => {
            let related = vec![findings.related(here.key("bind"), "a path of the node")];
            let message = "files of the node are always read-only in containers";
            let problem = Problem::at("", message).code(Code::Contradiction);
            findings
                .add(here.key("read_only"), Problem { related, ..problem.fix("leave it out, or use a volume with a `name`") });
        }
        _ => {}
    }
}

/// Returns an absolute path without what means nothing in it.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn reserved(target: &str) -> Option<String> {
    let first = target.split('/').nth(1).unwrap_or_default();
    (first.is_empty() || RESERVED.contains(&first)).then(|| format!("/{first}"))
}

/// Old and new replicas that run at the same time would both write to one volume.
fn strategy(One { service, here, .. }: One<'_>, volumes: Path<'_>, findings: &mut Findings<'_>) {
    let Some(strategy @ (Strategy::Rolling | Strategy::BlueGreen)) = service.rollout.strategy else { return };
    let named = service.volumes.iter().enumerate().find_map(|(index, volume)| Some((index, volume.name.as_ref()?)));
    let Some((index, name)) = named.filter(|_| service.rtype == Rtype::Service) else { return };
    let (volume, rollout) = (volumes.index(index), here.key("rollout"));
    let related = vec![findings.related(volume.key("name"), "the volume is here")];
    let message = format!("with `{strategy}` old and new replicas would use the volume `{name}` at the same time");
    let problem = Problem::at("", message).code(Code::Contradiction);
    findings.add(rollout.key("strategy"), Problem { related, ..problem.fix("write `strategy: recreate`, or leave it out") });
}
