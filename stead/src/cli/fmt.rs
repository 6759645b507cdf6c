//! `stead fmt`: manifests in their canonical form.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anyhow::Context as _;
use similar::{ChangeTag, TextDiff};
use spec::problem::summary;

use super::input::{Input, is_stdin};
use super::problems;
use super::replace::{replace, replaceable};
use super::show::{self, BAD, DIM, GOOD};

/// Bring manifests into their canonical form.
///
/// That is the language's order of fields, two spaces for each level, and all comments where they were.
/// Files are rewritten in one step, and keep their mode and attributes; each one that changes is named. Of standard input, the canonical form is
/// printed. A file that is no YAML stays as it is.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead fmt shop.yaml
  stead fmt --check *.yaml      say what would change, and end with 1 if anything would
  stead fmt - < shop.yaml")]
pub(super) struct Args {
    /// The manifests, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Change nothing; show what would change
    #[arg(long)]
    check: bool,
}

/// Lines around a difference.
const CONTEXT: usize = 3;

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut good = true;
    for file in &args.files {
        // One that cannot be done keeps none of the others from it.
        good &= one(file, args.check).unwrap_or_else(|error| {
            show::error(&error);
            false
        });
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Formats one file; returns whether it is, or with `check` whether it was, as it should be.
fn one(file: &Path, check: bool) -> anyhow::Result<bool> {
    // Before it is read: what is taken out of a pipe cannot be put back.
    if let Ok(metadata) = std::fs::metadata(file)
        && !(check || is_stdin(file) || metadata.is_dir())
    {
        replaceable(&metadata).with_context(|| format!("{} cannot be rewritten", show::name(file)))?;
    }
    let input = Input::read(file)?;
    let text = spec::format::format(&input.text).map_err(|problems| {
        problems::tell(&problems, &input);
        anyhow::anyhow!("{}: {}; it stays as it is", show::line(&input.name), summary(&problems))
    })?;
    match (check, text == input.text) {
        (true, false) => {
            print_difference(&input, &text);
            return Ok(false);
        }
        (false, _) if is_stdin(file) => show::print_whole(&text)?,
        (false, false) => {
            replace(file, &text).with_context(|| format!("{} cannot be rewritten", show::name(file)))?;
            println!("{}", show::line(&input.name));
        }
        (_, true) => {}
    }
    Ok(true)
}

/// Prints what formatting would change, in the unified form.
fn print_difference(input: &Input, text: &str) {
    let name = show::line(&input.name);
    println!("{} {name}\n{} {name}, formatted", show::paint(BAD, "---"), show::paint(GOOD, "+++"));
    let difference = TextDiff::from_lines(input.text.as_str(), text);
    for hunk in difference.unified_diff().context_radius(CONTEXT).iter_hunks() {
        println!("{}", show::paint(DIM, hunk.header()));
        for change in hunk.iter_changes() {
            let line = show::plain(change.value().trim_end_matches('\n'));
            match change.tag() {
                ChangeTag::Equal => println!(" {line}"),
                ChangeTag::Delete => println!("{}", show::paint(BAD, format!("-{line}"))),
                ChangeTag::Insert => println!("{}", show::paint(GOOD, format!("+{line}"))),
            }
        }
    }
}
