//! Notes: what was left out, changed or guessed, each with its place.

use super::at::At;
use crate::problem::{Code, Place, Problem, Related};
use crate::yaml::{Fault, Lines, Span};

pub(super) struct Notes<'a> {
    lines: Lines<'a>,
    notes: Vec<Problem>,
}

impl<'a> Notes<'a> {
    pub(super) fn of(text: &'a str) -> Notes<'a> {
        Notes { lines: Lines::of(text), notes: Vec::new() }
    }

    pub(super) fn add(&mut self, at: &At<'_>, message: impl Into<String>) {
        let note = self.problem(at, Problem::at("", message).warning());
        self.notes.push(note);
    }

    pub(super) fn add_with(&mut self, at: &At<'_>, message: impl Into<String>, fix: impl Into<String>) {
        let note = self.problem(at, Problem::at("", message).warning().fix(fix));
        self.notes.push(note);
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

    /// Returns all notes, as a person reads: from the top. What several services have from one place is said once.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        self.notes.sort_by_key(|note| (note.place.line, note.place.column));
        self.notes.dedup_by(|later, first| {
            (later.place == first.place) && (&later.message, &later.fix) == (&first.message, &first.fix)
        });
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
