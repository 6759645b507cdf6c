//! What is valid and this version cannot run: refused by name where a manifest is applied, a warning where it is checked.
//!
//! The doc comments of the model say `Unbuilt.`; what cannot be said there is said here.

use serde_json::Value;

use super::check::Findings;
use super::{Action, EnvValue, Expose, Manifest, Scale, Service};
use crate::problem::{Code, Problem};
use crate::shape::{Model, Shape, Struct};
use crate::yaml::Path;

/// Returns a problem for each part of the manifest that this version cannot run.
pub fn unbuilt(manifest: &Manifest) -> Vec<Problem> {
    let mut findings = Findings::without_text();
    tell(manifest, true, &mut |path, problem| findings.add(path, problem));
    findings.finish()
}

/// Warns of each part of the manifest that this version cannot run.
pub(super) fn warn(manifest: &Manifest, findings: &mut Findings<'_>) {
    let names_unbuilt = findings.names_unbuilt();
    tell(manifest, names_unbuilt, &mut |path, problem| findings.add(path, problem.warning()));
}

type Tell<'a> = &'a mut dyn FnMut(Path<'_>, Problem);

fn tell(manifest: &Manifest, names_unbuilt: bool, tell: Tell<'_>) {
    if names_unbuilt {
        let value = serde_json::to_value(manifest).unwrap_or_default();
        look(&value, &Manifest::SHAPE, Path::ROOT, tell);
    }
    for (name, service) in &manifest.services {
        let services = Path::ROOT.key("services");
        let here = services.key(name);
        adaptive(service, here, tell);
        internal(service, here, tell);
        secrets(service, here, tell);
        tls_waits(service, here, tell);
    }
}

fn problem(what: &str) -> Problem {
    let message = format!("{what} is part of the language, but this version of Stead cannot run it yet");
    Problem::at("", message).code(Code::Unbuilt)
}

fn look(value: &Value, shape: &Shape, path: Path<'_>, tell: Tell<'_>) {
    match (shape, value) {
        (Shape::Choice(choice), Value::String(text)) if choice.words.iter().any(|word| word.name == text && word.unbuilt) => {
            tell(path, problem(&format!("`{}: {text}`", path.name().unwrap_or_default())));
        }
        (Shape::List(of), Value::Array(items)) => {
            items.iter().enumerate().for_each(|(index, item)| look(item, of, path.index(index), tell));
        }
        (Shape::Map(map), Value::Object(entries)) => {
            entries.iter().for_each(|(key, value)| look(value, map.value, path.key(key), tell));
        }
        (Shape::Struct(inner), Value::Object(fields)) => structure(fields, inner, path, tell),
        _ => {}
    }
}

fn structure(fields: &serde_json::Map<String, Value>, shape: &Struct, path: Path<'_>, tell: Tell<'_>) {
    let variant = shape.union.and_then(|union| Some((union, union.variant(fields.get(union.tag)?.as_str()?)?)));
    if let Some((union, variant)) = variant {
        if variant.unbuilt {
            tell(path.key(union.tag), problem(&format!("`{}: {}`", union.tag, variant.name)));
        }
        match union.content {
            Some(content) => {
                if let Some(value) = fields.get(content) {
                    look(value, &Shape::Struct(variant.fields), path.key(content), tell);
                }
            }
            None => structure(fields, variant.fields, path, tell),
        }
    }
    for field in shape.fields {
        let Some(value) = fields.get(field.name) else { continue };
        let here = path.key(field.name);
        if field.unbuilt {
            let value = value.as_bool().map(|value| format!(": {value}")).unwrap_or_default();
            tell(here, problem(&format!("`{}{value}`", field.name)));
        } else {
            look(value, field.shape, here, tell);
        }
    }
}

/// Between two equal bounds nothing needs to be measured.
fn adaptive(service: &Service, here: Path<'_>, tell: Tell<'_>) {
    let Scale::Adaptive(adaptive) = service.scale() else { return };
    let scale = here.key("scale");
    if adaptive.max() > adaptive.min.max(1) {
        let fix = "make `max` the same as `min`, or write `mode: fixed` with `replicas`";
        tell(scale.key("max"), problem("scaling by load").fix(fix));
    } else if adaptive.min == 0 {
        tell(scale.key("min"), problem("scaling to zero"));
    }
}

fn internal(service: &Service, here: Path<'_>, tell: Tell<'_>) {
    let endpoints = here.key("endpoints");
    for (index, _) in service.endpoints.iter().enumerate().filter(|(_, endpoint)| endpoint.expose == Expose::Internal) {
        let what = "an endpoint without `expose: public`";
        let fix = "write `expose: public`, or leave the endpoint out: services reach each other as <service>.global without one";
        tell(endpoints.index(index).key("expose"), problem(what).fix(fix));
    }
}

fn secrets(service: &Service, here: Path<'_>, tell: Tell<'_>) {
    let env = here.key("env");
    for (name, _) in service.env.iter().filter(|(_, value)| matches!(value, EnvValue::Secret(_))) {
        tell(env.key(name), problem("`$S:`").fix("keep it in the node's environment file, and write `$E:`"));
    }
}

fn tls_waits(service: &Service, here: Path<'_>, tell: Tell<'_>) {
    let init = here.key("init");
    let steps = init.key("steps");
    for (index, step) in service.init.steps.iter().enumerate() {
        if matches!(&step.action, Action::WaitHttp(wait) if wait.url.is_tls()) {
            let step = steps.index(index);
            let fix = "ask by http:// where it answers that too, or wait for its port with `init.wait_tcp`";
            tell(step.key("with").key("url"), problem("waiting for a page over https").fix(fix));
        }
    }
}
