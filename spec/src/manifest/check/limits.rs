//! How much one deployment can be.

use super::Findings;
use crate::manifest::Manifest;
use crate::problem::{Code, Problem};
use crate::yaml::Path;

/// Most services of one deployment.
pub(super) const SERVICES_MAX: usize = 1024;
/// Most replicas of one service: its overlay's block has room for them twice over.
pub(super) const REPLICAS_MAX: u32 = 400;
/// Most replicas of one deployment: its overlay's block of 4,096 addresses has room for them twice over.
const DEPLOYMENT_REPLICAS_MAX: u64 = 2000;

pub(super) fn check(manifest: &Manifest, findings: &mut Findings<'_>) {
    let here = Path::ROOT.key("services");
    let limit = |message: String| Problem::at("", message).code(Code::Limit).fix("make it several deployments");
    if manifest.services.is_empty() && findings.is_whole(here) {
        let problem = Problem::at("", "a deployment has at least one service").code(Code::MissingField);
        findings.add(here, problem.fix("add one, such as `web: {image: {name: nginx:alpine}}`"));
    }
    if manifest.services.len() > SERVICES_MAX {
        findings.add_at_key(here, limit(format!("{} services are more than {SERVICES_MAX}", manifest.services.len())));
    }
    // One service that alone has too many is told of where it says so.
    let most = |service: &crate::manifest::Service| u64::from(service.scale().most().min(REPLICAS_MAX));
    let replicas: u64 = manifest.services.values().map(most).sum();
    if replicas > DEPLOYMENT_REPLICAS_MAX {
        let message = format!("{replicas} replicas are more than the {DEPLOYMENT_REPLICAS_MAX} that one deployment may have");
        findings.add_at_key(here, limit(message));
    }
}

/// Two files cannot both say what one deployment is. Returns the manifests without those that others speak for.
pub(super) fn same_deployment<'a>(
    manifests: &[Option<&'a Manifest>],
    findings: &mut [Findings<'_>],
) -> Vec<Option<&'a Manifest>> {
    let here = Path::ROOT.key("deployment");
    let mut kept = manifests.to_vec();
    for (index, manifest) in manifests.iter().enumerate() {
        let Some(manifest) = manifest else { continue };
        let same = |other: &Option<&Manifest>| other.is_some_and(|other| other.deployment == manifest.deployment);
        if let Some(first) = manifests[..index].iter().position(same) {
            let related = findings[first].related(here, "the first one is here");
            let message = format!("two files describe the deployment `{}`", manifest.deployment);
            let problem = Problem { related: vec![related], ..Problem::at("", message).code(Code::DuplicateName) };
            findings[index].add(here, problem.fix("give one of them another name"));
            kept[index] = None;
        }
    }
    kept
}
