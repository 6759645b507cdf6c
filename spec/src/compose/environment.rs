//! Environment variables.

use std::collections::BTreeMap;

use super::Import;
use super::at::At;
use super::notes::Notes;
use super::variables::{Filled, fill};
use crate::manifest::{EnvName, EnvValue, ServiceName, VariableName};
use crate::yaml::quoted;

/// Variables that are read on the node: what each stands for, and where it was seen first.
#[derive(Default)]
pub(super) struct Variables<'a> {
    by_name: BTreeMap<VariableName, String>,
    first: Option<At<'a>>,
}

impl<'a> Variables<'a> {
    /// Returns the name under which a text is read on the node: the wished one, or one with the service before it where that one
    /// stands for something else.
    fn name(&mut self, wished: &str, service: &ServiceName, text: &str, at: &At<'a>) -> Option<VariableName> {
        let longer = format!("{}_{wished}", service.to_uppercase().replace('-', "_"));
        for name in [wished, &longer] {
            let Ok(name) = name.parse::<VariableName>() else { continue };
            if self.by_name.get(&name).is_none_or(|there| there == text) {
                self.by_name.insert(name.clone(), text.to_owned());
                self.first.get_or_insert_with(|| at.clone());
                return Some(name);
            }
        }
        None
    }

    /// Says once what the node has to have.
    pub(super) fn tell(&self, notes: &mut Notes<'_>) {
        let Some(first) = &self.first else { return };
        let names: Vec<_> = self.by_name.keys().map(|name| format!("`{name}`")).collect();
        let message = format!("`$E:` variables are read on the node when a container starts: {}", names.join(", "));
        notes.add_with(first, message, "put them into the node's environment file, /etc/stead/env");
    }
}

/// Words in the names of variables whose values are hosts.
const HOSTS: &[&str] = &["ADDR", "BROKER", "ENDPOINT", "HOST", "UPSTREAM", "URI", "URL"];
/// Words in the names of variables whose values are no hosts, whatever they look like.
const NO_HOSTS: &[&str] = &["DATABASE", "DB", "NAME", "PASS", "SCHEMA", "SECRET", "USER"];

pub(super) fn read<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName) -> BTreeMap<EnvName, EnvValue> {
    let mut env = BTreeMap::new();
    for (name, text, at) in pairs(import, at) {
        // In a manifest, a merge key is one in quotes too.
        let Some(key) = name.parse::<EnvName>().ok().filter(|key| **key != *"<<") else {
            import.notes.leave_out(&at, "it has no name that a variable can have");
            continue;
        };
        if let Some(value) = value(import, &at, service, &name, text) {
            env.insert(key, value);
        }
    }
    env
}

/// Returns names and texts of a mapping, or of a list of `NAME=text`; the text is `None` when it is whoever runs Compose's.
pub(super) fn pairs<'a>(import: &mut Import<'a>, at: &At<'a>) -> Vec<(String, Option<&'a str>, At<'a>)> {
    let mut pairs = Vec::new();
    for (name, at) in at.fields() {
        match at.node.text() {
            Some(_) => pairs.push((name.to_owned(), at.text(), at)),
            None => import.notes.leave_out(&at, "its value is no text"),
        }
    }
    for at in at.items() {
        match at.text().map(|text| text.split_once('=').map_or((text, None), |(name, text)| (name, Some(text)))) {
            Some((name, text)) => pairs.push((name.to_owned(), text, at)),
            None => import.notes.leave_out(&at, "it is no `NAME=text`"),
        }
    }
    if at.text().is_some() {
        import.notes.leave_out(at, "it is neither a mapping nor a list");
    }
    pairs
}

fn value<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName, name: &str, text: Option<&str>) -> Option<EnvValue> {
    let Some(text) = text else { return from_node(import, at, service, name, &format!("${{{name}}}")) };
    let filled = fill(text);
    import.tell_defaults(at, &filled);
    if let Some(variable) = filled.variable() {
        return from_node(import, at, service, variable, &filled.text);
    }
    if !filled.unset.is_empty() {
        return together(import, at, service, name, &filled);
    }
    let text = hosts(import, at, name, &filled.text);
    if text.starts_with("/run/secrets/") {
        import.notes.add(at, format!("there is no {} in the container: secrets are variables here, not files", quoted(&text)));
    }
    if text.starts_with("$E:") || text.starts_with("$S:") || text.contains('\0') {
        import.notes.leave_out(
            at,
            "no variable can have this text: `$E:` and `$S:` mean something else at its beginning, and NUL ends it",
        );
        return None;
    }
    Some(EnvValue::Literal(text))
}

/// Returns the value with the services it names called as Stead calls them; where it may be something else, says so.
fn hosts<'a>(import: &mut Import<'a>, at: &At<'a>, name: &str, text: &str) -> String {
    let name = name.to_ascii_uppercase();
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let bare = says(HOSTS) || name.ends_with("SERVER") || name.ends_with("SERVERS");
    let rewritten = import.hosts(at, text, bare);
    if !bare
        && !says(NO_HOSTS)
        && let Some(service) = import.names.host(text)
    {
        let message = format!("{} is also the name of a service; it was kept as it stands", quoted(text));
        let fix = format!("write `{service}.global` if the service is meant");
        import.notes.add_with(at, message, fix);
    }
    rewritten
}

fn from_node<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName, name: &str, text: &str) -> Option<EnvValue> {
    let found = import.variables.name(name, service, text, at);
    if found.is_none() {
        import.notes.leave_out(at, "no variable of the node can have its name: letters, digits and `_`");
    }
    found.map(EnvValue::FromNode)
}

/// A value that Compose puts together from texts and variables is read on the node as a whole.
fn together<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName, name: &str, filled: &Filled) -> Option<EnvValue> {
    let value = from_node(import, at, service, name, &filled.text)?;
    let EnvValue::FromNode(variable) = &value else { return None };
    let message =
        format!("values are not put together from texts and variables; the whole of it is read on the node as `{variable}`");
    let host = import.names.rewrite(&filled.text, false).map(|(_, host)| format!(", with `{host}` for the service it names"));
    let fix = format!("write `{variable}=…` into the node's environment file{}", host.unwrap_or_default());
    import.notes.add_with(at, message, fix);
    Some(value)
}
