//! Whatever a text is made of: it is answered for, in little memory and with little work.
//!
//! Times are no test: `cargo xtask bench language` prints them. What is counted here is the same on every machine.

mod counting;
mod hostile;

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use spec::manifest::{Source, check_file};
use spec::problem::render;

use counting::{Counts, counted};

/// Most memory that a text may take, its own size not counted.
const MEMORY_MAX: isize = 64 << 20;
/// Most allocations: some for each node that a text may have.
const ALLOCATIONS_MAX: usize = 3_000_000;

/// Answers for all texts of a kind, and compares the answers.
fn check(kind: &str, expected: &Expect) {
    let (_, texts) = hostile::KINDS.iter().find(|(name, _)| *name == kind).expect("a kind of text");
    let mut told = String::new();
    for text in texts() {
        let (answer, counts) = counted(|| answer(&text.text));
        bounded(text.name, counts);
        writeln!(told, "{}: {answer}", text.name).expect("a text takes all");
    }
    expected.assert_eq(&told);
}

fn bounded(name: &str, Counts { peak_bytes, allocations, .. }: Counts) {
    assert!(peak_bytes < MEMORY_MAX, "{name}: {} MiB of memory", peak_bytes >> 20);
    assert!(allocations < ALLOCATIONS_MAX, "{name}: {allocations} allocations");
    if std::env::var_os("STEAD_SHOW").is_some() {
        eprintln!("{name}: {:.1} MiB, {allocations}", peak_bytes as f64 / 1048576.0);
    }
}

/// Returns how many problems there are, and the first.
fn answer(text: &str) -> String {
    let problems = check_file(text).problems;
    let shown = render(&problems, &[Source { name: "", text }], false);
    let first = problems.first().map(|problem| format!("{}, {problem}", problem.code.name())).unwrap_or_default();
    format!("{} problems in {} bytes; {first}", problems.len(), shown.len())
}

#[test]
fn a_little_that_stands_for_a_lot_is_refused() {
    check("aliases", &expect![[""]]);
}

#[test]
fn what_is_too_deep_is_refused_where_it_is() {
    check("depth", &expect![[""]]);
}

#[test]
fn mistakes_are_told_up_to_a_number() {
    check("mistakes", &expect![[""]]);
}

#[test]
fn many_that_must_be_compared_are_compared_or_refused() {
    check("services", &expect![[""]]);
}

#[test]
fn what_is_large_is_read_or_refused() {
    check("size", &expect![[""]]);
}

#[test]
fn what_is_many_is_read_or_refused() {
    check(
        "width",
        &expect![[r#"
        items: 1 problems in 102 bytes; syntax, 1:400000: this makes more than 200000 values, counting those that aliases stand for
        items on lines: 1 problems in 149 bytes; syntax, 200000:2: this makes more than 200000 values, counting those that aliases stand for
        empty lists: 1 problems in 102 bytes; syntax, 1:599999: this makes more than 200000 values, counting those that aliases stand for
        empty mappings: 1 problems in 102 bytes; syntax, 1:599999: this makes more than 200000 values, counting those that aliases stand for
        keys: 1 problems in 160 bytes; syntax, 100000:7: this makes more than 200000 values, counting those that aliases stand for
        keys without values: 1 problems in 102 bytes; syntax, 1:688891: this makes more than 200000 values, counting those that aliases stand for
        the same key: 1 problems in 157 bytes; duplicate_key, 2:1: the key `a` is there twice (keep one of the two)
        the same key at the end: 1 problems in 160 bytes; syntax, 100000:7: this makes more than 200000 values, counting those that aliases stand for
        tags: 1 problems in 103 bytes; syntax, 1:1000000: this makes more than 200000 values, counting those that aliases stand for
        tags on a value: 1 problems in 62 bytes; syntax, 1:4: did not find expected <document start>
        documents: 1 problems in 140 bytes; syntax, 2:1: a second document begins here (put each document into a file of its own)
        directives: 1 problems in 88 bytes; syntax, 1:1: YAML directives are disallowed
        colons: 1 problems in 76 bytes; syntax, 1:1048576: mapping values are not allowed in this context
        commas: 1 problems in 77 bytes; syntax, 1:2: unexpected EOF while parsing an implicit flow mapping
        brackets that do not match: 1 problems in 60 bytes; syntax, 1:1: mismatched bracket '[' closed by '}'
    "#]],
    );
}
