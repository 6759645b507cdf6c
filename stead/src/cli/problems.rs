//! How the problems of manifests are shown.

use anstream::eprintln;
use spec::problem::{Problem, render};

use super::input::Input;

/// Shows problems of one text with the lines they are about, where errors go.
pub(super) fn tell(problems: &[Problem], input: &Input) {
    if !problems.is_empty() {
        eprintln!("{}", render(problems, &[input.source()], true));
    }
}

/// Returns the problems that are not among those that are known.
pub(super) fn unknown(problems: &[Problem], known: &[Problem]) -> Vec<Problem> {
    let same = |one: &Problem, other: &Problem| (one.code, &one.path, &one.message) == (other.code, &other.path, &other.message);
    problems.iter().filter(|problem| !known.iter().any(|known| same(problem, known))).cloned().collect()
}
