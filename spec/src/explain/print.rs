//! Writes an explanation as text for a terminal.

use super::{Field, Subject, language, service};
use crate::shape::{Choice, Doc, Place, PlaceKind, Shape, Struct, Union, Variant, fields_of, fields_with, is_unbuilt};
use crate::words::and;

/// Longest line, in characters.
const WIDTH: usize = 100;
const UNBUILT: &str = "Not run by this version yet.";

/// Lines of text, each with its indentation.
#[derive(Default)]
struct Page {
    text: String,
}

pub(super) fn text(subject: &Subject) -> String {
    let mut page = Page::default();
    match subject {
        Subject::Everything => everything(&mut page),
        Subject::Entry { path, of } => {
            page.line(0, path);
            structure(&mut page, of);
        }
        Subject::Fields(fields) => fields.iter().for_each(|field| self::field(&mut page, field)),
        Subject::Variant { place, variant } => self::variant(&mut page, place, variant),
    }
    page.text
}

/// Returns a text in lines.
pub(super) fn wrapped(text: &str) -> String {
    let mut page = Page::default();
    page.hang(0, 2, text);
    page.text.trim_end().to_owned()
}

fn everything(page: &mut Page) {
    page.line(0, "The manifest");
    structure(page, language());
    page.gap();
    page.line(2, "Fields of a service (services.<name>):");
    page.fields(&fields_of(service()));
    page.gap();
    page.line(2, "`stead explain endpoints.protocol` explains one of them.");
}

fn structure(page: &mut Page, of: &'static Struct) {
    page.paragraphs(&Doc::of(of.doc));
    page.gap();
    page.line(2, "Fields:");
    page.fields(&fields_of(of));
}

fn field(page: &mut Page, Field { place, with }: &Field) {
    page.gap();
    page.line(0, &place.path);
    page.paragraphs(&place.doc);
    page.gap();
    facts(page, place, with);
    if let Some(Shape::Choice(choice)) = place.shape().map(single) {
        words(page, choice);
    }
    match place.kind {
        PlaceKind::Tag(union) => variants(page, union),
        PlaceKind::Content(union) => union.variants.iter().for_each(|variant| inputs(page, union, variant)),
        PlaceKind::Field(field) => field.shape.inner().into_iter().for_each(|inner| below(page, inner)),
    }
    if let Some(example) = place.example() {
        page.gap();
        page.line(2, "Example:");
        page.line(4, &example);
    }
}

fn facts(page: &mut Page, place: &Place, with: &[(&str, &str)]) {
    page.fact("Type", &place.type_name());
    if let Some(takes) = place.shape().and_then(|shape| takes(single(shape))) {
        page.fact("Takes", takes);
    }
    match place.default() {
        Some(default) => page.fact("Default", &default),
        None if place.required() => page.fact("Required", "yes"),
        None => {}
    }
    if !with.is_empty() {
        let with: Vec<_> = with.iter().map(|(tag, name)| format!("`{tag}: {name}`")).collect();
        page.fact("Goes with", &and(&with));
    }
    match place.section() {
        Some(section) => page.fact("From", &format!("section {section} of the OCI Service Specification, Draft v1")),
        None => page.fact("From", "Stead: an addition to the OCI Service Specification, Draft v1"),
    }
    if place.is_unbuilt() {
        page.fact("Status", UNBUILT);
    }
}

/// Returns the shape of one of a list.
fn single(shape: &'static Shape) -> &'static Shape {
    match shape {
        Shape::List(of) => single(of),
        shape => shape,
    }
}

fn takes(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::Scalar(of) => Some(of.expected),
        Shape::Integer(of) => Some(of.expected),
        Shape::Number(of) => Some(of.expected),
        _ => None,
    }
}

fn words(page: &mut Page, choice: &Choice) {
    page.gap();
    page.line(2, "Values:");
    let rows: Vec<_> = choice.words.iter().map(|word| (word.name.to_owned(), meaning(word.doc, ""))).collect();
    page.rows(&rows);
}

fn variants(page: &mut Page, union: &Union) {
    page.gap();
    page.line(2, "Values:");
    let fields = |variant: &Variant| {
        let names: Vec<_> = fields_of(variant.fields).iter().map(|place| format!("`{}`", place.name)).collect();
        if names.is_empty() { String::new() } else { format!("Goes with {}.", and(&names)) }
    };
    let row = |variant: &Variant| (variant.name.to_owned(), meaning(variant.doc, &fields(variant)));
    page.rows(&union.variants.iter().map(row).collect::<Vec<_>>());
}

fn inputs(page: &mut Page, union: &'static Union, variant: &'static Variant) {
    page.gap();
    page.line(2, &format!("With `{}: {}`:", union.tag, variant.name));
    page.fields(&fields_with(union, variant));
}

/// Lists the fields of a struct; those of each variant apart.
fn below(page: &mut Page, inner: &'static Struct) {
    let (own, _): (Vec<_>, Vec<_>) = fields_of(inner).into_iter().partition(|place| place.with.is_none());
    page.gap();
    page.line(2, "Fields:");
    page.fields(&own);
    if let Some(union) = inner.union.filter(|union| union.content.is_none()) {
        union
            .variants
            .iter()
            .filter(|variant| !variant.fields.fields.is_empty())
            .for_each(|variant| inputs(page, union, variant));
    }
}

fn variant(page: &mut Page, place: &Place, variant: &'static Variant) {
    page.line(0, &format!("{}: {}", place.path, variant.name));
    page.paragraphs(&Doc::of(variant.doc));
    if is_unbuilt(variant.doc) {
        page.gap();
        page.fact("Status", UNBUILT);
    }
    if let PlaceKind::Tag(union) = place.kind
        && !variant.fields.fields.is_empty()
    {
        page.gap();
        page.line(2, if union.content.is_some() { "Inputs:" } else { "Fields:" });
        page.fields(&fields_with(union, variant));
    }
}

fn meaning(lines: &[&str], more: &str) -> String {
    let doc = Doc::of(lines);
    let unbuilt = if doc.unbuilt { UNBUILT } else { "" };
    let parts = doc.paragraphs.iter().map(String::as_str).chain([more, unbuilt]);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

impl Page {
    fn line(&mut self, indent: usize, text: &str) {
        self.text.push_str(&format!("{:indent$}{text}\n", ""));
    }

    /// Begins a part: an empty line, but not two and not at the top.
    fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    fn paragraphs(&mut self, doc: &Doc) {
        for (index, paragraph) in doc.paragraphs.iter().enumerate() {
            if index > 0 {
                self.gap();
            }
            self.hang(2, 2, paragraph);
        }
    }

    fn fact(&mut self, name: &str, text: &str) {
        self.hang(2, 13, &format!("{name:<11}{text}"));
    }

    /// Writes a summary of each field, at the same column.
    fn fields(&mut self, places: &[Place]) {
        let summary = |place: &Place| {
            let required = if place.required() { "Required. " } else { "" };
            let unbuilt = if place.doc.unbuilt { format!(" {UNBUILT}") } else { String::new() };
            (place.name.to_owned(), format!("{required}{}{unbuilt}", place.doc.summary()))
        };
        self.rows(&places.iter().map(summary).collect::<Vec<_>>());
    }

    fn rows(&mut self, rows: &[(String, String)]) {
        let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
        for (name, text) in rows {
            self.hang(4, 4 + width, &format!("{name:<width$}{text}"));
        }
    }

    /// Writes a text in lines: the first one indented by `first`, the others by `others`.
    fn hang(&mut self, first: usize, others: usize, text: &str) {
        self.text.push_str(&" ".repeat(first));
        let mut column = first;
        let mut rest = text;
        loop {
            let (line, more) = cut(rest, WIDTH - column);
            self.text.push_str(line);
            self.text.push('\n');
            let Some(more) = more else { break };
            self.text.push_str(&" ".repeat(others));
            (column, rest) = (others, more);
        }
    }
}

/// Cuts a text at the last space that lets its beginning fit.
fn cut(text: &str, width: usize) -> (&str, Option<&str>) {
    let Some((end, _)) = text.char_indices().nth(width) else { return (text.trim_end(), None) };
    let at =
        text[..end].rfind(' ').filter(|at| !text[..*at].trim().is_empty()).or_else(|| text[end..].find(' ').map(|at| end + at));
    match at {
        Some(at) => (text[..at].trim_end(), Some(text[at..].trim_start())),
        None => (text, None),
    }
}
