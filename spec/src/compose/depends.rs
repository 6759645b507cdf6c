//! What a service waits for: wishes while services are read, and what can be had of them at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::Import;
use super::at::At;
use crate::manifest::{Condition, Dependency, OnTimeout, Service, ServiceName};
use crate::units::Duration;
use crate::yaml::quoted;

/// A dependency as it was written.
pub(super) struct Wanted<'a> {
    at: At<'a>,
    of: ServiceName,
    /// The service's name in the compose file.
    on: String,
    condition: Condition,
    on_timeout: OnTimeout,
}

type Services = BTreeMap<ServiceName, Service>;

/// Longest time to wait: Compose has no bound.
const TIMEOUT: Duration = Duration::seconds(300);

pub(super) fn read<'a>(import: &mut Import<'a>, at: &At<'a>, of: &ServiceName) {
    for (on, at) in at.fields() {
        let (condition, on_timeout) = long(import, &at);
        import.depends.push(Wanted { at, of: of.clone(), on: on.to_owned(), condition, on_timeout });
    }
    if at.is_mapping() {
        return;
    }
    for at in import.list(at) {
        if let Some(on) = import.text(&at) {
            import.depends.push(Wanted { at, of: of.clone(), on, condition: Condition::Started, on_timeout: OnTimeout::Fail });
        }
    }
}

fn long<'a>(import: &mut Import<'a>, at: &At<'a>) -> (Condition, OnTimeout) {
    let (mut condition, mut on_timeout) = (Condition::Started, OnTimeout::Fail);
    for (field, at) in at.fields() {
        match field {
            "condition" => condition = self::condition(import, &at),
            "required" => {
                if import.boolean(&at) == Some(false) {
                    on_timeout = OnTimeout::Warn;
                }
            }
            "restart" => {
                if import.boolean(&at) == Some(true) {
                    import.notes.leave_out(&at, "a service is not restarted when another one changes");
                }
            }
            _ => import.unknown(&at, ["condition", "required", "restart"].into_iter()),
        }
    }
    if at.text().is_some() || at.is_list() {
        import.notes.add(at, "a mapping with `condition` belongs here; it waits for the start");
    }
    (condition, on_timeout)
}

fn condition<'a>(import: &mut Import<'a>, at: &At<'a>) -> Condition {
    let text = import.text(at).unwrap_or_default();
    match text.as_str() {
        "" | "service_started" => {}
        "service_healthy" => return Condition::Healthy,
        "service_completed_successfully" => {
            let fix = "for work that comes before each start, write a step into `init.steps` of the service that waits";
            import.notes.add_with(at, "there is no waiting for the end of another service; it waits for the start", fix);
        }
        _ => import.notes.add(at, format!("{} is no condition; it waits for the start", quoted(&text))),
    }
    Condition::Started
}

/// Links are from before services could reach each other by name; what is left of them is the order.
pub(super) fn links<'a>(import: &mut Import<'a>, at: &At<'a>, of: &ServiceName) {
    for at in import.list(at) {
        let Some(text) = import.text(&at) else { continue };
        let (on, alias) = text.split_once(':').map_or((text.as_str(), None), |(on, alias)| (on, Some(alias)));
        if let (Some(alias), Some(name)) = (alias, import.names.service(on)) {
            let message = format!("{} is not the name of a service here", quoted(alias));
            let fix = format!("it is reached as {name}.global");
            import.notes.add_with(&at, message, fix);
        }
        let on = on.to_owned();
        import.depends.push(Wanted { at, of: of.clone(), on, condition: Condition::Started, on_timeout: OnTimeout::Fail });
    }
}

/// Gives the services those dependencies that can be.
pub(super) fn settle(import: &mut Import<'_>, services: &mut Services) {
    let mut edges: BTreeMap<ServiceName, Vec<(At<'_>, Dependency)>> = BTreeMap::new();
    for wanted in std::mem::take(&mut import.depends) {
        let Some(dependency) = possible(import, &wanted, services) else { continue };
        let there = edges.entry(wanted.of).or_default();
        match there.iter_mut().find(|(_, there)| there.service == dependency.service) {
            Some((_, there)) if there.condition == Condition::Started => *there = dependency,
            Some(_) => {}
            None => there.push((wanted.at, dependency)),
        }
    }
    for (of, dependency) in straight(import, &edges) {
        if let Some(service) = services.get_mut(&of) {
            service.depends.push(dependency);
        }
    }
}

fn possible(import: &mut Import<'_>, wanted: &Wanted<'_>, services: &Services) -> Option<Dependency> {
    let Wanted { at, of, on, .. } = wanted;
    let found = import
        .names
        .service(on)
        .cloned()
        .and_then(|name| services.get_key_value(&name).map(|(name, service)| (name.clone(), service)));
    let Some((name, service)) = found else {
        import.notes.leave_out(at, &format!("there is no service {}", quoted(on)));
        return None;
    };
    if name == *of {
        import.notes.leave_out(at, "a service cannot wait for itself");
        return None;
    }
    if service.replicas() == 0 {
        import.notes.leave_out(at, &format!("`{name}` has no replicas to wait for"));
        return None;
    }
    let mut condition = wanted.condition;
    if condition == Condition::Healthy && service.health.is_none() {
        condition = Condition::Ready;
        import.notes.add_with(
            at,
            format!("`{name}` has no health check here, so it is waited for until it is ready"),
            format!("give `{name}` a `health`"),
        );
    }
    Some(Dependency { service: name, condition, timeout: TIMEOUT, on_timeout: wanted.on_timeout })
}

/// Returns the dependencies without those that close a circle.
fn straight(import: &mut Import<'_>, edges: &BTreeMap<ServiceName, Vec<(At<'_>, Dependency)>>) -> Vec<(ServiceName, Dependency)> {
    let mut walk = Walk { edges, open: BTreeSet::new(), done: BTreeSet::new(), kept: Vec::new(), circles: Vec::new() };
    edges.keys().for_each(|name| walk.visit(name));
    let Walk { kept, circles, .. } = walk;
    for (at, name) in circles {
        import.notes.leave_out(at, &format!("`{name}` waits for this service too, so that neither would start"));
    }
    kept
}

struct Walk<'w, 'a> {
    edges: &'w BTreeMap<ServiceName, Vec<(At<'a>, Dependency)>>,
    /// Services from which the walk came to where it is.
    open: BTreeSet<ServiceName>,
    done: BTreeSet<ServiceName>,
    kept: Vec<(ServiceName, Dependency)>,
    circles: Vec<(&'w At<'a>, ServiceName)>,
}

impl Walk<'_, '_> {
    /// Goes as deep as there are services.
    fn visit(&mut self, name: &ServiceName) {
        if self.done.contains(name) || !self.open.insert(name.clone()) {
            return;
        }
        for (at, dependency) in self.edges.get(name).into_iter().flatten() {
            if self.open.contains(&dependency.service) {
                self.circles.push((at, dependency.service.clone()));
                continue;
            }
            self.kept.push((name.clone(), dependency.clone()));
            self.visit(&dependency.service);
        }
        self.open.remove(name);
        self.done.insert(name.clone());
    }
}
