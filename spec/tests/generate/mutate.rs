//! Changes that make a good manifest a bad one, or another good one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use spec::shape::{PlaceKind, visit};

use super::LANGUAGE;

/// Returns manifests in each of which one thing was changed at a random place.
pub(crate) fn mutated(manifests: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    (manifests, any::<Index>(), change()).prop_map(|(manifest, place, change)| changed(manifest, place, &change)).boxed()
}

#[derive(Clone, Debug)]
enum Change {
    /// Another value, of whatever type.
    Replace(Value),
    /// A character more, less or other.
    Edit(Index, Edit),
    Drop(Index),
    /// A field that belongs elsewhere, or nowhere.
    Add(String, Value),
    Rename(Index, String),
}

#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Insert(char),
    Remove,
    Replace(char),
}

fn change() -> impl Strategy<Value = Change> {
    let name = proptest::sample::select(names());
    let value = proptest::sample::select(values());
    prop_oneof![
        3 => value.clone().prop_map(Change::Replace),
        1 => name.clone().prop_map(|name| Change::Replace(name.into())),
        2 => (any::<Index>(), edit()).prop_map(|(at, edit)| Change::Edit(at, edit)),
        2 => any::<Index>().prop_map(Change::Drop),
        2 => (name.clone(), value).prop_map(|(name, value)| Change::Add(name, value)),
        1 => (any::<Index>(), name).prop_map(|(at, name)| Change::Rename(at, name)),
    ]
}

pub(crate) fn edit() -> impl Strategy<Value = Edit> + Clone {
    let c = prop_oneof![4 => proptest::char::range(' ', '~'), 1 => proptest::sample::select(vec!['\0', '\n', '\t', 'é', '\u{2028}', 'ſ', '٣'])];
    prop_oneof![c.clone().prop_map(Edit::Insert), Just(Edit::Remove), c.prop_map(Edit::Replace)]
}

/// Returns a text with one character changed.
pub(crate) fn edited(text: &str, at: Index, edit: &Edit) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    match (edit, chars.len()) {
        (Edit::Insert(c), length) => chars.insert(at.index(length + 1), *c),
        (_, 0) => {}
        (Edit::Remove, length) => drop(chars.remove(at.index(length))),
        (Edit::Replace(c), length) => chars[at.index(length)] = *c,
    }
    chars.into_iter().collect()
}

/// Returns all names of fields and all words of the language, and some that are none.
fn names() -> Vec<String> {
    let mut names: BTreeSet<String> = ["", "x", "<<", "Name", "nginx:alpine", "10s"].map(str::to_owned).into();
    let root = LANGUAGE.inner().expect("a manifest is a mapping");
    visit(root, &mut |place| {
        names.insert(place.name.to_owned());
        if let PlaceKind::Tag(union) = place.kind {
            names.extend(union.variants.iter().map(|variant| variant.name.to_owned()));
        }
        names.extend(place.type_name().split(" | ").map(str::to_owned));
    });
    names.into_iter().collect()
}

fn values() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(0.5),
        json!(65536),
        json!(1_000_001),
        json!(u64::MAX),
        json!(""),
        json!("8080"),
        json!("a b"),
        json!([]),
        json!([""]),
        json!([null]),
        json!({}),
        json!({"x": {}}),
        json!({"name": "a"}),
        json!({"type": "http"}),
        json!({"mode": "fixed", "replicas": 1}),
    ]
}

fn changed(mut manifest: Value, place: Index, change: &Change) -> Value {
    let mut pointers = Vec::new();
    collect(&manifest, String::new(), &mut pointers);
    let fitting: Vec<&String> =
        pointers.iter().filter(|pointer| manifest.pointer(pointer).is_some_and(|value| fits(value, change))).collect();
    if !fitting.is_empty() {
        let pointer = fitting[place.index(fitting.len())].clone();
        apply(manifest.pointer_mut(&pointer).expect("it was just found"), change);
    }
    manifest
}

/// Collects the place of each value, as a JSON pointer (RFC 6901).
fn collect(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            fields
                .iter()
                .for_each(|(name, value)| collect(value, format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all));
        }
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| collect(value, format!("{at}/{index}"), all)),
        _ => {}
    }
    all.push(at);
}

fn fits(value: &Value, change: &Change) -> bool {
    match change {
        Change::Replace(_) => true,
        Change::Edit(..) => value.is_string(),
        Change::Drop(_) | Change::Rename(..) => value.as_object().is_some_and(|fields| !fields.is_empty()),
        Change::Add(..) => value.is_object(),
    }
}

fn apply(value: &mut Value, change: &Change) {
    match (change, value) {
        (Change::Replace(other), value) => *value = other.clone(),
        (Change::Edit(at, edit), Value::String(text)) => *text = edited(text, *at, edit),
        (Change::Drop(at), Value::Object(fields)) => drop(fields.remove(&nth(fields, *at))),
        (Change::Add(name, value), Value::Object(fields)) => drop(fields.insert(name.clone(), value.clone())),
        (Change::Rename(at, name), Value::Object(fields)) => {
            let value = fields.remove(&nth(fields, *at)).unwrap_or_default();
            fields.insert(name.clone(), value);
        }
        _ => {}
    }
}

fn nth(fields: &serde_json::Map<String, Value>, at: Index) -> String {
    fields.keys().nth(at.index(fields.len())).cloned().unwrap_or_default()
}
