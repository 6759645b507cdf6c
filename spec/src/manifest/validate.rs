//! Checks of a typed manifest: what serde's types cannot say, across fields and services.

use std::collections::BTreeMap;

use super::{
    Action, Check, CheckKind, Endpoint, EnvValue, Expose, Health, Manifest, Mode, Protocol, Rtype, RunCommand, Scale, Service,
    Step,
};
use crate::problem::Problem;

/// Most services of one deployment.
const SERVICES_MAX: usize = 256;
/// Most replicas of one service: its overlay's block has room for them twice over.
const REPLICAS_MAX: u32 = 400;
/// Most replicas of one deployment: its overlay's block of 4,096 addresses has room for them twice over.
const DEPLOYMENT_REPLICAS_MAX: u64 = 2000;

/// Returns all that is wrong with `manifest`, in the order of its fields; empty when it can be applied.
pub fn validate(manifest: &Manifest) -> Vec<Problem> {
    let mut problems = Problems::default();
    problems.label("deployment", &manifest.deployment, "a deployment");
    if manifest.services.is_empty() {
        problems.add("services", "a deployment has at least one service");
    }
    if manifest.services.len() > SERVICES_MAX {
        problems.add("services", format!("{} services are more than {SERVICES_MAX}", manifest.services.len()));
    }
    for (name, service) in &manifest.services {
        let path = format!("services.{name}");
        problems.label(&path, name, "a service");
        if name == "global" || name == "service" {
            problems.add(&path, format!("`{name}` is taken: it is the end of the names that containers look up"));
        }
        self::service(&mut problems, &path, service);
    }
    let replicas: u64 = manifest.services.values().map(|service| u64::from(service.replicas())).sum();
    if replicas > DEPLOYMENT_REPLICAS_MAX {
        problems.fixable(
            "services",
            format!("{replicas} replicas are more than the {DEPLOYMENT_REPLICAS_MAX} that one deployment may have"),
            "make it several deployments",
        );
    }
    problems.0.extend(clashes(&[manifest]));
    problems.0
}

/// Returns an error for each two endpoints of `manifests` that could not both be served: same port and same path.
///
/// Both places are named; the path of the error is that of the later one.
pub fn clashes(manifests: &[&Manifest]) -> Vec<Problem> {
    let mut taken: BTreeMap<(u16, &str), (String, String)> = BTreeMap::new();
    let mut problems = Vec::new();
    for manifest in manifests {
        for (service, definition) in &manifest.services {
            for (index, endpoint) in definition.endpoints.iter().enumerate() {
                let here = format!("services.{service}.endpoints[{index}]");
                let owner =
                    format!("endpoint `{}` of service `{service}` in deployment `{}`", endpoint.name, manifest.deployment);
                match taken.get(&(endpoint.port, endpoint.path())) {
                    Some((_, first)) => problems.push(
                        Problem::at(
                            here,
                            format!("port {} with path {} is already taken by {first}", endpoint.port, endpoint.path()),
                        )
                        .fix("give one of the two another port or path"),
                    ),
                    None => {
                        taken.insert((endpoint.port, endpoint.path()), (here, owner));
                    }
                }
            }
        }
    }
    problems
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(Problem::at(path, message));
    }

    fn fixable(&mut self, path: &str, message: impl Into<String>, fix: impl Into<String>) {
        self.0.push(Problem::at(path, message).fix(fix));
    }

    /// Refuses a part of the language that is not built yet, by name.
    fn later(&mut self, path: &str, what: &str, present: bool) {
        if present {
            self.fixable(
                path,
                format!("{what} is part of the language, but this version of Stead cannot run it yet"),
                "leave it out",
            );
        }
    }

    /// Checks a DNS label (RFC 1123), which is what names become in host names.
    fn label(&mut self, path: &str, text: &str, what: &str) {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let outer = |b: Option<u8>| b.is_some_and(|b| inner(b) && b != b'-');
        let good = text.len() <= 63 && text.bytes().all(inner) && outer(text.bytes().next()) && outer(text.bytes().last());
        if !good {
            let shown: String = text.chars().take(80).collect();
            self.fixable(
                path,
                format!("{shown:?} cannot be the name of {what}"),
                "use 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends",
            );
        }
    }
}

fn service(problems: &mut Problems, path: &str, service: &Service) {
    let at = |field: &str| format!("{path}.{field}");
    problems.later(&at("rtype"), "rtype `job`", service.rtype == Rtype::Job);
    problems.later(&at("rtype"), "rtype `cron`", service.rtype == Rtype::Cron);
    let fields = [
        ("network", service.network),
        ("depends", service.depends),
        ("errors", service.errors),
        ("rollout", service.rollout),
        ("volumes", service.volumes),
        ("job", service.job),
        ("schedule", service.schedule),
        ("timezone", service.timezone),
        ("concurrency", service.concurrency),
        ("on_disconnect", service.on_disconnect),
    ];
    for (field, value) in fields {
        problems.later(&at(field), &format!("`{field}`"), value.is_some());
    }
    image(problems, &at("image.name"), &service.image.name);
    command(problems, path, service);
    env(problems, &at("env"), &service.env);
    init(problems, &at("init.steps"), &service.init.steps);
    for (index, endpoint) in service.endpoints.iter().enumerate() {
        self::endpoint(problems, &format!("{path}.endpoints[{index}]"), endpoint, &service.endpoints[..index]);
    }
    if let Some(health) = &service.health {
        self::health(problems, &at("health"), health, service.endpoints.is_empty());
    }
    if let Some(scale) = &service.scale {
        self::scale(problems, &at("scale"), scale);
    }
    if let Some(memory) = service.resources.memory
        && memory.0 < 4 << 20
    {
        problems.fixable(&at("resources.memory"), format!("{memory} of memory cannot hold a process"), "give at least 4Mi");
    }
}

fn image(problems: &mut Problems, path: &str, name: &str) {
    if name.is_empty() || name.len() > 512 || name.bytes().any(|b| !b.is_ascii_graphic()) {
        problems.fixable(path, "this is no image reference", "write one such as nginx:alpine or ghcr.io/org/api:1.2");
    }
}

fn command(problems: &mut Problems, path: &str, service: &Service) {
    let command = &service.command;
    if command.entrypoint.as_ref().is_some_and(Vec::is_empty) {
        problems.fixable(
            &format!("{path}.command.entrypoint"),
            "an entrypoint has at least a program",
            "leave it out to keep the image's",
        );
    }
    let texts = command.entrypoint.iter().chain(&command.args).flatten().chain(&command.workdir);
    if texts.into_iter().any(|text| text.contains('\0')) {
        problems.add(&format!("{path}.command"), "a NUL character cannot be part of a command");
    }
    if command.workdir.as_ref().is_some_and(|dir| !dir.starts_with('/')) {
        problems.fixable(&format!("{path}.command.workdir"), "a working directory is an absolute path", "begin it with `/`");
    }
}

fn env(problems: &mut Problems, path: &str, env: &BTreeMap<String, EnvValue>) {
    for (name, value) in env {
        let here = format!("{path}.{name}");
        if name.is_empty() || name.contains(['=', '\0']) {
            problems.add(&here, "the name of an environment variable is not empty and has no `=`");
        }
        match value {
            EnvValue::Literal(text) if text.contains('\0') => problems.add(&here, "a NUL character cannot be part of a value"),
            EnvValue::FromNode(source) if source.is_empty() || source.contains(['=', '\0', '\n']) => {
                problems.fixable(&here, "`$E:` is followed by the name of a variable of the node", "write $E:NAME");
            }
            _ => {}
        }
    }
}

fn init(problems: &mut Problems, path: &str, steps: &[Step]) {
    for (index, step) in steps.iter().enumerate() {
        let here = format!("{path}[{index}]");
        problems.label(&format!("{here}.id"), &step.id, "a step");
        if steps[..index].iter().any(|earlier| earlier.id == step.id) {
            problems.add(&format!("{here}.id"), format!("two steps have the id `{}`", step.id));
        }
        if step.timeout.0 == 0 {
            problems.add(&format!("{here}.timeout"), "a step needs some time");
        }
        match &step.action {
            Action::WaitTcp(wait) => {
                if wait.host.is_empty() {
                    problems.add(&format!("{here}.with.host"), "there is no host to wait for");
                }
                port(problems, &format!("{here}.with.port"), wait.port);
            }
            Action::WaitHttp(wait) => {
                if !wait.url.starts_with("http://") {
                    problems.fixable(
                        &format!("{here}.with.url"),
                        "only plain http is asked by an init step",
                        "begin the URL with http://",
                    );
                }
                status(problems, &format!("{here}.with.expect_status"), wait.expect_status);
            }
            Action::Run(run) => {
                let empty = match &run.command {
                    RunCommand::Shell(text) => text.trim().is_empty(),
                    RunCommand::Direct(args) => args.is_empty(),
                };
                if empty {
                    problems.add(&format!("{here}.with.command"), "there is no command to run");
                }
            }
        }
    }
}

fn endpoint(problems: &mut Problems, path: &str, endpoint: &Endpoint, earlier: &[Endpoint]) {
    problems.label(&format!("{path}.name"), &endpoint.name, "an endpoint");
    if earlier.iter().any(|other| other.name == endpoint.name) {
        problems.add(&format!("{path}.name"), format!("two endpoints have the name `{}`", endpoint.name));
    }
    let protocol = match endpoint.protocol {
        Protocol::Http => None,
        Protocol::Https => Some("https"),
        Protocol::Tcp => Some("tcp"),
        Protocol::Udp => Some("udp"),
        Protocol::Websocket => Some("websocket"),
    };
    problems.later(&format!("{path}.protocol"), &format!("protocol `{}`", protocol.unwrap_or_default()), protocol.is_some());
    let internal = endpoint.expose == Expose::Internal;
    if internal {
        problems.fixable(
            &format!("{path}.expose"),
            "an internal endpoint, which is what an endpoint without `expose: public` is, cannot be served by this version of Stead yet",
            "write `expose: public`, or leave the endpoint out: services reach each other as <service>.global without one",
        );
    }
    problems.later(&format!("{path}.host"), "`host`", endpoint.host.is_some());
    problems.later(&format!("{path}.tls"), "`tls`", endpoint.tls.is_some());
    port(problems, &format!("{path}.port"), endpoint.port);
    if let Some(target) = endpoint.target {
        port(problems, &format!("{path}.target"), target);
    }
    if let Some(prefix) = &endpoint.path {
        let segments_fine = !prefix.split('/').skip(1).any(|segment| segment == "." || segment == "..") && !prefix.contains("//");
        if !prefix.starts_with('/') || !segments_fine || prefix.bytes().any(|b| !b.is_ascii_graphic() || b"?#%\\".contains(&b)) {
            problems.fixable(
                &format!("{path}.path"),
                format!("{prefix:?} is no path prefix"),
                "begin it with `/`; no empty, `.` or `..` segments, no query, no escapes",
            );
        }
    }
}

fn health(problems: &mut Problems, path: &str, health: &Health, no_endpoints: bool) {
    let Check { kind, port: check_port, path: check_path, expect_status, command } = &health.check;
    problems.later(&format!("{path}.check.type"), "a health check by `command`", *kind == CheckKind::Command);
    problems.later(&format!("{path}.check.command"), "`command`", command.is_some());
    match check_port {
        Some(check_port) => port(problems, &format!("{path}.check.port"), *check_port),
        None if no_endpoints => {
            problems.fixable(
                &format!("{path}.check"),
                "the check has no port, and the service no endpoint to take it from",
                "add `port`",
            );
        }
        None => {}
    }
    if *kind == CheckKind::Tcp && (check_path.is_some() || expect_status.is_some()) {
        problems.add(&format!("{path}.check"), "`path` and `expect_status` go with `type: http`");
    }
    if check_path.as_ref().is_some_and(|p| !p.starts_with('/') || p.bytes().any(|b| !b.is_ascii_graphic())) {
        problems.fixable(&format!("{path}.check.path"), "this is no path", "begin it with `/`, and escape spaces");
    }
    status(problems, &format!("{path}.check.expect_status"), *expect_status);
    for (field, value) in [("interval", health.interval), ("timeout", health.timeout)] {
        if value.is_some_and(|duration| duration.0 == 0) {
            problems.add(&format!("{path}.{field}"), format!("`{field}` is more than 0"));
        }
    }
    if health.retries == Some(0) {
        problems.add(&format!("{path}.retries"), "`retries` is at least 1: that many failures in a row count");
    }
}

fn scale(problems: &mut Problems, path: &str, scale: &Scale) {
    problems.later(&format!("{path}.mode"), "scaling by `manual`", scale.mode == Mode::Manual);
    let adaptive = scale.mode == Mode::Adaptive;
    if adaptive {
        problems.fixable(
            &format!("{path}.mode"),
            "adaptive scaling, which is also what `scale` without a `mode` means, is part of the language, but this version of Stead cannot run it yet",
            "write `mode: fixed` with `replicas`",
        );
    }
    let fields = [("min", scale.min), ("max", scale.max), ("cooldown", scale.cooldown), ("targets", scale.targets)];
    for (field, value) in fields {
        if value.is_some() && !adaptive {
            problems.add(&format!("{path}.{field}"), format!("`{field}` goes with `mode: adaptive`"));
        }
    }
    match scale.replicas {
        None if scale.mode == Mode::Fixed => problems.fixable(path, "fixed scaling needs a number", "add `replicas`"),
        Some(replicas) if replicas > REPLICAS_MAX => {
            problems.add(&format!("{path}.replicas"), format!("{replicas} replicas are more than {REPLICAS_MAX}"));
        }
        _ => {}
    }
}

fn port(problems: &mut Problems, path: &str, port: u16) {
    if port == 0 {
        problems.add(path, "a port is from 1 to 65535");
    }
}

fn status(problems: &mut Problems, path: &str, status: Option<u16>) {
    if status.is_some_and(|status| !(100..600).contains(&status)) {
        problems.add(path, "an HTTP status is from 100 to 599");
    }
}
