//! Generated manifests, driven by the shape of the language: a field added to the model is generated without a line here.
//!
//! [`manifest`] makes what the reader accepts: types, required fields and unions are right. [`valid_manifest`] makes what holds
//! across fields too.

#![allow(dead_code, unused_imports, reason = "not every test file uses all of it")]

mod mutate;
mod repair;
mod text;

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Number, Value};
use spec::manifest::Manifest;
use spec::shape::{Field, Model, Shape, Struct, Variant};

pub(crate) use mutate::{edit, edited, mutated};
pub(crate) use text::scalar;

/// The language itself.
pub(crate) const LANGUAGE: &Shape = &Manifest::SHAPE;

/// Returns manifests as JSON in which each value is of the right type.
pub(crate) fn manifest() -> BoxedStrategy<Value> {
    value(LANGUAGE)
}

/// Returns manifests as JSON against which nothing but warnings speaks.
pub(crate) fn valid_manifest() -> BoxedStrategy<Value> {
    let valid = |value: &Value| spec::manifest::parse(&json(value)).is_ok();
    manifest().prop_map(repair::repaired).prop_filter("rules across fields", valid).boxed()
}

/// Writes a value as JSON that is YAML too: what YAML does not count among the printable characters is escaped.
pub(crate) fn json(value: &Value) -> String {
    let printable = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}');
    let mut text = String::new();
    for c in value.to_string().chars() {
        if printable(c) {
            text.push(c);
        } else {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        }
    }
    text
}

/// Returns values of a shape.
pub(crate) fn value(shape: &'static Shape) -> BoxedStrategy<Value> {
    match shape {
        Shape::Scalar(of) => scalar(of).prop_map(Value::from).boxed(),
        Shape::Boolean => any::<bool>().prop_map(Value::from).boxed(),
        Shape::Integer(of) => integer(of.min, of.max).prop_map(Value::from).boxed(),
        Shape::Number(of) => number(of.min, of.max).prop_map(Value::Number).boxed(),
        Shape::Choice(of) => (0..of.words.len()).prop_map(|at| of.words[at].name.into()).boxed(),
        Shape::List(of) => vec(value(of), 0..4).prop_map(Value::from).boxed(),
        Shape::Map(of) => {
            // A deployment without services is of the right type, and of no use.
            let least = usize::from(of.value.inner().is_some());
            btree_map(scalar(of.key), value(of.value), least..4).prop_map(|map| Value::Object(map.into_iter().collect())).boxed()
        }
        Shape::Struct(of) => structure(of).prop_map(Value::Object).boxed(),
        Shape::TextOrList(text, list) => prop_oneof![value(text), value(list)].boxed(),
    }
}

/// Mostly small ones, and the bounds.
fn integer(min: u64, max: u64) -> impl Strategy<Value = u64> {
    prop_oneof![6 => min..=max.min(min + 20), 2 => min..=max, 1 => Just(min), 1 => Just(max)]
}

fn number(min: f64, max: f64) -> impl Strategy<Value = Number> {
    let (first, last) = ((min * 1000.0).ceil() as u64, (max * 1000.0).floor() as u64);
    integer(first, last).prop_map(|thousandths| match thousandths % 1000 {
        0 => Number::from(thousandths / 1000),
        _ => Number::from_f64(thousandths as f64 / 1000.0).expect("it is finite"),
    })
}

type Fields = Map<String, Value>;

fn structure(of: &'static Struct) -> BoxedStrategy<Fields> {
    let own = fields(of);
    let Some(union) = of.union else { return own };
    let variants = proptest::strategy::Union::new(union.variants.iter().map(|variant| {
        let tagged = union.default != Some(variant.name);
        (any::<bool>(), any::<bool>(), structure(variant.fields)).prop_map(move |(tag, content, inner)| {
            let mut all = Fields::new();
            if tagged || tag {
                all.insert(union.tag.to_owned(), variant.name.into());
            }
            put_inner(&mut all, union.content, variant, content, inner);
            all
        })
    }));
    (own, variants).prop_map(|(own, rest)| own.into_iter().chain(rest).collect()).boxed()
}

/// Puts the fields of a variant where they belong; a field that would hold none may be left out.
fn put_inner(all: &mut Fields, content: Option<&str>, variant: &Variant, always: bool, inner: Fields) {
    match content {
        None => all.extend(inner),
        Some(content) if always || !inner.is_empty() || variant.fields.fields.iter().any(Field::required) => {
            all.insert(content.to_owned(), Value::Object(inner));
        }
        Some(_) => {}
    }
}

/// Returns the fields that are no union's: all that are required, and some that are not.
fn fields(of: &'static Struct) -> BoxedStrategy<Fields> {
    let none: BoxedStrategy<BTreeMap<String, Value>> = Just(BTreeMap::new()).boxed();
    let all = of.fields.iter().fold(none, |others, field| {
        let there = value(field.shape);
        let there = if field.required() { there.prop_map(Some).boxed() } else { option::weighted(0.3, there).boxed() };
        (others, there)
            .prop_map(|(mut all, value)| {
                all.extend(value.map(|value| (field.name.to_owned(), value)));
                all
            })
            .boxed()
    });
    all.prop_map(|all| all.into_iter().collect()).boxed()
}
