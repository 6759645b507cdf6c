//! Checks across fields, services and manifests: what types cannot say. Each check names all the places it is about.
//!
//! To add one: a function in the file of its subject, called from there. It tells [`Findings`] the path; places follow.

mod container;
mod cycles;
mod depends;
mod endpoints;
mod findings;
mod health;
mod init;
mod limits;
mod rollout;
mod rtype;
mod scale;
mod suspicious;
mod volumes;

use super::{Manifest, Service, ServiceName, read, unbuilt};
use crate::problem::{Code, Problem, Severity};
use crate::yaml::Path;
pub(super) use findings::Findings;

/// A manifest as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Name of the file, as it is to be shown.
    pub name: &'a str,
    pub text: &'a str,
}

/// What came of checking one source.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// The manifest, when nothing but warnings speaks against it.
    pub manifest: Option<Manifest>,
    /// Errors and warnings, in the order of the text.
    pub problems: Vec<Problem>,
}

impl Checked {
    /// Returns it as for applying: what this version cannot run is an error there.
    pub fn to_run(mut self) -> Checked {
        for problem in self.problems.iter_mut().filter(|problem| problem.code == Code::Unbuilt) {
            problem.severity = Severity::Error;
        }
        Checked { manifest: self.manifest.filter(|_| !self.problems.iter().any(Problem::is_error)), ..self }
    }
}

/// Reads and checks a manifest; returns all that is wrong with it, each with its place in `text`.
pub fn parse(text: &str) -> Result<Manifest, Vec<Problem>> {
    let Checked { manifest, problems } = check_file(text);
    manifest.ok_or_else(|| problems.into_iter().filter(Problem::is_error).collect())
}

/// Reads and checks a manifest, warnings and what this version cannot run included.
pub fn check_file(text: &str) -> Checked {
    check_all(&[Source { name: "", text }], &[]).pop().unwrap_or_default()
}

/// Reads and checks manifests that are to run beside each other, and beside `others`, which are there already.
pub fn check_all(sources: &[Source<'_>], others: &[&Manifest]) -> Vec<Checked> {
    let readings: Vec<_> = sources.iter().map(|source| read(source.text)).collect();
    let mut findings: Vec<_> = sources.iter().zip(&readings).map(|(source, reading)| Findings::of(source, reading)).collect();
    for (findings, reading) in findings.iter_mut().zip(&readings) {
        if let Some(manifest) = &reading.manifest {
            alone(manifest, findings);
        }
    }
    let read: Vec<_> = readings.iter().map(|reading| reading.manifest.as_ref()).collect();
    let first_of_name = limits::same_deployment(&read, &mut findings);
    endpoints::together(&first_of_name, others, &mut findings);
    let problems: Vec<_> = findings.into_iter().map(Findings::finish).collect();
    let join = |(reading, problems): (super::Reading, Vec<Problem>)| {
        let wrong = problems.iter().any(Problem::is_error);
        Checked { manifest: reading.manifest.filter(|_| !wrong), problems }
    };
    readings.into_iter().zip(problems).map(join).collect()
}

/// Returns the endpoints of a checked manifest that want what those of `others` have, with their places in its text.
pub fn clashes(text: &str, manifest: &Manifest, others: &[&Manifest]) -> Vec<Problem> {
    let mut findings = Findings::without_text();
    endpoints::together(&[Some(manifest)], others, std::slice::from_mut(&mut findings));
    if findings.finish().is_empty() {
        return Vec::new();
    }
    // Only now are the places worth another look at the text.
    let checked = check_all(&[Source { name: "", text }], others).pop().unwrap_or_default();
    checked.problems.into_iter().filter(|problem| problem.code == Code::Clash).collect()
}

/// Checks a manifest of which there is no text; the errors have no places.
pub fn validate(manifest: &Manifest) -> Vec<Problem> {
    let mut findings = Findings::without_text();
    alone(manifest, &mut findings);
    endpoints::together(&[Some(manifest)], &[], std::slice::from_mut(&mut findings));
    findings.finish()
}

/// One service, and where it stands.
#[derive(Clone, Copy)]
struct One<'a> {
    name: &'a ServiceName,
    service: &'a Service,
    here: Path<'a>,
}

/// Checks one manifest by itself.
fn alone(manifest: &Manifest, findings: &mut Findings<'_>) {
    limits::check(manifest, findings);
    if manifest.services.len() > limits::SERVICES_MAX {
        return;
    }
    depends::check(manifest, findings);
    let services = Path::ROOT.key("services");
    for (name, service) in &manifest.services {
        let one = One { name, service, here: services.key(name) };
        rtype::check(one, findings);
        container::check(one, findings);
        volumes::check(one, findings);
        init::check(manifest, one, findings);
        endpoints::check(one, findings);
        health::check(one, findings);
        scale::check(one, findings);
        rollout::check(one, findings);
        suspicious::check(one, findings);
    }
    unbuilt::warn(manifest, findings);
}
