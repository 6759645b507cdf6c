//! What holds for every text: nothing panics, what is valid is the same after it was written down or formatted, and what is shown
//! is harmless.
//!
//! The fuzzer tries these on texts of its own, and a test of `spec` on the corpus.

use spec::compose::import;
use spec::format::{format, print};
use spec::manifest::{Manifest, Reading, Source, check_file, parse, read};
use spec::problem::{Code, Problem, render};

/// Most problems that are told of one text.
const PROBLEMS_MAX: usize = 601;
/// Where reading stops telling.
const FULL: usize = 199;

/// Tries everything that is done with a manifest.
pub fn manifest(text: &str) {
    let checked = check_file(text);
    let valid = checked.manifest.is_some();
    assert_eq!(valid, !checked.problems.iter().any(Problem::is_error), "a manifest is had when there are no errors");
    shown(text, &checked.problems);
    if let Some(manifest) = &checked.manifest {
        printed(manifest);
    }
    formatted(text, checked.manifest.as_ref());
    joined(text);
}

/// What is right is read on a short way, and all else on a long one: a field too many, which takes it there, changes nothing else.
fn joined(text: &str) {
    let alone = read(text);
    let with = read(&format!("{text}stranger: 1\n"));
    let entries = |reading: &Reading| {
        let root = reading.document.as_ref()?.root.as_ref()?;
        root.tag().is_none().then(|| root.entries().len())
    };
    let one_more = entries(&with).is_some_and(|after| entries(&alone).is_some_and(|before| before > 0 && before + 1 == after));
    if text.ends_with('\n') && one_more && alone.problems.len() < FULL {
        assert_eq!(with.manifest, alone.manifest, "a stranger changes what is read");
        assert_eq!(with.problems.len(), alone.problems.len() + 1, "a stranger changes what is wrong: {:#?}", with.problems);
    }
}

/// Tries to read it as a compose file.
pub fn compose(text: &str) {
    match import(text, "folder") {
        Ok(imported) => {
            shown(text, &imported.notes);
            printed(&imported.manifest);
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "it is refused without a reason");
            shown(text, &problems);
        }
    }
}

/// The canonical form says the same, and is its own canonical form.
fn formatted(text: &str, manifest: Option<&Manifest>) {
    let form = match format(text) {
        Ok(form) => form,
        Err(problems) => {
            assert!(manifest.is_none(), "a valid manifest has no canonical form: {problems:?}");
            assert!(problems.iter().all(|problem| problem.code != Code::Other), "it cannot be formatted: {problems:?}");
            return;
        }
    };
    assert_eq!(format(&form).as_ref(), Ok(&form), "the canonical form has another one");
    assert_eq!(check_file(&form).manifest.as_ref(), manifest, "the canonical form says something else:\n{form}");
    assert_eq!(read(&form).problems.len(), read(text).problems.len(), "the canonical form is wrong elsewhere:\n{form}");
}

/// Each problem has its place in the text, and what is shown of it cannot steer a terminal.
fn shown(text: &str, problems: &[Problem]) {
    assert!(problems.len() <= PROBLEMS_MAX, "{} problems are told", problems.len());
    let lines = text.split('\n').count() as u64;
    for problem in problems {
        assert!((1..=lines).contains(&problem.place.line), "{problem:?} is in none of {lines} lines");
    }
    let told = render(problems, &[Source { name: "stead.yaml", text }], false);
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t';
    assert!(!told.contains(steers), "{told:?} steers a terminal");
}

/// A valid manifest is read as itself when it was written down.
fn printed(manifest: &Manifest) {
    let json = serde_json::to_string(manifest).expect("a manifest is data");
    for text in [json, print(manifest)] {
        let again = parse(&text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        assert_eq!(manifest, &again, "{text}");
    }
}
