//! What checks found, with places.

use std::collections::BTreeSet;

use super::Source;
use crate::manifest::read::{PROBLEMS_MAX, Reading, place};
use crate::problem::{Code, Place, Problem, Related};
use crate::words::nearest;
use crate::yaml::{Lines, Node, Path, Span, Steps};

/// Collects what is wrong with one manifest.
pub(in crate::manifest) struct Findings<'a> {
    file: &'a str,
    /// `None` for a manifest without a text.
    text: Option<Text<'a>>,
    problems: Vec<Problem>,
    /// There are more problems than have room.
    more: bool,
}

struct Text<'a> {
    root: &'a Node,
    lines: Lines<'a>,
    reading: &'a Reading,
}

impl<'a> Findings<'a> {
    pub(super) fn of(source: &Source<'a>, reading: &'a Reading) -> Findings<'a> {
        let root = reading.document.as_ref().and_then(|document| document.root.as_ref());
        let mut problems = reading.problems.clone();
        for problem in &mut problems {
            problem.place.file = source.name.to_owned();
            problem.related.iter_mut().for_each(|related| related.place.file = source.name.to_owned());
        }
        let text = root.map(|root| Text { root, lines: Lines::of(source.text), reading });
        Findings { file: source.name, text, problems, more: reading.more }
    }

    pub(in crate::manifest) fn without_text() -> Findings<'static> {
        Findings { file: "", text: None, problems: Vec::new(), more: false }
    }

    /// Something may be said that this version cannot run.
    pub(in crate::manifest) fn names_unbuilt(&self) -> bool {
        self.text.as_ref().is_none_or(|text| text.reading.names_unbuilt)
    }

    /// There is room for another error; else it is enough to know that there are more.
    pub(super) fn has_room(&mut self) -> bool {
        self.more |= self.problems.len() >= ROOM_MAX;
        self.problems.len() < ROOM_MAX
    }

    /// Returns the name that was probably meant. To look for it takes its time, so only the first mistakes are worth it.
    pub(super) fn nearest<'n>(&self, text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        if self.problems.len() < PROBLEMS_MAX { nearest(text, names) } else { None }
    }

    /// Adds what is wrong at a path; nothing, when it or a related place could not be read.
    pub(in crate::manifest) fn add(&mut self, path: Path<'_>, problem: Problem) {
        self.put(path, problem, Steps::locate);
    }

    /// As [`Findings::add`]; it is the key that is wrong, not its value.
    pub(super) fn add_at_key(&mut self, path: Path<'_>, problem: Problem) {
        self.put(path, problem, |steps, root| steps.locate_key(root).unwrap_or_else(|| steps.locate(root)));
    }

    fn put<'p>(&mut self, path: Path<'p>, problem: Problem, span: impl Fn(&Steps<'p>, &Node) -> Span) {
        if self.problems.len() >= room(&problem) {
            self.more = true;
            return;
        }
        let steps = self.steps(path);
        let name = steps.to_string();
        let is_here = |related: &&Related| related.place.file == self.file;
        if self.is_broken(&name) || problem.related.iter().filter(is_here).any(|related| self.is_broken(&related.path)) {
            return;
        }
        let place = self.place(|root| span(&steps, root));
        self.problems.push(Problem { path: name, place, ..problem });
    }

    /// Returns another place that has to do with a problem.
    pub(super) fn related(&self, path: Path<'_>, message: impl Into<String>) -> Related {
        let steps = self.steps(path);
        // Where it stands matters only as long as it is told of.
        let place = if self.problems.len() < ROOM_MAX { self.place(|root| steps.locate(root)) } else { Place::default() };
        Related { path: steps.to_string(), place, message: message.into() }
    }

    /// As [`Findings::related`]; `None` when its writer left it out.
    pub(super) fn related_if_said(&self, path: Path<'_>, message: impl Into<String>) -> Option<Related> {
        self.is_said(path).then(|| self.related(path, message))
    }

    /// There is something at the path, be it right or wrong.
    pub(super) fn is_said(&self, path: Path<'_>) -> bool {
        let there = |text: &Text<'_>| self.steps(path).node(text.root).is_some();
        self.text.as_ref().is_some_and(there) || self.is_broken(&self.steps(path).to_string())
    }

    /// All there is at the path and below could be read, so that what is not there was left out by its writer.
    pub(super) fn is_whole(&self, path: Path<'_>) -> bool {
        if self.text.as_ref().is_none_or(|text| text.reading.broken.is_empty()) {
            return true;
        }
        let name = self.steps(path).to_string();
        !self.is_broken(&name) && !self.text.as_ref().is_some_and(|text| has_within(&text.reading.broken, &name))
    }

    /// Nothing can be said of the path, because it or what it is part of could not be read.
    fn is_broken(&self, path: &str) -> bool {
        self.text.as_ref().is_some_and(|text| has_above(&text.reading.broken, path))
    }

    /// Returns the steps of a path of the manifest as they are in the text, where a list may have more items.
    fn steps<'p>(&self, path: Path<'p>) -> Steps<'p> {
        path.renumbered(|list, index| self.text.as_ref().map_or(index, |text| text.reading.number(list, index)))
    }

    fn place(&self, span: impl Fn(&Node) -> Span) -> Place {
        let place = self.text.as_ref().map(|text| place(&text.lines, span(text.root)));
        Place { file: self.file.to_owned(), ..place.unwrap_or_default() }
    }

    /// Returns all problems, as a person reads: from the top. What cannot be run yet is not worth a word where it is wrong too.
    pub(in crate::manifest) fn finish(mut self) -> Vec<Problem> {
        let errors = self.problems.iter().filter(|problem| problem.is_error());
        let wrong: BTreeSet<String> = errors.map(|problem| problem.path.clone()).collect();
        self.problems.retain(|problem| problem.code != Code::Unbuilt || problem.is_error() || !has_within(&wrong, &problem.path));
        // What an anchor names may be wrong each time an alias stands for it.
        let mut told = BTreeSet::new();
        self.problems.retain(|problem| told.insert((problem.place.clone(), problem.message.clone())));
        self.problems.sort_by_key(|problem| (problem.place.line, problem.place.column, problem.severity));
        if self.more {
            let count = self.problems.len();
            let more =
                Problem::at("", format!("there is more that is wrong; these {count} are enough to begin with")).code(Code::Limit);
            self.problems.push(if wrong.is_empty() { more.warning() } else { more });
        }
        self.problems
    }
}

const ROOM_MAX: usize = 3 * PROBLEMS_MAX;

/// Returns up to how many problems one of its kind finds room: errors, and what would be one when it is to run, where doubts took
/// all of theirs, so that the verdict stands.
fn room(problem: &Problem) -> usize {
    match (problem.is_error(), problem.code) {
        (true, _) => ROOM_MAX,
        (false, Code::Unbuilt) => 2 * PROBLEMS_MAX,
        (false, _) => PROBLEMS_MAX,
    }
}

/// One of `paths` is `path`, or below it.
fn has_within(paths: &BTreeSet<String>, path: &str) -> bool {
    let below = |step: char| {
        let start = format!("{path}{step}");
        paths.range(start.clone()..).next().is_some_and(|found| found.starts_with(&start))
    };
    if path.is_empty() { !paths.is_empty() } else { paths.contains(path) || below('.') || below('[') }
}

/// One of `paths` is `path`, or above it.
fn has_above(paths: &BTreeSet<String>, path: &str) -> bool {
    let above = path.match_indices(['.', '[']).any(|(end, _)| paths.contains(&path[..end]));
    !paths.is_empty() && (above || paths.contains(path) || paths.contains(""))
}
