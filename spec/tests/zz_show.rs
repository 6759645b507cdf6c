//! Whatever a text is made of: it is answered for, in little memory and with little work.
//!
//! Times are no test: `cargo xtask bench language` prints them. What is counted here is the same on every machine.

mod counting;
mod hostile;

use std::fmt::Write as _;

use expect_test::Expect;
use spec::manifest::{Source, check_file};
use spec::problem::render;

use counting::{Counts, counted};

/// Most memory that a text may take, its own size not counted.
const MEMORY_MAX: isize = 64 << 20;
/// Most allocations: some for each node that a text may have.
const ALLOCATIONS_MAX: usize = 3_000_000;

/// Answers for all texts of a kind, and compares the answers.
#[allow(dead_code)]
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

#[allow(dead_code)]
fn bounded(name: &str, Counts { peak_bytes, allocations, .. }: Counts) {
    assert!(peak_bytes < MEMORY_MAX, "{name}: {} MiB of memory", peak_bytes >> 20);
    assert!(allocations < ALLOCATIONS_MAX, "{name}: {allocations} allocations");
}

/// Returns how many problems there are, and the first.
#[allow(dead_code)]
fn answer(text: &str) -> String {
    let problems = check_file(text).problems;
    let shown = render(&problems, &[Source { name: "", text }], false);
    let first = problems.first().map(|problem| format!("{}, {problem}", problem.code.name())).unwrap_or_default();
    format!("{} problems in {} bytes; {first}", problems.len(), shown.len())
}


#[test]
fn show() {
    for (kind, texts) in hostile::KINDS { for text in texts() {
        let (_, a) = counted(|| answer(&text.text));
        let t=std::time::Instant::now();
        let (f, b) = counted(|| spec::format::format(&text.text).map(|t|t.len()).map_err(|p|p.iter().map(|p|p.message.chars().take(80).collect::<String>()).next()));
        let tf=t.elapsed();
        let t=std::time::Instant::now();
        let (i, c) = counted(|| spec::compose::import(&text.text, "x").map(|i|i.notes.len()).map_err(|p|p.len()));
        let ti=t.elapsed();
        println!("{kind}: {}: check {} {} format {} {} {tf:?} {f:?} import {} {} {ti:?} {i:?}", text.name, a.peak_bytes>>20, a.allocations, b.peak_bytes>>20, b.allocations, c.peak_bytes>>20, c.allocations);
    } }
}
