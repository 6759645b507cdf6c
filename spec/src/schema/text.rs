//! What the schema says to people: descriptions, defaults, examples.

use serde_json::{Map, Value, json};

use crate::shape::{Doc, Place, PlaceKind, Shape, Struct};
use crate::yaml;

const UNBUILT: &str = "Not run by this version of Stead yet.";
const ADDITION: &str = "An addition to the OCI Service Specification, Draft v1.";

/// Returns what a doc comment says, as paragraphs.
pub(super) fn of_lines(lines: &[&str]) -> String {
    let doc = Doc::of(lines);
    let unbuilt = doc.unbuilt.then(|| UNBUILT.to_owned());
    doc.paragraphs.into_iter().chain(unbuilt).collect::<Vec<_>>().join(" ")
}

pub(super) fn of_struct(of: &Struct) -> String {
    paragraphs(Doc::of(of.doc).paragraphs, of.section)
}

fn paragraphs(mut paragraphs: Vec<String>, section: &str) -> String {
    paragraphs.push(match section {
        "" => ADDITION.to_owned(),
        section => format!("Section {section} of the OCI Service Specification, Draft v1."),
    });
    paragraphs.join("\n\n")
}

/// Returns the schema of a tag, or of the field that holds the rest.
pub(super) fn of_union(place: &Place) -> Value {
    match place.kind {
        PlaceKind::Tag(union) => {
            let names: Vec<_> = union.variants.iter().map(|variant| variant.name).collect();
            let meanings: Vec<_> = union.variants.iter().map(|variant| of_lines(variant.doc)).collect();
            json!({ "type": "string", "enum": names, "enumDescriptions": meanings })
        }
        PlaceKind::Content(_) | PlaceKind::Field(_) => json!({ "type": "object" }),
    }
}

/// Puts what is known of a field beside its type.
pub(super) fn annotate(place: &Place, schema: &mut Map<String, Value>) {
    let mut all = place.doc.paragraphs.clone();
    all.extend(place.doc.default.as_ref().map(|default| format!("Default: {default}.")));
    all.extend(place.doc.unbuilt.then(|| UNBUILT.to_owned()));
    all.extend(place.section().is_none().then(|| ADDITION.to_owned()));
    schema.insert("description".to_owned(), all.join("\n\n").into());
    if let Some(default) = default(place) {
        schema.insert("default".to_owned(), default);
    }
    if let Some(example) = example(place) {
        schema.insert("examples".to_owned(), json!([example]));
    }
}

/// Returns the value that absence stands for. Only single values: editors offer it for insertion.
fn default(place: &Place) -> Option<Value> {
    match place.kind {
        PlaceKind::Tag(union) => union.default.map(Value::from),
        PlaceKind::Content(_) => None,
        PlaceKind::Field(field) => {
            Some(field.default?()).filter(|value| value.is_string() || value.is_boolean() || value.is_number())
        }
    }
}

/// Returns the example's value; none where the words are listed anyway.
fn example(place: &Place) -> Option<Value> {
    if matches!(place.kind, PlaceKind::Tag(_)) || matches!(place.shape(), Some(Shape::Choice(_) | Shape::Boolean)) {
        return None;
    }
    let text = place.example()?;
    let document = yaml::parse(&text).ok()?;
    let node = document.root.as_ref()?.get(place.name)?;
    match place.kind {
        PlaceKind::Field(field) => crate::manifest::read_part(&text, node, field.shape).0,
        PlaceKind::Tag(_) => None,
        PlaceKind::Content(union) => {
            let inner = Shape::Struct(union.variants.first()?.fields);
            crate::manifest::read_part(&text, node, &inner).0
        }
    }
}
