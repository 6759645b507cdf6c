//! Fields as a table.

use super::{anchor, title};
use crate::shape::{Doc, Place, PlaceKind, Shape};

const BREAK: &str = "<br>";
const UNBUILT: &str = "*Not run yet.*";
/// Leaving it out, and saying what that means, comes to the same.
const ONLY_DEFAULT: &str = "*Only the default runs yet.*";
const ADDITION: &str = "*An addition.*";

/// Writes a row for each field.
pub(super) fn put(page: &mut String, places: &[&Place]) {
    page.push_str("\n| field | type | default | meaning |\n|---|---|---|---|\n");
    for place in places {
        let default = place.default().unwrap_or_else(|| if place.required() { "required" } else { "optional" }.to_owned());
        page.push_str(&format!("| `{}` | {} | {} | {} |\n", place.name, kind(place), cell(&default), meaning(place)));
    }
}

/// Returns a text that may stand in a cell.
pub(super) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// Returns what the field's value is; where that has a section of its own, with a link.
fn kind(place: &Place) -> String {
    match (place.kind, place.shape()) {
        (PlaceKind::Tag(_), _) | (_, Some(Shape::Choice(_))) => "choice".to_owned(),
        (PlaceKind::Content(_), _) => linked("mapping", &place.path),
        (_, Some(Shape::Map(of))) if of.value.inner().is_some() => format!("mapping of {} to [service](#a-service)", of.key.name),
        (_, Some(shape)) if shape.inner().is_some() => linked(&shape.name(), &place.path),
        _ => cell(&place.type_name()),
    }
}

fn linked(name: &str, path: &str) -> String {
    format!("[{name}](#{})", anchor(&title(path)))
}

fn meaning(place: &Place) -> String {
    let mut parts: Vec<String> = place.doc.paragraphs.iter().map(|paragraph| cell(paragraph)).collect();
    parts.extend(words(place));
    let addition = place.section().is_none() && !place.parent.section.is_empty();
    let marks: Vec<&str> = [(addition, ADDITION), (place.doc.unbuilt, unbuilt(place))]
        .iter()
        .filter(|(there, _)| *there)
        .map(|(_, mark)| *mark)
        .collect();
    if !marks.is_empty() {
        parts.push(marks.join(" "));
    }
    if let Some(example) = place.example() {
        parts.push(format!("Example: `{}`", cell(&example)));
    }
    parts.join(BREAK)
}

fn unbuilt(place: &Place) -> &'static str {
    match place.kind {
        PlaceKind::Field(field) if field.default.is_some_and(|default| default().is_boolean() || default().is_number()) => {
            ONLY_DEFAULT
        }
        _ => UNBUILT,
    }
}

/// Returns the words that the field takes, each with its meaning.
fn words(place: &Place) -> Vec<String> {
    let word = |name: &str, doc: &[&str]| {
        let doc = Doc::of(doc);
        let unbuilt = if doc.unbuilt { format!(" {UNBUILT}") } else { String::new() };
        format!("`{name}`: {}{unbuilt}", cell(&doc.paragraphs.join(" ")))
    };
    match (place.kind, place.shape()) {
        (PlaceKind::Tag(union), _) => union.variants.iter().map(|variant| word(variant.name, variant.doc)).collect(),
        (_, Some(Shape::Choice(choice))) => choice.words.iter().map(|of| word(of.name, of.doc)).collect(),
        _ => Vec::new(),
    }
}
