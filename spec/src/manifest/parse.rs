//! From text to a typed manifest. JSON is read by the same rules: it is a subset of YAML 1.2.

use serde_saphyr::options;

use super::Manifest;
use super::locate::Locations;
use super::validate::validate;
use crate::problem::Problem;

/// Longest manifest that is read.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads and validates a manifest; returns all that is wrong with it, each with its place in `text`.
pub fn parse(text: &str) -> Result<Manifest, Vec<Problem>> {
    if text.len() > MAX_BYTES {
        return Err(vec![Problem::at("", format!("the manifest has {} bytes; at most {MAX_BYTES} are read", text.len()))]);
    }
    let manifest: Manifest = serde_saphyr::from_str_with_options(text, strict()).map_err(|error| vec![located(&error)])?;
    let mut problems = validate(&manifest);
    if problems.is_empty() {
        return Ok(manifest);
    }
    let locations = Locations::of(text);
    for problem in &mut problems {
        (problem.line, problem.column) = locations.find(&problem.path);
    }
    // As a person reads: from the top.
    problems.sort_by_key(|problem| (problem.line, problem.column));
    Err(problems)
}

/// Types are what they look like: `no`, `0o17` and `1e3` are not texts, and tags, merge keys and alias bombs are refused.
pub(super) fn strict() -> serde_saphyr::Options {
    options! {
        with_snippet: false,
        no_schema: true,
        strict_booleans: false,
        reject_unsupported_tags: true,
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_depth: 32,
            max_documents: 1,
            max_aliases: 200,
            max_anchors: 200,
            max_merge_keys: 0,
        },
    }
}

fn located(error: &serde_saphyr::Error) -> Problem {
    let (line, column) = error.location().map_or((0, 0), |location| (location.line(), location.column()));
    let message = error.to_string();
    // The parser puts the place in front or behind; it has its own fields here.
    let message = message.split(" at line ").next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    Problem { line, column, ..Problem::at("", message) }
}
