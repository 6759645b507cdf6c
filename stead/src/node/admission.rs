//! What this node says to a manifest beyond the language's own rules.

use api::server::hooks::Admission;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use spec::manifest::{EnvValue, Manifest, VariableName};
use spec::problem::{Code, Problem};

use crate::edge::Edge;

/// Warns of variables that the node does not have: a start would fail for want of them.
pub(super) struct EnvAdmission(pub(super) Edge);

impl Admission for EnvAdmission {
    fn problems<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Vec<Problem>> {
        async move {
            let asked: Vec<_> = asked(manifest).collect();
            let names: Vec<&str> = asked.iter().map(|(_, variable)| &***variable).collect();
            match self.0.environment.missing(names.into_iter()).await {
                Ok(missing) => {
                    let unset = asked.into_iter().filter(|(_, variable)| missing.contains(&***variable));
                    unset.map(|(path, variable)| self.problem(path, variable)).collect()
                }
                Err(why) => vec![Problem::at("services", why).code(Code::UnsetVariable).warning()],
            }
        }
        .boxed()
    }
}

impl EnvAdmission {
    fn problem(&self, path: String, variable: &VariableName) -> Problem {
        let message = format!("this node has no variable `{variable}`; until it has, the service does not start");
        let fix = format!("add `{variable}=…` to {}", self.0.environment.file().display());
        Problem::at(path, message).code(Code::UnsetVariable).fix(fix).warning()
    }
}

/// Returns all variables of the node that a manifest asks for, each with its path.
fn asked(manifest: &Manifest) -> impl Iterator<Item = (String, &VariableName)> {
    manifest.services.iter().flat_map(|(service, definition)| {
        definition.env.iter().filter_map(move |(name, value)| match value {
            EnvValue::FromNode(variable) => Some((format!("services.{service}.env.{name}"), variable)),
            EnvValue::Literal(_) | EnvValue::Secret(_) => None,
        })
    })
}
