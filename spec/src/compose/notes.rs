//! Notes: what was left out, changed or guessed, each with its place.

use std::collections::BTreeSet;

use super::at::At;
use crate::problem::{Code, Place, Problem, Related};
use crate::yaml::{Fault, Lines, Span};

/// Most notes: nobody reads more, and each takes time to be drawn.
const NOTES_MAX: usize = 200;

pub(super) struct Notes<'a> {
    lines: Lines<'a>,
    notes: Vec<Problem>,
    /// Place and text of each note: what several services have from one place is said once.
    said: BTreeSet<(usize, String, Option<String>)>,
    /// There was no room for a note.
    more: bool,
}

impl<'a> Notes<'a> {
    pub(super) fn of(text: &'a str) -> Notes<'a> {
        Notes { lines: Lines::of(text), notes: Vec::new(), said: BTreeSet::new(), more: false }
    }

    pub(super) fn add(&mut self, at: &At<'_>, message: impl Into<String>) {
        self.note(at, Problem::at("", message));
    }

    pub(super) fn add_with(&mut self, at: &At<'_>, message: impl Into<String>, fix: impl Into<String>) {
        self.note(at, Problem::at("", message).fix(fix));
    }

    /// There is no room for another note, so that nothing need be looked for to write one.
    pub(super) fn is_full(&self) -> bool {
        self.notes.len() >= NOTES_MAX
    }

    fn note(&mut self, at: &At<'_>, note: Problem) {
        let said = (at.span.start, note.message.clone(), note.fix.clone());
        match self.is_full() {
            true => self.more |= !self.said.contains(&said),
            false if self.said.insert(said) => {
                let note = self.problem(at, note.warning());
                self.notes.push(note);
            }
            false => {}
        }
    }

    pub(super) fn leave_out(&mut self, at: &At<'_>, why: &str) {
        self.add(at, format!("`{}` is left out: {why}", at.name()));
    }

    pub(super) fn leave_out_with(&mut self, at: &At<'_>, why: &str, fix: impl Into<String>) {
        self.add_with(at, format!("`{}` is left out: {why}", at.name()), fix);
    }

    /// Returns the problem with its place.
    pub(super) fn problem(&self, at: &At<'_>, problem: Problem) -> Problem {
        Problem { path: at.path.clone(), place: place(&self.lines, at.span), ..problem }
    }

    /// Returns all notes, as a person reads: from the top.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.notes.sort_by_key(|note| (note.place.line, note.place.column));
        if self.more {
            let message = format!("there is more that is not as it was: these are the first {NOTES_MAX} notes");
            let place = Place { line: 1, column: 1, end_line: 1, end_column: 1, ..Place::default() };
            let fix = "see to these, and import the file again";
            self.notes.push(Problem { place, ..Problem::at("", message).code(Code::Limit).warning().fix(fix) });
        }
        self.notes
    }
}

fn place(lines: &Lines<'_>, span: Span) -> Place {
    let (start, end) = (lines.position(span.start), lines.position(span.end.max(span.start)));
    Place { file: String::new(), line: start.line, column: start.column, end_line: end.line, end_column: end.column }
}

/// Returns why a text is no YAML that is read here.
pub(super) fn syntax(text: &str, fault: Fault) -> Problem {
    let lines = Lines::of(text);
    let code = if fault.earlier.is_some() { Code::DuplicateKey } else { Code::Syntax };
    let related = fault.earlier.map(|earlier| Related {
        path: String::new(),
        place: place(&lines, earlier),
        message: "the first one is here".to_owned(),
    });
    Problem {
        place: place(&lines, fault.span),
        fix: fault.fix.map(str::to_owned),
        related: related.into_iter().collect(),
        ..Problem::at("", fault.message).code(code)
    }
}
