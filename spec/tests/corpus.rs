//! The corpus and the words from which the language is fuzzed: on each text holds what the fuzzer tries on its own.

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "elsewhere it is a library")]
mod invariants;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use spec::manifest::Manifest;
use spec::shape::{Model, Shape, Struct};

/// A fuzzer begins with these each time, so they are few and small.
const TEXTS_MAX: usize = 60;
const BYTES_MAX: u64 = 4096;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn hold(target: &str, invariants: fn(&str)) {
    for path in corpus(target) {
        println!("{}", path.display());
        invariants(&std::fs::read_to_string(path).unwrap());
    }
}

#[test]
fn what_holds_for_every_text_holds_for_manifests() {
    hold("manifest", invariants::manifest);
}

#[test]
fn what_holds_for_every_text_holds_for_compose_files() {
    hold("compose", invariants::compose);
}

#[test]
fn the_corpus_is_small() {
    let texts = [corpus("compose"), corpus("manifest")].concat();
    assert!(texts.len() <= TEXTS_MAX, "{} texts", texts.len());
    for text in texts {
        assert!(text.metadata().unwrap().len() <= BYTES_MAX, "{}", text.display());
    }
}

#[test]
fn the_words_are_those_of_the_language() {
    let mut words = BTreeSet::from(MARKS.map(str::to_owned));
    put(&Manifest::SHAPE, &mut words);
    let lines = words.iter().map(|word| format!("\"{}\"\n", escaped(word)));
    let text = format!("# Made by spec/tests/corpus.rs: UPDATE_EXPECT=1 writes it anew.\n{}", lines.collect::<String>());
    expect_file!["../fuzz/manifest.dict"].assert_eq(&text);
}

/// What YAML is made of, and forms of values.
const MARKS: [&str; 36] = [
    "- ",
    ": ",
    "? ",
    "# ",
    "\n  ",
    "\n\n",
    "\r\n",
    "\t",
    "{",
    "}",
    "[",
    "]",
    ", ",
    "|-\n",
    ">+\n",
    "&a ",
    "*a",
    "!!str ",
    "<<: *a",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "'",
    "\"",
    "\\u00e9",
    "~",
    "null",
    "true",
    "1e3",
    "$E:",
    "$S:",
    "5s",
    "512Mi",
    "70%",
    "* * * * *",
    "\u{feff}",
];

fn put(shape: &Shape, words: &mut BTreeSet<String>) {
    match shape {
        Shape::Choice(choice) => words.extend(choice.words.iter().map(|word| word.name.to_owned())),
        Shape::List(of) => put(of, words),
        Shape::Map(map) => put(map.value, words),
        Shape::Struct(of) => put_fields(of, words),
        Shape::TextOrList(text, list) => [text, list].into_iter().for_each(|shape| put(shape, words)),
        Shape::Scalar(_) | Shape::Boolean | Shape::Integer(_) | Shape::Number(_) => {}
    }
}

fn put_fields(of: &Struct, words: &mut BTreeSet<String>) {
    for field in of.fields {
        words.insert(format!("{}: ", field.name));
        put(field.shape, words);
    }
    let Some(union) = of.union else { return };
    words.extend([Some(union.tag), union.content].into_iter().flatten().map(|name| format!("{name}: ")));
    for variant in union.variants {
        words.insert(variant.name.to_owned());
        put_fields(variant.fields, words);
    }
}

/// Writes a word as libFuzzer reads it.
fn escaped(word: &str) -> String {
    let byte = |byte: u8| match byte {
        b'"' => "\\\"".to_owned(),
        b'\\' => "\\\\".to_owned(),
        b' '..=b'~' => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    word.bytes().map(byte).collect()
}
