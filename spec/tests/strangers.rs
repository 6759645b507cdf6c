//! What is right is read on a short way, and all else on a long one: both come to the same end.
//!
//! A field that the language does not have takes any manifest off the short way, and changes nothing else.

mod generate;

use generate::{json, manifest, mutated};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::Value;
use spec::manifest::read;

fn stranger(mut manifest: Value) -> Result<(), TestCaseError> {
    let alone = read(&json(&manifest));
    manifest["stranger"] = 1.into();
    let with = read(&json(&manifest));
    prop_assert_eq!(&with.manifest, &alone.manifest, "{:#}", manifest);
    let others: Vec<_> =
        with.problems.iter().filter(|problem| problem.path != "stranger").map(|problem| &problem.message).collect();
    let before: Vec<_> = alone.problems.iter().map(|problem| &problem.message).collect();
    prop_assert_eq!(others, before, "{:#}", manifest);
    Ok(())
}

fn check(manifests: &BoxedStrategy<Value>) {
    let objects = manifests.clone().prop_filter("fields can be added", Value::is_object);
    let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(&objects, stranger).unwrap();
}

#[test]
fn a_stranger_changes_nothing_of_a_right_manifest() {
    check(&manifest());
}

#[test]
fn a_stranger_changes_nothing_of_a_wrong_manifest() {
    check(&mutated(manifest()));
}
