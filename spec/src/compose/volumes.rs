//! Volumes and files of the node.

use std::collections::{BTreeMap, BTreeSet};

use super::Import;
use super::at::At;
use super::names;
use crate::manifest::{AbsolutePath, Label, ServiceName, Volume};
use crate::yaml::quoted;

/// Named volumes, and the service that was the first to have each.
#[derive(Default)]
pub(super) struct Uses {
    first: BTreeMap<String, ServiceName>,
}

impl Uses {
    pub(super) fn is_used(&self, name: &str) -> bool {
        self.first.contains_key(name)
    }
}

/// An entry of `volumes`.
#[derive(Default)]
struct Mount {
    source: String,
    target: String,
    read_only: bool,
}

/// Paths of the sockets by which Docker is told what to do.
const DOCKER: &[&str] = &["/var/run/docker.sock", "/run/docker.sock"];

/// Directories that a container's own system is in.
const RESERVED: &[&str] = &["dev", "proc", "sys"];

pub(super) fn read<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    let mut labels = Labels::default();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for at in import.list(at) {
        let mount = if at.is_mapping() { long(import, &at) } else { short(import, &at) };
        let Some(volume) = mount.and_then(|mount| volume(import, &at, service, &mount, &mut labels)) else { continue };
        let target = plain(&volume.target).join("/");
        match taken.get(&target) {
            Some(index) => {
                import
                    .notes
                    .add(&at, format!("it takes the place of an earlier one at {}, as in Compose", quoted(&volume.target)));
                volumes[*index] = volume;
            }
            None => {
                taken.insert(target, volumes.len());
                volumes.push(volume);
            }
        }
    }
    volumes
}

/// Reads `[SOURCE:]TARGET[:OPTIONS]`.
fn short<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Mount> {
    let text = import.text(at)?;
    let mut parts = text.split(':');
    let (first, second, options, more) = (parts.next()?, parts.next(), parts.next(), parts.next());
    if more.is_some() {
        import.notes.leave_out(at, &format!("{} is no volume as Compose writes it", quoted(&text)));
        return None;
    }
    let Some(target) = second else { return Some(Mount { target: first.to_owned(), ..Mount::default() }) };
    let mut mount = Mount { source: first.to_owned(), target: target.to_owned(), read_only: false };
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => mount.read_only = true,
            "rw" => {}
            _ => import
                .notes
                .add(at, format!("the option {} is left out: a volume is read-only or not, and has no others", quoted(option))),
        }
    }
    Some(mount)
}

fn long<'a>(import: &mut Import<'a>, at: &At<'a>) -> Option<Mount> {
    let mut mount = Mount::default();
    let kind = at.get("type").and_then(|at| import.text(&at)).unwrap_or_else(|| "volume".to_owned());
    if !matches!(kind.as_str(), "volume" | "bind") {
        let why = if kind == "tmpfs" {
            "there are no volumes in memory; what a container writes is gone with it"
        } else {
            "it is neither a volume nor a bind"
        };
        import.notes.leave_out(at, why);
        return None;
    }
    for (field, at) in at.fields() {
        match field {
            "type" => {}
            "source" => mount.source = import.text(&at)?,
            "target" => mount.target = import.text(&at)?,
            "read_only" => mount.read_only = import.boolean(&at).unwrap_or(false),
            "bind" | "volume" | "consistency" => {
                import.notes.leave_out(&at, "a volume is read-only or not, and has no other options");
            }
            _ => import.unknown(&at, ["read_only", "source", "target", "type"].into_iter()),
        }
    }
    Some(mount)
}

fn volume<'a>(import: &mut Import<'a>, at: &At<'a>, service: &ServiceName, mount: &Mount, labels: &mut Labels) -> Option<Volume> {
    let Ok(target) = mount.target.parse::<AbsolutePath>() else {
        import.notes.leave_out(at, &format!("{} is no absolute path in the container", quoted(&mount.target)));
        return None;
    };
    if plain(&target).first().is_none_or(|first| RESERVED.contains(first)) {
        import.notes.leave_out(at, &format!("{} of a container belongs to its system", quoted(&target)));
        return None;
    }
    let source = mount.source.as_str();
    if source.is_empty() {
        let fix = "give it a name if what is in it has to outlive the container";
        import.notes.leave_out_with(
            at,
            "a volume without a name is gone with its container, as is all that a container writes",
            fix,
        );
        return None;
    }
    if source.starts_with(['.', '~', '/', '\\']) || source.contains(['/', '\\', ':']) {
        return bind(import, at, mount, target);
    }
    let name = labels.of(source);
    if *name != *source {
        import.notes.add(at, format!("the volume is called `{name}`: names are lower-case letters, digits and `-`"));
    }
    match import.volumes.first.get(source) {
        Some(first) if first != service => {
            let message = format!(
                "volumes belong to one service: `{first}` and `{service}` have a {} each, not one together",
                quoted(source)
            );
            import.notes.add(at, message);
        }
        _ => drop(import.volumes.first.insert(source.to_owned(), service.clone())),
    }
    Some(Volume { name: Some(name), bind: None, target, read_only: mount.read_only.then_some(true) })
}

/// Returns the segments of a path without what means nothing in it.
fn plain(path: &str) -> Vec<&str> {
    let mut plain = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(plain.pop()),
            segment => plain.push(segment),
        }
    }
    plain
}

fn bind(import: &mut Import<'_>, at: &At<'_>, mount: &Mount, target: AbsolutePath) -> Option<Volume> {
    if DOCKER.contains(&mount.source.as_str()) {
        import.notes.leave_out(at, "there is no Docker behind it");
        return None;
    }
    let Ok(source) = mount.source.parse::<AbsolutePath>() else {
        let why = format!("{} is seen from this file, which the node does not have", quoted(&mount.source));
        let fix = "put it on the node and write its absolute path, or make it part of the image; for files that are written, use a named volume";
        import.notes.leave_out_with(at, &why, fix);
        return None;
    };
    if !mount.read_only {
        let fix = "for files that are written, use a named volume";
        import.notes.add_with(at, format!("{} is read-only: files of the node always are", quoted(&mount.source)), fix);
    }
    Some(Volume { name: None, bind: Some(source), target, read_only: None })
}

/// Names of a service's volumes, which stay apart when they become labels.
#[derive(Default)]
struct Labels {
    by_source: BTreeMap<String, Label>,
    taken: BTreeSet<Label>,
    /// The number for the next one that has the same nearest label.
    next: BTreeMap<Label, u32>,
}

impl Labels {
    fn of(&mut self, source: &str) -> Label {
        if let Some(label) = self.by_source.get(source) {
            return label.clone();
        }
        let base = names::label(source);
        let short = &base[..base.len().min(50)];
        let number = self.next.entry(base.clone()).or_insert(2);
        let mut label = base.clone();
        while self.taken.contains(&label) {
            label = names::label(&format!("{short}-{number}"));
            *number += 1;
        }
        self.taken.insert(label.clone());
        self.by_source.insert(source.to_owned(), label.clone());
        label
    }
}
