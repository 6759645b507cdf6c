//! What another manifest would change: by service and field, and what that does to what runs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::manifest::{Manifest, Service};
use crate::yaml::Path;

/// What becomes of one service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceChange {
    pub difference: Difference,
    /// Sorted by path; a service that comes or goes has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldChange>,
    pub consequence: Consequence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Difference {
    Created,
    Changed,
    Unchanged,
    Removed,
}

/// A value that is another one afterwards. What is not there is left to its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// From the service: `endpoints[0].port`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What a change does to replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Consequence {
    pub started: u32,
    pub stopped: u32,
    /// Replaced by ones of a new revision.
    pub replaced: u32,
    /// The image's reference changed. When it turns out to be the image that runs, and nothing else changed, none is replaced.
    pub other_reference: bool,
}

/// Returns what `after` would change. `running` says how many replicas a service that is there has, or is about to have.
pub fn services(before: Option<&Manifest>, after: &Manifest, running: impl Fn(&str) -> u32) -> BTreeMap<String, ServiceChange> {
    let old = |name: &str| before.and_then(|before| before.services.get(name));
    let kept = after.services.iter().map(|(name, new)| (name.to_string(), change(old(name), new, running(name))));
    let removed = before.iter().flat_map(|before| before.services.keys()).filter(|name| !after.services.contains_key(*name));
    let removed = removed.map(|name| {
        let consequence = Consequence { stopped: running(name), ..Consequence::default() };
        (name.to_string(), ServiceChange { difference: Difference::Removed, fields: Vec::new(), consequence })
    });
    kept.chain(removed).collect()
}

fn change(old: Option<&Service>, new: &Service, running: u32) -> ServiceChange {
    let wanted = new.replicas();
    let Some(old) = old else {
        let consequence = Consequence { started: wanted, ..Consequence::default() };
        return ServiceChange { difference: Difference::Created, fields: Vec::new(), consequence };
    };
    let fields = fields(old, new);
    let other_reference = old.image.name != new.image.name;
    let replaces = other_reference || old.template() != new.template();
    let consequence = Consequence {
        started: wanted.saturating_sub(running),
        stopped: running.saturating_sub(wanted),
        replaced: if replaces { wanted.min(running) } else { 0 },
        other_reference: other_reference && old.template() == new.template(),
    };
    let difference = if old == new { Difference::Unchanged } else { Difference::Changed };
    ServiceChange { difference, fields, consequence }
}

/// Returns the fields of a service that differ.
fn fields(old: &Service, new: &Service) -> Vec<FieldChange> {
    let json = |service| serde_json::to_value(service).unwrap_or_default();
    let mut changes = Vec::new();
    compare(Some(&json(old)), Some(&json(new)), Path::ROOT, &mut changes);
    changes
}

fn compare(before: Option<&Value>, after: Option<&Value>, path: Path<'_>, changes: &mut Vec<FieldChange>) {
    match (before, after) {
        (Some(before), Some(after)) if before == after => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => {
            let added = after.keys().filter(|key| !before.contains_key(*key));
            let mut keys: Vec<_> = before.keys().chain(added).collect();
            keys.sort();
            keys.into_iter().for_each(|key| compare(before.get(key), after.get(key), path.key(key), changes));
        }
        (Some(Value::Array(before)), Some(Value::Array(after))) if before.iter().chain(after).any(Value::is_object) => {
            let longest = before.len().max(after.len());
            (0..longest).for_each(|index| compare(before.get(index), after.get(index), path.index(index), changes));
        }
        // What comes or goes whole is told by its fields too.
        (None, Some(Value::Object(fields))) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| compare(None, Some(value), path.key(key), changes));
        }
        (Some(Value::Object(fields)), None) if !fields.is_empty() => {
            fields.iter().for_each(|(key, value)| compare(Some(value), None, path.key(key), changes));
        }
        (before, after) => {
            changes.push(FieldChange { path: path.to_string(), before: before.cloned(), after: after.cloned() });
        }
    }
}

impl fmt::Display for Consequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replicas = |count: u32| if count == 1 { "1 replica".to_owned() } else { format!("{count} replicas") };
        let same = if self.other_reference { ", unless the image is the one that runs" } else { "" };
        let parts = [(self.started, "started", ""), (self.stopped, "stopped", ""), (self.replaced, "replaced", same)];
        let said: Vec<_> = parts
            .into_iter()
            .filter(|(count, ..)| *count > 0)
            .map(|(count, what, behind)| format!("{} {what}{behind}", replicas(count)))
            .collect();
        if said.is_empty() { f.write_str("nothing restarts") } else { f.write_str(&said.join(", ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(service: &str) -> Manifest {
        crate::manifest::parse(&format!("version: v1\ndeployment: d\nservices:\n  web: {service}\n")).unwrap()
    }

    fn told(before: &str, after: &str, running: u32) -> String {
        let changes = services(Some(&manifest(before)), &manifest(after), |_| running);
        let change = &changes["web"];
        let shown = |value: &Option<Value>| value.as_ref().map_or("-".to_owned(), ToString::to_string);
        let fields = change.fields.iter().map(|field| format!("{} {} {}", field.path, shown(&field.before), shown(&field.after)));
        format!("{}; {}", fields.collect::<Vec<_>>().join(", "), change.consequence)
    }

    #[test]
    fn a_change_is_told_by_field_and_with_what_it_does() {
        let two = "{image: {name: a}, scale: {mode: fixed, replicas: 2}}";
        assert_eq!(told(two, two, 2), "; nothing restarts");
        assert_eq!(
            told(two, "{image: {name: a}, scale: {mode: fixed, replicas: 3}}", 2),
            "scale.replicas 2 3; 1 replica started"
        );
        assert_eq!(
            told(two, "{image: {name: b}, scale: {mode: fixed, replicas: 2}}", 2),
            "image.name \"a\" \"b\"; 2 replicas replaced, unless the image is the one that runs"
        );
        assert_eq!(
            told(two, "{image: {name: a}, env: {A: b}, scale: {mode: fixed, replicas: 1}}", 2),
            "env.A - \"b\", scale.replicas 2 1; 1 replica stopped, 1 replica replaced"
        );
        let endpoint = |path: &str| {
            format!("{{image: {{name: a}}, endpoints: [{{name: e, protocol: http, port: 80, path: {path}, expose: public}}]}}")
        };
        assert_eq!(told(&endpoint("/a"), &endpoint("/b"), 1), "endpoints[0].path \"/a\" \"/b\"; nothing restarts");
    }

    #[test]
    fn services_come_and_go() {
        let before = manifest("{image: {name: a}}");
        let mut after = before.clone();
        let web = after.services.pop_first().unwrap().1;
        after.services.insert("api".parse().unwrap(), web);
        let changes = services(Some(&before), &after, |name| u32::from(name == "web"));
        let told = |name: &str| (changes[name].difference, changes[name].consequence.to_string());
        assert_eq!(told("api"), (Difference::Created, "1 replica started".to_owned()));
        assert_eq!(told("web"), (Difference::Removed, "1 replica stopped".to_owned()));
    }
}
