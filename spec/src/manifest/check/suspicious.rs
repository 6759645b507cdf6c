//! What is valid, and probably not what was meant.

use super::{Findings, One};
use crate::manifest::{Action, Check, CommandLine, EnvValue, Text};
use crate::problem::{Code, Problem};
use crate::yaml::{Path, quoted};

pub(super) fn check(one: One<'_>, findings: &mut Findings<'_>) {
    env(one, findings);
    command(one, findings);
    beside(one, findings);
    paths(one, findings);
    overlays(one, findings);
}

fn doubt(message: String) -> Problem {
    Problem::at("", message).code(Code::Suspicious).warning()
}

fn env(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let env = here.key("env");
    for (name, value) in &service.env {
        let EnvValue::Literal(text) = value else { continue };
        let text = text.as_str();
        let path = env.key(name);
        if let Some(reference) = ["$E:", "$S:"].into_iter().find(|reference| text.contains(reference)) {
            let problem = doubt(format!("`{reference}` counts only at the beginning; this text is passed as it stands"));
            findings.add(path, problem.fix("put the whole value into one variable of the node"));
        } else if let Some(found) = template(text) {
            let problem = doubt(format!("there is no templating: {} is passed as it stands", quoted(found.text)));
            let variable = found.variable.filter(|_| found.text == text);
            findings.add(
                path,
                match variable {
                    Some(variable) => problem.fix(format!("write `$E:{variable}` for a variable of the node")),
                    None => problem.fix("put the whole value into a variable of the node, and write `$E:` and its name"),
                },
            );
        }
    }
}

/// A part of a text that other tools would replace.
struct Template<'a> {
    text: &'a str,
    /// The variable, where it is one.
    variable: Option<&'a str>,
}

/// Finds `${NAME}`, `{{ … }}`, or a text that is `$NAME` and nothing else.
fn template(text: &str) -> Option<Template<'_>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if let Some(name) = text.strip_prefix('$').filter(|name| is_name(name)) {
        return Some(Template { text, variable: Some(name) });
    }
    let between = |open: &str, close: &str| {
        let start = text.find(open)?;
        let end = start + text[start..].find(close)? + close.len();
        Some(&text[start..end])
    };
    if let Some(found) = between("${", "}") {
        let inner = &found[2..found.len() - 1];
        let name = inner.split([':', '-', '?', '+', '=']).next().unwrap_or_default();
        return is_name(name).then_some(Template { text: found, variable: Some(name).filter(|name| *name == inner) });
    }
    between("{{", "}}").map(|text| Template { text, variable: None })
}

fn command(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let command = here.key("command");
    let lists = [("entrypoint", &service.command.entrypoint), ("args", &service.command.args)];
    // A shell replaces variables, and is told what to run by `-c`.
    let by_shell = lists.iter().flat_map(|(_, list)| list.iter().flatten()).any(|arg| *arg == "-c");
    for (field, list) in lists {
        let path = command.key(field);
        for (index, arg) in list.iter().flatten().enumerate() {
            let at = path.index(index);
            if !reference(arg, at, findings)
                && let Some(found) = template(arg).filter(|found| !by_shell || found.text.starts_with("{{"))
            {
                let problem = doubt(format!("there is no templating: {} is passed as it stands", quoted(found.text)));
                findings.add(
                    at,
                    problem.fix("let a shell read it: `entrypoint: [\"/bin/sh\", \"-c\"]`, with the whole command in `args`"),
                );
            }
        }
    }
}

/// Tells of a reference outside of `env`; returns whether there is one.
fn reference(text: &str, path: Path<'_>, findings: &mut Findings<'_>) -> bool {
    let Some(reference) = ["$E:", "$S:"].into_iter().find(|reference| text.contains(reference)) else { return false };
    let problem = doubt(format!("`{reference}` counts only in `env`; here it is passed as it stands"));
    findings.add(path, problem.fix("set a variable in `env`, and read it in the container"));
    true
}

/// Commands that run beside the container's own; those that are texts are read by a shell.
fn beside(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let (init, health) = (here.key("init"), here.key("health"));
    let steps = init.key("steps");
    for (index, step) in service.init.steps.iter().enumerate() {
        if let Action::Run(run) = &step.action {
            let step = steps.index(index);
            let with = step.key("with");
            line(&run.command, with.key("command"), findings);
        }
    }
    if let Some(Check::Command(check)) = service.health.as_ref().map(|health| &health.check) {
        let at = health.key("check");
        line(&check.command, at.key("command"), findings);
    }
}

fn line(command: &CommandLine, path: Path<'_>, findings: &mut Findings<'_>) {
    let mut look = |text: &Text, path: Path<'_>| {
        reference(text, path, findings);
    };
    match command {
        CommandLine::Shell(text) => look(text, path),
        CommandLine::Direct(args) if args.first().is_some_and(|arg| matches!(&**arg, "CMD" | "CMD-SHELL")) => {
            let problem = doubt(format!("{} is Docker's word; here it is run as a program", quoted(&args[0])));
            findings.add(path.index(0), problem.fix("leave it out; what a shell is to read, write as a text"));
        }
        CommandLine::Direct(args) => args.iter().enumerate().for_each(|(index, arg)| look(arg, path.index(index))),
    }
}

/// Patterns as other proxies have them.
fn paths(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let endpoints = here.key("endpoints");
    for (index, endpoint) in service.endpoints.iter().enumerate() {
        let mut segments = endpoint.path().split('/').skip(1);
        let is_pattern = |segment: &&str| segment.contains('*') || segment.starts_with([':', '{']);
        let Some(pattern) = segments.clone().find(is_pattern) else { continue };
        let before: String =
            segments.by_ref().take_while(|segment| !is_pattern(segment)).map(|segment| format!("/{segment}")).collect();
        let before = if before.is_empty() { "/".to_owned() } else { before };
        let problem = doubt(format!("paths have no patterns: {} stands for itself alone", quoted(pattern)));
        let endpoint = endpoints.index(index);
        findings.add(endpoint.key("path"), problem.fix(format!("write `path: {before}`, which takes all that is below")));
    }
}

/// Fields of a network that is not there.
fn overlays(One { service, here, .. }: One<'_>, findings: &mut Findings<'_>) {
    let network = here.key("network");
    let overlays = network.key("overlays");
    let (own, global) = (&service.network.overlays.service, &service.network.overlays.global);
    for (overlay, enabled, fields) in
        [("service", own.enabled, &["encrypted", "isolated"][..]), ("global", global.enabled, &["encrypted"])]
    {
        let path = overlays.key(overlay);
        for field in fields.iter().filter(|_| !enabled) {
            if findings.is_said(path.key(field)) {
                let related = vec![findings.related(path.key("enabled"), "it is not there")];
                let problem = doubt(format!("`{field}` says nothing about a network that is not enabled"));
                findings.add(path.key(field), Problem { related, ..problem.fix("leave it out") });
            }
        }
    }
}
