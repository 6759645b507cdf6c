//! Shows problems to a person, as rustc does: the message, the line it is about with a caret under it, and the way out.
//!
//! Texts are cleaned here, so that nothing in a file can steer the terminal; annotate-snippets draws.

mod excerpt;

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::{Code, Place, Problem, Related, Severity};
use crate::manifest::Source;
pub use excerpt::is_harmful;
use excerpt::{Excerpt, Mark, clean};

/// Longer lines are cut around what is pointed at, in columns.
const WIDTH: usize = 130;
/// What a source without a name is called.
const NAMELESS: &str = "manifest";

/// Shows problems with the lines of the sources they are in, one after the other with an empty line between; each source is known
/// by its name.
pub fn render(problems: &[Problem], sources: &[Source<'_>], colours: bool) -> String {
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() }.term_width(WIDTH);
    let shown: Vec<_> = sources.iter().map(Excerpt::of).collect();
    let mut text = String::new();
    for problem in problems {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&renderer.render(&[group(problem, &shown)]));
        text.push('\n');
    }
    text
}

/// Counts problems, for a last line: `2 errors, 1 warning`.
pub fn summary(problems: &[Problem]) -> String {
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    let counts = [(errors, "error"), (problems.len() - errors, "warning")];
    let parts = counts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" })).collect();
    if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") }
}

fn group<'a>(problem: &'a Problem, sources: &'a [Excerpt<'a>]) -> Group<'a> {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut title = level.primary_title(clean(&problem.message));
    if problem.code != Code::Other {
        title = title.id(problem.code.name());
    }
    let mut elements: Vec<Element<'a>> = Vec::new();
    let (beside, elsewhere): (Vec<_>, Vec<_>) =
        problem.related.iter().partition(|related| stands_beside(related, problem, sources));
    primary(problem, &beside, sources, &mut elements);
    for related in elsewhere {
        secondary(related, sources, &mut elements);
    }
    if let Some(fix) = &problem.fix {
        elements.push(Level::HELP.message(clean(fix)).into());
    }
    Group::with_title(title).elements(elements)
}

/// The related place is drawn in the same excerpt.
fn stands_beside(related: &Related, problem: &Problem, sources: &[Excerpt<'_>]) -> bool {
    let place = |place| source(place, sources);
    related.place.file == problem.place.file && place(&problem.place).is_some() && place(&related.place).is_some()
}

/// Draws the place of the problem, and what has to do with it in the same file.
fn primary<'a>(problem: &'a Problem, beside: &[&'a Related], sources: &'a [Excerpt<'a>], elements: &mut Vec<Element<'a>>) {
    if let Some(source) = source(&problem.place, sources) {
        let mut marks = vec![Mark { place: &problem.place, kind: AnnotationKind::Primary, label: problem.label.as_deref() }];
        marks.extend(beside.iter().map(|related| Mark::context(related)));
        elements.push(snippet(source, &marks).into());
        return;
    }
    elements.extend(location(&problem.path, &problem.place, sources).map(|place| Element::from(Origin::path(place))));
    if let Some(label) = &problem.label {
        elements.push(Level::NOTE.message(clean(label)).into());
    }
}

/// Draws a place in another file, or names one of which no text is shown.
fn secondary<'a>(related: &'a Related, sources: &'a [Excerpt<'a>], elements: &mut Vec<Element<'a>>) {
    if let Some(source) = source(&related.place, sources) {
        elements.push(snippet(source, &[Mark::context(related)]).into());
        return;
    }
    let place = location(&related.path, &related.place, sources).map(|place| format!(" ({place})"));
    elements.push(Level::NOTE.message(format!("{}{}", clean(&related.message), place.unwrap_or_default())).into());
}

fn snippet<'a>(source: &Excerpt<'_>, marks: &[Mark<'_>]) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let cut = source.cut(marks);
    let annotations = cut.marks.into_iter().map(|(span, kind, label)| kind.span(span).label(label));
    let name = if source.name.is_empty() { NAMELESS.to_owned() } else { clean(source.name) };
    Snippet::source(cut.text).path(name).line_start(cut.first_line).annotations(annotations)
}

/// Returns where something is of which no text is shown: by the path in the manifest, or by line and column.
fn location(path: &str, place: &Place, sources: &[Excerpt<'_>]) -> Option<String> {
    let (separator, within) = match place.line {
        0 => (": ", path.to_owned()),
        line => (":", format!("{line}:{}", place.column)),
    };
    let file = match sources {
        [only] if place.file.is_empty() && place.line > 0 => only.name,
        _ => place.file.as_str(),
    };
    let parts: Vec<_> = [file, &within].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| clean(&parts.join(separator)))
}

/// Returns the source of which the place can be shown; one that names no file is in the only source.
fn source<'a>(place: &Place, sources: &'a [Excerpt<'a>]) -> Option<&'a Excerpt<'a>> {
    let source = match sources {
        [only] if place.file.is_empty() => Some(only),
        sources => sources.iter().find(|source| source.name == place.file),
    };
    source.filter(|source| place.line > 0 && source.can_show(place))
}

#[cfg(test)]
mod tests;
