//! What services share in a compose file: networks, volumes, secrets, configurations.

use std::collections::BTreeMap;

use super::Import;
use super::at::At;
use crate::manifest::ServiceName;
use crate::yaml::Node;

/// Networks by name: the services in them, and where that is written.
pub(super) type Networks<'a> = BTreeMap<String, Vec<(ServiceName, At<'a>)>>;

/// Fields of the file that do not carry over, and why.
const REASONS: &[(&str, &str)] = &[
    ("configs", "configurations are not kept by Stead"),
    ("include", "each file is imported by itself, or what `docker compose config` prints of all"),
    ("models", "models are not run by Stead"),
];

/// Reads all of the file but its services.
pub(super) fn read<'a>(import: &mut Import<'a>, root: &At<'a>) {
    for (field, at) in root.fields() {
        match field {
            // The version says nothing since there is one Compose Specification.
            "services" | "name" | "version" => {}
            "networks" => networks(import, &at),
            "volumes" => volumes(import, &at),
            "secrets" => secrets(import, &at),
            // Fragments that were used are in the services by now.
            _ if field.starts_with("x-") && has_anchor(at.node) => {}
            _ if at.node.is_null() => {}
            _ => match REASONS.iter().find(|(name, _)| *name == field) {
                Some((_, why)) => import.notes.leave_out(&at, why),
                None => import.unknown(&at, ["configs", "include", "networks", "secrets", "services", "volumes"].into_iter()),
            },
        }
    }
    undeclared(import);
}

fn has_anchor(node: &Node) -> bool {
    node.anchor().is_some() || node.items().iter().any(has_anchor) || node.entries().iter().any(|entry| has_anchor(&entry.value))
}

/// Says which services are no longer kept apart.
fn networks<'a>(import: &mut Import<'a>, at: &At<'a>) {
    for (name, at) in at.fields() {
        let services = import.networks.remove(name).unwrap_or_default();
        if name == "default" && at.node.is_null() {
            continue;
        }
        let services: Vec<_> = services.iter().map(|(service, _)| format!("`{service}`")).collect();
        let had = if services.is_empty() { String::new() } else { format!(" (it had {})", services.join(", ")) };
        import.notes.leave_out(&at, &format!("all services of a deployment share one network{had}"));
    }
    if at.text().is_some() || at.is_list() {
        import.notes.leave_out(at, "a mapping belongs here");
    }
}

fn undeclared(import: &mut Import<'_>) {
    for (name, uses) in std::mem::take(&mut import.networks) {
        for (_, at) in uses.iter().filter(|_| name != "default") {
            import.notes.leave_out(at, "all services of a deployment share one network");
        }
    }
}

/// Reads which networks a service is in.
pub(super) fn networks_of<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName) {
    for (name, at) in at.fields() {
        import.networks.entry(name.to_owned()).or_default().push((service.clone(), at.clone()));
        for (field, at) in at.fields() {
            match field {
                "aliases" => {
                    import.notes.leave_out_with(&at, "a service has one name", format!("it is reached as {service}.global"));
                }
                _ => import.notes.leave_out(&at, "addresses and interfaces are given out by Stead"),
            }
        }
        if at.text().is_some() || at.is_list() {
            import.notes.leave_out(&at, "a mapping belongs here");
        }
    }
    if at.is_mapping() {
        return;
    }
    for at in import.list(at) {
        if let Some(name) = import.text(&at) {
            import.networks.entry(name).or_default().push((service.clone(), at));
        }
    }
}

fn volumes<'a>(import: &mut Import<'a>, at: &At<'a>) {
    for (name, at) in at.fields() {
        if !import.volumes.is_used(name) {
            import.notes.leave_out(&at, "no service has it in a way that carries over");
            continue;
        }
        for (field, at) in at.fields() {
            volume_field(import, field, &at);
        }
        if at.text().is_some() || at.is_list() {
            import.notes.leave_out(&at, "a mapping belongs here");
        }
    }
    if at.text().is_some() || at.is_list() {
        import.notes.leave_out(at, "a mapping belongs here");
    }
}

fn volume_field<'a>(import: &mut Import<'a>, field: &str, at: &At<'a>) {
    match field {
        _ if at.node.is_null() => {}
        "driver" if matches!(at.text(), Some("local" | "default")) => {}
        "driver" | "driver_opts" => import.notes.leave_out(at, "volumes are directories of the node"),
        "external" if at.text() == Some("false") => {}
        "external" => {
            let fix = "copy what is in it once the new volume is there";
            import.notes.leave_out_with(at, "volumes are made by Stead, and begin empty", fix);
        }
        "labels" => import.notes.leave_out(at, "the language has no labels"),
        "name" => import.notes.leave_out(at, "volumes are named after their service"),
        _ => import.unknown(at, ["driver", "driver_opts", "external", "labels", "name"].into_iter()),
    }
}

fn secrets(import: &mut Import<'_>, at: &At<'_>) {
    for (_, at) in at.fields() {
        let fix = "write `NAME: $S:NAME` into the `env` of who needs it";
        import.notes.leave_out_with(&at, "secrets are kept by Stead, and not read from files or variables", fix);
    }
    if at.text().is_some() || at.is_list() {
        import.notes.leave_out(at, "a mapping belongs here");
    }
}

/// Reads the secrets or configurations that a service has as files.
pub(super) fn files_of<'a>(import: &mut Import<'a>, field: &str, at: &At<'a>) {
    let items = import.list(at);
    for at in items {
        match field {
            "secrets" => {
                let fix = "write `NAME: $S:NAME` into `env`, and have the program read the variable";
                import.notes.leave_out_with(&at, "secrets are variables here, not files", fix);
            }
            _ => {
                let fix = "put the file on the node, and bind it with `volumes`, or make it part of the image";
                import.notes.leave_out_with(&at, "configurations are not kept by Stead", fix);
            }
        }
    }
}
