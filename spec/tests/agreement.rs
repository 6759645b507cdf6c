//! The schema, the reader and the patterns say the same of every manifest; so do the examples of the reference.

mod generate;

use std::collections::BTreeMap;

use generate::{LANGUAGE, edit, edited, json, manifest, mutated};
use jsonschema::Validator;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use spec::manifest::{read, read_part};
use spec::shape::{PlaceKind, Scalar, Shape, visit};

fn validator() -> Validator {
    jsonschema::draft202012::new(&spec::schema::schema()).expect("the schema is one")
}

/// So many cases, or `PROPTEST_CASES`.
fn runner(cases: u32) -> TestRunner {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    TestRunner::new(Config { cases: asked.unwrap_or(cases), failure_persistence: None, ..Config::default() })
}

#[test]
fn the_schema_is_a_schema() {
    jsonschema::draft202012::meta::validate(&spec::schema::schema()).unwrap();
}

#[test]
fn every_generated_manifest_is_taken_by_reader_and_schema() {
    let validator = validator();
    let property = |manifest: Value| {
        let problems = read(&json(&manifest)).problems;
        prop_assert!(problems.is_empty(), "{problems:?}\n{manifest:#}");
        let errors: Vec<String> =
            validator.iter_errors(&manifest).map(|error| format!("{}: {error}", error.instance_path())).collect();
        prop_assert!(errors.is_empty(), "{errors:?}\n{manifest:#}");
        Ok(())
    };
    runner(512).run(&manifest(), property).unwrap();
}

#[test]
fn reader_and_schema_say_the_same_of_every_mutated_manifest() {
    let validator = validator();
    let property = |manifest: Value| {
        let errors: Vec<String> =
            validator.iter_errors(&manifest).map(|error| format!("{}: {error}", error.instance_path())).collect();
        let problems = read(&json(&manifest)).problems;
        prop_assert_eq!(errors.is_empty(), problems.is_empty(), "schema: {:?}\nreader: {:?}\n{:#}", errors, problems, manifest);
        Ok(())
    };
    runner(1024).run(&mutated(manifest()), property).unwrap();
}

#[test]
fn what_is_generated_as_valid_is_valid() {
    let property = |manifest: Value| {
        prop_assert!(spec::manifest::parse(&json(&manifest)).is_ok());
        Ok(())
    };
    runner(128).run(&generate::valid_manifest(), property).unwrap();
}

/// Returns all forms of texts, keys of mappings included, by name and pattern.
fn scalars() -> Vec<&'static Scalar> {
    fn collect(shape: &'static Shape, all: &mut BTreeMap<(&str, &str), &'static Scalar>) {
        match shape {
            Shape::Scalar(of) => drop(all.insert((of.name, of.pattern), of)),
            Shape::List(of) => collect(of, all),
            Shape::Map(of) => {
                all.insert((of.key.name, of.key.pattern), of.key);
                collect(of.value, all);
            }
            Shape::TextOrList(text, list) => [text, list].into_iter().for_each(|shape| collect(shape, all)),
            Shape::Boolean | Shape::Integer(_) | Shape::Number(_) | Shape::Choice(_) | Shape::Struct(_) => {}
        }
    }
    let mut all = BTreeMap::new();
    visit(LANGUAGE.inner().unwrap(), &mut |place| place.shape().into_iter().for_each(|shape| collect(shape, &mut all)));
    all.into_values().collect()
}

#[test]
fn the_pattern_of_every_form_agrees_with_its_check() {
    for of in scalars() {
        let pattern = serde_json::json!({ "pattern": of.pattern });
        let pattern = jsonschema::draft202012::new(&pattern).expect(of.pattern);
        let edits = vec((any::<Index>(), edit()), 0..4);
        let texts = (generate::scalar(of), edits)
            .prop_map(|(text, edits)| edits.iter().fold(text, |text, (at, edit)| edited(&text, *at, edit)));
        let property = |text: String| {
            let checked = (of.check)(&text);
            prop_assert_eq!(checked.is_ok(), pattern.is_valid(&text.as_str().into()), "{} {:?}: {:?}", of.name, text, checked);
            Ok(())
        };
        runner(2000).run(&texts, property).unwrap();
    }
}

#[test]
fn every_field_has_an_example_that_is_read() {
    let mut missing = Vec::new();
    visit(LANGUAGE.inner().unwrap(), &mut |place| {
        let Some(example) = place.example() else { return missing.push(place.path.clone()) };
        let document = spec::yaml::parse(&example).unwrap_or_else(|fault| panic!("{}: {example}: {fault:?}", place.path));
        let node =
            document.root.as_ref().and_then(|root| root.get(place.name)).unwrap_or_else(|| panic!("{}: {example}", place.path));
        let problems = match place.kind {
            PlaceKind::Field(field) => read_part(&example, node, field.shape).1,
            PlaceKind::Tag(union) => {
                assert!(node.text().and_then(|name| union.variant(name)).is_some(), "{}: {example}", place.path);
                Vec::new()
            }
            PlaceKind::Content(union) => read_part(&example, node, &Shape::Struct(union.variants[0].fields)).1,
        };
        assert!(problems.is_empty(), "{}: {example}: {problems:?}", place.path);
    });
    assert!(missing.is_empty(), "fields without an example: {missing:?}");
}
