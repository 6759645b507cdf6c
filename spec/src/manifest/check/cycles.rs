//! Services that wait for each other, by `depends` and by init steps. Each cycle is told of once, where it closes as the text is read.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, init};
use crate::manifest::{Manifest, OnFailure, OnTimeout, Service, ServiceName};
use crate::problem::{Code, Problem, Related};
use crate::yaml::Path;

/// Most cycles that are told of: services that all wait for each other make very many.
const CYCLES_MAX: usize = 20;
/// Most services of a cycle that are named.
const SHOWN_MAX: usize = 12;

/// A service waits for another one.
#[derive(Clone, Copy)]
struct Edge<'a> {
    from: &'a ServiceName,
    to: &'a ServiceName,
    wait: Wait,
    /// Without the other one it does not start.
    must: bool,
}

/// What makes a service wait.
#[derive(Clone, Copy)]
enum Wait {
    /// Its dependency at an index.
    Dependency(usize),
    /// Its init step at an index, and the input that names the other service.
    Step(usize, &'static str),
}

/// How far the search has come with a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is on the way that is being walked.
    Open,
    Done,
}

pub(super) fn check(manifest: &Manifest, findings: &mut Findings<'_>) {
    let mut found = cycles(manifest, |edge| edge.must);
    if found.is_empty() {
        // Services that only wait too long are not worth a word beside some that never start.
        found = cycles(manifest, |_| true);
    }
    for cycle in found {
        tell(&cycle, findings);
    }
}

/// Returns the cycles of those edges that count: if there are any, at least one.
fn cycles<'a>(manifest: &'a Manifest, counts: fn(&Edge<'_>) -> bool) -> Vec<Vec<Edge<'a>>> {
    let mut states = BTreeMap::new();
    let mut cycles = Vec::new();
    for name in manifest.services.keys() {
        walk(manifest, counts, name, &mut states, &mut cycles);
    }
    cycles
}

/// Walks from a service to all it waits for, depth first, and collects the cycles that close on the way.
fn walk<'a>(
    manifest: &'a Manifest,
    counts: fn(&Edge<'_>) -> bool,
    start: &'a ServiceName,
    states: &mut BTreeMap<&'a ServiceName, State>,
    cycles: &mut Vec<Vec<Edge<'a>>>,
) {
    if states.contains_key(start) {
        return;
    }
    states.insert(start, State::Open);
    let mut way: Vec<Edge<'a>> = Vec::new();
    let mut open = vec![(start, edges(manifest, counts, start))];
    while let Some((name, rest)) = open.last_mut() {
        let Some(edge) = rest.pop() else {
            states.insert(name, State::Done);
            open.pop();
            way.pop();
            continue;
        };
        match states.get(edge.to) {
            Some(State::Done) => {}
            Some(State::Open) if cycles.len() >= CYCLES_MAX => {}
            Some(State::Open) => {
                let first = way.iter().position(|step| step.from == edge.to).unwrap_or(way.len());
                cycles.push(way[first..].iter().copied().chain([edge]).collect());
            }
            None => {
                states.insert(edge.to, State::Open);
                way.push(edge);
                open.push((edge.to, edges(manifest, counts, edge.to)));
            }
        }
    }
}

/// Returns one edge to each service that one waits for, the first one last; none to itself, of which is told elsewhere.
fn edges<'a>(manifest: &'a Manifest, counts: fn(&Edge<'_>) -> bool, name: &'a ServiceName) -> Vec<Edge<'a>> {
    let Some(service) = manifest.services.get(name) else { return Vec::new() };
    let mut seen = BTreeSet::from([name]);
    let edges = dependencies(name, service).chain(steps(manifest, name, service)).filter(counts);
    let mut edges: Vec<_> = edges.filter(|edge| manifest.services.contains_key(edge.to) && seen.insert(edge.to)).collect();
    edges.reverse();
    edges
}

fn dependencies<'a>(from: &'a ServiceName, service: &'a Service) -> impl Iterator<Item = Edge<'a>> {
    service.depends.iter().enumerate().map(move |(index, dependency)| Edge {
        from,
        to: &dependency.service,
        wait: Wait::Dependency(index),
        must: dependency.on_timeout == OnTimeout::Fail,
    })
}

fn steps<'a>(manifest: &'a Manifest, from: &'a ServiceName, service: &'a Service) -> impl Iterator<Item = Edge<'a>> {
    service.init.steps.iter().enumerate().filter_map(move |(index, step)| {
        let (input, host) = init::host(&step.action)?;
        let (to, _) = manifest.services.get_key_value(init::service(&host)?)?;
        Some(Edge { from, to, wait: Wait::Step(index, input), must: step.on_failure == OnFailure::Fail })
    })
}

/// Returns the places of a cycle's edges, from what is waited for last in the text all the way round.
fn around<'a>(cycle: &[Edge<'a>], findings: &Findings<'_>) -> Vec<(Edge<'a>, Related)> {
    let mut places: Vec<_> = cycle.iter().map(|edge| (*edge, place(edge, findings))).collect();
    let last = places.iter().enumerate().max_by_key(|(_, (_, related))| (related.place.line, related.place.column));
    let closing = last.map_or(0, |(index, _)| index);
    places.rotate_left((closing + 1) % cycle.len());
    places
}

fn way(around: &[(Edge<'_>, Related)]) -> String {
    let way: Vec<_> = around.iter().take(SHOWN_MAX).map(|(edge, _)| edge.from.as_ref()).collect();
    let rest = if around.len() > SHOWN_MAX { " -> …" } else { "" };
    format!("{}{rest} -> {}", way.join(" -> "), way[0])
}

fn tell(cycle: &[Edge<'_>], findings: &mut Findings<'_>) {
    let mut around = around(cycle, findings);
    let way = way(&around);
    let Some((closing, _)) = around.pop() else { return };
    let problem = match cycle.iter().all(|edge| edge.must) {
        true => Problem::at("", format!("these services wait for each other, and none could start: {way}")),
        false => Problem::at("", format!("these services wait for each other until one has waited too long: {way}")).warning(),
    };
    let related = around.into_iter().take(SHOWN_MAX).map(|(_, related)| related).collect();
    let problem = problem.code(Code::Cycle).label("the cycle closes here").fix("leave one of these dependencies out");
    at(&closing, |path| findings.add(path, Problem { related, ..problem }));
}

fn place(edge: &Edge<'_>, findings: &Findings<'_>) -> Related {
    let mut place = None;
    at(edge, |path| place = Some(findings.related(path, format!("`{}` waits for `{}`", edge.from, edge.to))));
    place.expect("an edge has one place")
}

fn at(edge: &Edge<'_>, use_path: impl FnOnce(Path<'_>)) {
    let services = Path::ROOT.key("services");
    let service = services.key(edge.from);
    match edge.wait {
        Wait::Dependency(index) => {
            let depends = service.key("depends");
            use_path(depends.index(index).key("service"));
        }
        Wait::Step(index, input) => {
            let init = service.key("init");
            let steps = init.key("steps");
            let step = steps.index(index);
            use_path(step.key("with").key(input));
        }
    }
}
