//! Services that wait for each other. Each cycle is told of once, where it closes as the text is read.

use std::collections::BTreeMap;

use super::Findings;
use crate::manifest::{Manifest, ServiceName};
use crate::problem::{Code, Problem, Related};
use crate::yaml::Path;

/// Most cycles that are told of: services that all wait for each other make very many.
const CYCLES_MAX: usize = 20;
/// Most services of a cycle that are named.
const SHOWN_MAX: usize = 12;

/// A service waits for another one: its dependency at an index.
#[derive(Clone, Copy)]
struct Edge<'a> {
    from: &'a ServiceName,
    index: usize,
    to: &'a ServiceName,
}

/// How far the search has come with a service.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is on the way that is being walked.
    Open,
    Done,
}

pub(super) fn check(manifest: &Manifest, findings: &mut Findings<'_>) {
    let mut states = BTreeMap::new();
    let mut cycles = Vec::new();
    for name in manifest.services.keys() {
        walk(manifest, name, &mut states, &mut cycles);
    }
    for cycle in cycles {
        tell(&cycle, findings);
    }
}

/// Walks from a service to all it waits for, depth first, and collects the cycles that close on the way.
fn walk<'a>(
    manifest: &'a Manifest,
    start: &'a ServiceName,
    states: &mut BTreeMap<&'a ServiceName, State>,
    cycles: &mut Vec<Vec<Edge<'a>>>,
) {
    if states.contains_key(start) {
        return;
    }
    states.insert(start, State::Open);
    let mut way: Vec<Edge<'a>> = Vec::new();
    let mut open = vec![(start, edges(manifest, start))];
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
                open.push((edge.to, edges(manifest, edge.to)));
            }
        }
    }
}

/// Returns the services that one waits for, the first one last; not itself, of which is told elsewhere.
fn edges<'a>(manifest: &'a Manifest, name: &'a ServiceName) -> Vec<Edge<'a>> {
    let Some((from, service)) = manifest.services.get_key_value(name) else { return Vec::new() };
    let edges = service.depends.iter().enumerate().rev();
    let edges = edges.map(|(index, dependency)| Edge { from, index, to: &dependency.service });
    let mut edges: Vec<_> = edges.filter(|edge| edge.to != from && manifest.services.contains_key(edge.to)).collect();
    // Another edge to the same service closes no other cycle.
    let mut seen = std::collections::BTreeSet::new();
    edges.reverse();
    edges.retain(|edge| seen.insert(edge.to));
    edges.reverse();
    edges
}

fn tell(cycle: &[Edge<'_>], findings: &mut Findings<'_>) {
    let places: Vec<Related> = cycle.iter().map(|edge| place(edge, findings)).collect();
    let last = places.iter().enumerate().max_by_key(|(_, related)| (related.place.line, related.place.column));
    let closing = last.map_or(0, |(index, _)| index);
    // From what is waited for last, all the way round.
    let order: Vec<usize> = (1..=cycle.len()).map(|step| (closing + step) % cycle.len()).collect();
    let related = order.iter().take(SHOWN_MAX).filter(|index| **index != closing).map(|index| places[*index].clone()).collect();
    let way: Vec<_> = order.iter().map(|index| cycle[*index].from.as_ref()).collect();
    let first = way[0];
    let way = match way.len() {
        0..=SHOWN_MAX => way.join(" -> "),
        _ => format!("{} -> …", way[..SHOWN_MAX].join(" -> ")),
    };
    let message = format!("these services wait for each other, and none could start: {way} -> {first}");
    let problem =
        Problem::at("", message).code(Code::Cycle).label("the cycle closes here").fix("leave one of these dependencies out");
    let edge = &cycle[closing];
    at(edge, |path| findings.add(path, Problem { related, ..problem }));
}

fn place(edge: &Edge<'_>, findings: &Findings<'_>) -> Related {
    let mut place = None;
    at(edge, |path| place = Some(findings.related(path, format!("`{}` waits for `{}`", edge.from, edge.to))));
    place.expect("an edge has one place")
}

fn at(edge: &Edge<'_>, use_path: impl FnOnce(Path<'_>)) {
    let services = Path::ROOT.key("services");
    let service = services.key(edge.from);
    let depends = service.key("depends");
    let dependency = depends.index(edge.index);
    use_path(dependency.key("service"));
}
