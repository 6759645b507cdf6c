//! Fields and words that the language does not have: what was meant by them.

use super::Here;
use super::structure::{Chosen, MERGE};
use super::words;
use crate::manifest::{Manifest, Service};
use crate::problem::{Code, Problem};
use crate::shape::{Model, Shape, Struct};
use crate::words::{alike, either, nearest, quoted as all_quoted};
use crate::yaml::{Entry, quoted};

/// A field that the struct does not have, and the one that was meant by it.
pub(super) struct Unknown {
    pub(super) problem: Problem,
    pub(super) meant: Option<&'static str>,
}

/// Names that others use: in which struct, the name in any spelling, the field that is meant by it, and the way out.
const FOREIGN: &[(&str, &str, &str, &str)] = &[
    ("Manifest", "api_version", "version", "write `version: v1`; this is no manifest of Kubernetes"),
    ("Manifest", "kind", "", "leave it out; this is no manifest of Kubernetes"),
    ("Manifest", "metadata", "deployment", "write `deployment:` and the name"),
    ("Manifest", "name", "deployment", "write `deployment`"),
    ("Manifest", "networks", "", "leave it out: all services of a deployment share a network"),
    ("Manifest", "spec", "services", "write `services:`; this is no manifest of Kubernetes"),
    ("Manifest", "volumes", "", "leave it out, and name each volume where it is used; `stead import compose` does so"),
    ("Service", "autoscaling", "scale", "write `scale`"),
    ("Service", "build", "image", "Stead runs images: build one, and name it in `image`"),
    ("Service", "cmd", "command", "write `command: {args: […]}`"),
    ("Service", "container_name", "", "leave it out: containers are named after their service"),
    ("Service", "containers", "image", "write each container as a service of its own, with its `image`"),
    ("Service", "count", "scale", "write `scale: {mode: fixed, replicas: …}`"),
    ("Service", "cpu", "resources", "write `resources: {cpu: …}`"),
    ("Service", "cpus", "resources", "write `resources: {cpu: …}`"),
    ("Service", "cron", "schedule", "write `schedule`"),
    ("Service", "depends_on", "depends", "write `depends: [{service: …}]`"),
    ("Service", "deploy", "scale", "write `scale` and `resources`"),
    ("Service", "entrypoint", "command", "write `command: {entrypoint: […]}`"),
    ("Service", "env_from", "env", "write `env: {NAME: $E:NAME}` for each variable"),
    ("Service", "env_file", "env", "write `env: {NAME: $E:NAME}`, and keep the values in the node's environment file"),
    ("Service", "environment", "env", "write `env`"),
    ("Service", "hostname", "", "leave it out: a service is found as `<name>.global`"),
    ("Service", "healthcheck", "health", "write `health`"),
    ("Service", "image_pull_policy", "", "write it in `image`: `pull_policy: always`"),
    ("Service", "init_containers", "init", "write `init: {steps: […]}`"),
    ("Service", "labels", "", "leave it out: the language has no labels"),
    ("Service", "liveness_probe", "health", "write `health`"),
    ("Service", "logging", "", "leave it out: Stead keeps the logs, and `stead logs` shows them"),
    ("Service", "mem_limit", "resources", "write `resources: {memory: …}`"),
    ("Service", "name", "", "leave it out: a service is called by its key"),
    ("Service", "networks", "network", "leave it out: all services of a deployment share a network"),
    ("Service", "ports", "endpoints", "write `endpoints: [{name: http, protocol: http, port: …, expose: public}]`"),
    ("Service", "readiness", "health", "write `health`"),
    ("Service", "readiness_probe", "health", "write `health`"),
    ("Service", "replicas", "scale", "write `scale: {mode: fixed, replicas: …}`"),
    ("Service", "restart", "errors", "leave it out: services are restarted; `errors.on_panic` says otherwise"),
    ("Service", "retry", "retries", "write `retries`"),
    ("Service", "secrets", "env", "write `env: {NAME: $S:NAME}`"),
    ("Service", "startup_probe", "health", "write `health`, with `start_grace`"),
    ("Service", "type", "rtype", "write `rtype`"),
    ("Service", "user", "", "leave it out: the image says which user runs"),
    ("Service", "volume_mounts", "volumes", "write `volumes: [{name: …, target: …}]`"),
    ("Service", "working_dir", "command", "write `command: {workdir: …}`"),
    ("Image", "ref", "name", "write `name`"),
    ("Image", "repository", "name", "write `name`"),
    ("Image", "tag", "", "write it behind the name: `name: nginx:alpine`"),
    ("Endpoint", "container_port", "target", "write `target`"),
    ("Endpoint", "domain", "host", "write `host`"),
    ("Endpoint", "hostname", "host", "write `host`"),
    ("Endpoint", "public", "expose", "write `expose: public`"),
    ("Endpoint", "published", "port", "write `port`"),
    ("Endpoint", "target_port", "target", "write `target`"),
    ("Endpoint", "type", "protocol", "write `protocol`"),
    ("Health", "cmd", "check", "write `check: {type: command, command: …}`"),
    ("Health", "exec", "check", "write `check: {type: command, command: …}`"),
    ("Health", "http", "check", "write `check: {type: http, path: …}`"),
    ("Health", "http_get", "check", "write `check: {type: http, path: …}`"),
    ("Health", "initial_delay", "start_grace", "write `start_grace`"),
    ("Health", "retry", "retries", "write `retries`"),
    ("Health", "start_period", "start_grace", "write `start_grace`"),
    ("Health", "tcp", "check", "write `check: {type: tcp, port: …}`"),
    ("Health", "tcp_socket", "check", "write `check: {type: tcp, port: …}`"),
    ("Health", "test", "check", "write `check: {type: command, command: …}`"),
    ("Health", "threshold", "retries", "write `retries`"),
    ("Check", "status", "", "write `expect_status`"),
    ("Check", "url", "", "write `port` and `path`: the check asks the replica itself"),
    ("Step", "command", "with", "write `with: {command: …}`"),
    ("Step", "name", "id", "write `id`"),
    ("Step", "retries", "retry", "write `retry`"),
    ("Step", "run", "uses", "write `uses: init.run` and `with: {command: …}`"),
    ("Step", "type", "uses", "write `uses`"),
    ("Run", "cmd", "command", "write `command`"),
    ("Run", "script", "command", "write `command`"),
    ("WaitTcp", "address", "host", "write `host` and `port`"),
    ("WaitTcp", "url", "host", "write `host` and `port`, or use `init.wait_http`"),
    ("WaitHttp", "host", "url", "write `url: http://…`"),
    ("Scale", "count", "", "write `mode: fixed` and `replicas`"),
    ("Scale", "max_replicas", "", "write `max`"),
    ("Scale", "min_replicas", "", "write `min`"),
    ("Dependency", "name", "service", "write `service`"),
    ("Volume", "destination", "target", "write `target`"),
    ("Volume", "path", "target", "write `target`"),
    ("Volume", "source", "", "write `name` for a volume, or `bind` for a path of the node"),
    ("Resources", "limits", "", "write `cpu` and `memory` without it: they are limits"),
    ("Resources", "requests", "", "leave it out: nothing is reserved; `cpu` and `memory` are upper bounds"),
];

/// Words that others use: of which field or form of text, the word, and the way out.
const WORDS: &[(&str, &str, &str)] = &[
    ("action", "always", "write `restart`"),
    ("action", "never", "write `shutdown`"),
    ("action", "no", "write `shutdown`"),
    ("auto | internal | name of a secret", "false", "leave it out, and write `protocol: http`"),
    ("auto | internal | name of a secret", "true", "write `auto`"),
    ("condition", "service_healthy", "write `healthy`"),
    ("condition", "service_started", "write `started`"),
    ("expose", "false", "write `internal`"),
    ("expose", "private", "write `internal`"),
    ("expose", "true", "write `public`"),
    ("mode", "auto", "write `adaptive`"),
    ("mode", "automatic", "write `adaptive`"),
    ("on_failure", "ignore", "write `continue`"),
    ("on_timeout", "ignore", "write `continue`"),
    ("protocol", "ssl", "write `https`, or `tcp` to pass TLS on as it is"),
    ("protocol", "tls", "write `https`, or `tcp` to pass TLS on as it is"),
    ("protocol", "ws", "write `websocket`"),
    ("protocol", "wss", "write `websocket`, with `tls: auto`"),
    ("pull_policy", "missing", "write `if_not_present`"),
    ("rtype", "cronjob", "write `cron`"),
    ("rtype", "deployment", "write `service`"),
    ("rtype", "task", "write `job`"),
    ("rtype", "worker", "write `service`"),
    ("strategy", "rolling_update", "write `rolling`"),
    ("type", "exec", "write `command`"),
    ("type", "https", "write `http`: the check asks the replica itself"),
    ("uses", "exec", "write `init.run`"),
    ("uses", "shell", "write `init.run`"),
];

/// Returns the way out for another's word of a field.
pub(super) fn word(field: &str, word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    if field == "version" && word.starts_with(['2', '3']) {
        return Some("write `v1`; of a file for Docker Compose, `stead import compose` makes a manifest");
    }
    WORDS.iter().find(|(of, name, _)| *of == field && *name == word).map(|(_, _, fix)| *fix)
}

fn foreign(shape: &Struct, name: &str) -> Option<(Option<&'static str>, &'static str)> {
    let found = FOREIGN.iter().find(|(of, foreign, _, _)| *of == shape.name && alike(foreign, name));
    found.map(|(_, _, meant, fix)| (Some(*meant).filter(|meant| !meant.is_empty()), *fix))
}

/// A name that the struct does not have means a field that it has.
pub(super) fn means(shape: &Struct, field: &'static str, name: &str) -> bool {
    foreign(shape, name).is_some_and(|(meant, _)| meant == Some(field))
        || (name != field && nearest(name, [field].into_iter()).is_some())
}

/// Tells of a field that the struct does not have.
/// `free` are the fields that are not given.
pub(super) fn unknown(
    here: Here<'_>,
    shape: &'static Struct,
    chosen: Option<Chosen>,
    stranger: &Entry,
    free: &[&'static str],
) -> Unknown {
    let name = stranger.key.text().unwrap_or_default();
    if name == MERGE {
        return Unknown { problem: words::merge_key(), meant: None };
    }
    if let Some(unknown) = chosen.and_then(|chosen| of_another_variant(here, chosen, name)) {
        return unknown;
    }
    let message = match shape.name {
        "Run" | "WaitHttp" | "WaitTcp" => format!("{} is no input of {}", quoted(name), words::kind(here, shape.name)),
        _ => format!("{} is no field of {}", quoted(name), words::kind(here, shape.name)),
    };
    let problem = Problem::at("", message).code(Code::UnknownField);
    if let Some((meant, fix)) = foreign(shape, name) {
        let meant = meant.filter(|meant| free.contains(meant));
        return Unknown { problem: problem.fix(fix), meant };
    }
    if let Some(field) = name.split_once(':').and_then(|(field, _)| free.iter().find(|free| **free == field)) {
        return Unknown { problem: problem.fix(format!("put a space behind `{field}:`")), meant: Some(field) };
    }
    if let Some(near) = nearest(name, free.iter().copied()) {
        return Unknown { problem: problem.fix(format!("did you mean `{near}`?")), meant: Some(near) };
    }
    elsewhere(shape, stranger, problem.clone()).unwrap_or_else(|| Unknown { problem: listed(problem, name, free), meant: None })
}

/// It goes with another value of the tag, or into the field that holds the others.
fn of_another_variant(here: Here<'_>, Chosen { union, variant }: Chosen, name: &str) -> Option<Unknown> {
    let mut variants = union.variants.iter();
    if let Some(content) = union.content {
        let inputs = || variant.is_none_or(|variant| variant.fields.field(name).is_some());
        variants.find(|variant| variant.fields.field(name).is_some()).filter(|_| inputs())?;
        let problem = Problem::at("", format!("{} belongs into `{content}`", quoted(name))).code(Code::UnknownField);
        let meant = Some(content).filter(|content| here.node.get(content).is_none());
        return Some(Unknown { problem: problem.fix(format!("write `{content}: {{{name}: …}}`")), meant });
    }
    let other = variants.find(|variant| variant.fields.field(name).is_some())?.name;
    let tag = union.tag;
    let (message, fix) = match (here.node.get(tag).is_some(), union.default) {
        (false, Some(default)) => {
            (format!("`{name}` goes with `{tag}: {other}`; without `{tag}` it is `{default}`"), format!("add `{tag}: {other}`"))
        }
        _ => (format!("`{name}` goes with `{tag}: {other}`"), format!("leave it out, or write `{tag}: {other}`")),
    };
    Some(Unknown { problem: Problem::at("", message).code(Code::MisplacedField).fix(fix), meant: None })
}

/// Returns the fields that are not given.
pub(super) fn free(here: Here<'_>, shape: &'static Struct, chosen: Option<Chosen>) -> Vec<&'static str> {
    let variant = chosen.filter(|chosen| chosen.union.content.is_none()).and_then(|chosen| chosen.variant);
    let more = variant.map_or(&[][..], |variant| variant.fields.fields);
    let names = shape.fields.iter().chain(more).map(|field| field.name);
    let tags = chosen.into_iter().flat_map(|Chosen { union, .. }| [Some(union.tag), union.content]).flatten();
    names.chain(tags).filter(|field| here.node.get(field).is_none()).collect()
}

/// It is a field of something within the struct, or of something that the struct is within.
fn elsewhere(shape: &'static Struct, Entry { key, value }: &Entry, problem: Problem) -> Option<Unknown> {
    let name = key.text().unwrap_or_default();
    let (manifest, service) = (inner::<Manifest>()?, inner::<Service>()?);
    let has = |owner: &'static Struct| owner.name != shape.name && owner.field(name).is_some();
    if shape.name == manifest.name {
        let looks_like_one = value.get("image").is_some() || has(service);
        let fix = match has(service) {
            true => "write it below `services:` and the name of the service",
            false => "write services, with their names, below `services:`",
        };
        return looks_like_one.then(|| Unknown { problem: problem.fix(fix), meant: Some("services") });
    }
    let within = within(shape, name);
    if let Some((first, _)) = within.first() {
        let places: Vec<_> = within.iter().map(|(_, path)| format!("`{path}`")).collect();
        let meant = Some(*first).filter(|_| within.len() == 1);
        return Some(Unknown { problem: problem.fix(format!("write it in {}", either(&places))), meant });
    }
    let fix = match (has(service), has(manifest)) {
        (true, _) => "indent it less: it is a field of the service",
        (_, true) => "move it to the top: it is a field of the manifest",
        _ => return None,
    };
    Some(Unknown { problem: problem.fix(fix), meant: None })
}

fn inner<T: Model>() -> Option<&'static Struct> {
    match T::SHAPE {
        Shape::Struct(inner) => Some(inner),
        _ => None,
    }
}

/// Returns the nearest structs within a struct that have a field: in which of its fields, and their paths.
fn within(shape: &'static Struct, name: &str) -> Vec<(&'static str, String)> {
    let mut level: Vec<(&'static str, String, &'static Struct)> = Vec::new();
    let below = |shape: &'static Struct| shape.fields.iter().filter_map(|field| Some((field.name, field.shape.inner()?)));
    level.extend(below(shape).map(|(field, inner)| (field, field.to_owned(), inner)));
    while !level.is_empty() {
        let has = |inner: &Struct| {
            let variants = inner.union.filter(|union| union.content.is_none()).map_or(&[][..], |union| union.variants);
            let tag = inner.union.is_some_and(|union| union.tag == name || union.content == Some(name));
            inner.field(name).is_some() || tag || variants.iter().any(|variant| variant.fields.field(name).is_some())
        };
        let found: Vec<_> =
            level.iter().filter(|(_, _, inner)| has(inner)).map(|(first, path, _)| (*first, path.clone())).collect();
        if !found.is_empty() {
            return found;
        }
        let next = level
            .iter()
            .flat_map(|(first, path, inner)| below(inner).map(move |(field, inner)| (*first, format!("{path}.{field}"), inner)));
        level = next.collect();
    }
    Vec::new()
}

/// Most fields that are listed beside a line of the text.
const LISTED_MAX: usize = 8;

fn listed(problem: Problem, name: &str, fields: &[&'static str]) -> Problem {
    if name.starts_with("x-") {
        return problem.fix("leave it out, or make it a comment");
    }
    match fields.len() {
        0 => problem.fix("leave it out"),
        1..=LISTED_MAX => problem.label(format!("expected {}", either(&all_quoted(fields.iter().copied())))),
        _ => problem.fix("leave it out; `stead explain` lists the fields there are"),
    }
}
