//! A validator by other people, in another language, says the same by the schema as the reader does without it.

mod generate;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use generate::{json, manifest, mutated};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use spec::manifest::read;
use spec::yaml::{Content, Node, Plain};

/// Reads a schema and documents; says of each document whether it is valid.
const PEER: &str = "
import json, sys
from jsonschema import Draft202012Validator
asked = json.load(sys.stdin)
Draft202012Validator.check_schema(asked['schema'])
validator = Draft202012Validator(asked['schema'])
json.dump([validator.is_valid(case) for case in asked['cases']], sys.stdout)
";

/// A document, and whether the reader takes the text it is from.
struct Case {
    text: String,
    document: Value,
    is_read: bool,
}

/// Asks Debian's python3-jsonschema, which `cargo xtask test` installs.
fn ask(cases: &[Case]) -> Vec<bool> {
    let mut python = Command::new("/usr/bin/python3");
    let mut python = python.args(["-c", PEER]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let documents: Vec<&Value> = cases.iter().map(|case| &case.document).collect();
    let question = json!({ "schema": spec::schema::schema(), "cases": documents });
    python.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "python3-jsonschema is missing, or finds fault with the schema: see above");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn check(mut cases: Vec<Case>) -> usize {
    // In Python `$` matches before the last end of a line too, other than in ECMA-262.
    cases.retain(|case| !has(&case.document, &|text| text.ends_with('\n')));
    let accepted = ask(&cases);
    let validator = jsonschema::draft202012::new(&spec::schema::schema()).unwrap();
    assert_eq!(accepted.len(), cases.len());
    for (case, accepted) in cases.iter().zip(accepted) {
        assert_eq!(accepted, case.is_read, "the peer and the reader differ on\n{}", case.text);
        assert_eq!(accepted, validator.is_valid(&case.document), "two validators differ on\n{}", case.text);
    }
    cases.len()
}

fn has(value: &Value, what: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => what(text),
        Value::Array(items) => items.iter().any(|item| has(item, what)),
        Value::Object(fields) => fields.iter().any(|(name, value)| what(name) || has(value, what)),
        _ => false,
    }
}

#[test]
fn a_peer_says_the_same_of_generated_and_mutated_manifests() {
    let mut runner = TestRunner::deterministic();
    let kinds = [manifest(), mutated(manifest()).boxed(), mutated(manifest())];
    let case = |index: usize| {
        let document = kinds[index % kinds.len()].new_tree(&mut runner).unwrap().current();
        let text = json(&document);
        Case { is_read: read(&text).problems.is_empty(), text, document }
    };
    assert!(check((0..600).map(case).collect()) > 500);
}

#[test]
fn a_peer_says_the_same_of_all_examples_and_mistakes() {
    let cases: Vec<Case> = texts().into_iter().filter_map(case).collect();
    let good = cases.iter().filter(|case| case.is_read).count();
    let (all, bad) = (cases.len(), cases.len() - good);
    assert!(good > 25 && bad > 80, "{good} good ones and {bad} bad ones of {all}");
    check(cases);
}

/// Returns all manifests that lie in this repository: the examples, and the tables of mistakes.
fn texts() -> Vec<String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = files(&here.join("../examples"), "yaml").into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    let tables = files(&here.join("tests/mistakes"), "txt").into_iter().map(|path| std::fs::read_to_string(path).unwrap());
    examples.chain(tables.flat_map(|table| mistakes(&table))).collect()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|own| own == extension)).collect();
    files.sort();
    files
}

/// Returns the files of a table's cases.
fn mistakes(table: &str) -> Vec<String> {
    let case = |case: &str| -> Vec<String> {
        let text = case.split_once('\n').unwrap().1.split(">>>>>>>>\n").next().unwrap();
        match text.strip_prefix("++++++++ ") {
            Some(several) => several.split("++++++++ ").map(|file| file.split_once('\n').unwrap().1.to_owned()).collect(),
            None => vec![text.to_owned()],
        }
    };
    table.split("######## ").skip(1).flat_map(case).collect()
}

/// Returns the document of a text; `None` for what JSON does not have: no YAML, nothing, a whole number with a fraction.
fn case(text: String) -> Option<Case> {
    let document = document(spec::yaml::parse(&text).ok()?.root.as_ref()?)?;
    Some(Case { is_read: read(&text).problems.is_empty(), text, document })
}

/// What only YAML has, tags and doubtful words, becomes null, which is valid nowhere.
fn document(node: &Node) -> Option<Value> {
    let value = match (&node.content, node.plain()) {
        _ if node.tag().is_some() => Value::Null,
        (Content::Mapping { entries, .. }, _) => {
            let entry = |entry: &spec::yaml::Entry| Some((entry.key.text()?.to_owned(), document(&entry.value)?));
            Value::Object(entries.iter().map(entry).collect::<Option<_>>()?)
        }
        (Content::Sequence { items, .. }, _) => items.iter().map(document).collect::<Option<_>>()?,
        (_, Some(Plain::Null | Plain::Doubtful)) => Value::Null,
        (_, Some(Plain::Boolean(value))) => value.into(),
        (_, Some(Plain::Integer(value))) => value.into(),
        (_, Some(Plain::Float(value))) if value.fract() == 0.0 => return None,
        (_, Some(Plain::Float(value))) => value.into(),
        (Content::Scalar { text, .. }, _) => text.to_string().into(),
    };
    Some(value)
}
