//! `cargo xtask tidy`: the rules about the sources, the formatter and the linter.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::tidy::{Level, findings};
use crate::workspace;

/// Check the sources: who imports whom, purity, lists, lengths, format, lints.
#[derive(clap::Args)]
pub struct Tidy {}

impl Tidy {
    pub fn run(self) -> Result<ExitCode> {
        let sources = sources()?;
        let format = format()?;
        let lints = lints();
        Ok(if sources && format && lints { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Prints what the rules find; returns whether nothing of it is an error.
pub(super) fn sources() -> Result<bool> {
    println!("tidy: sources");
    let findings = findings()?;
    for finding in &findings {
        println!("{finding}");
    }
    Ok(findings.iter().all(|finding| finding.level == Level::Warning))
}

/// Prints the files that are not formatted; returns whether there are none.
pub(super) fn format() -> Result<bool> {
    println!("tidy: format");
    let fmt = || workspace::cargo().arg("fmt");
    let check = ["--", "--check", "-l"];
    // What is fuzzed is a workspace of its own.
    let fuzz = workspace::root().join("spec/fuzz/Cargo.toml");
    let ours = fmt().arg("--all").args(check).run();
    let Err(error) = ours.and_then(|_| fmt().arg("--manifest-path").arg(fuzz).args(check).run()) else { return Ok(true) };
    let (text, root) = (format!("{error:#}"), workspace::root());
    let files: Vec<&str> = text.lines().filter(|line| line.ends_with(".rs") && Path::new(line).is_file()).collect();
    if files.is_empty() {
        return Err(error);
    }
    for file in files {
        let file = Path::new(file).strip_prefix(&root).unwrap_or(Path::new(file));
        println!("{}:1: is not formatted; run `cargo fmt --all`", file.display());
    }
    Ok(false)
}

/// Shows what the linter finds, a line each; returns whether that is nothing.
pub(super) fn lints() -> bool {
    println!("tidy: lints");
    let lint = ["clippy", "--quiet", "--workspace", "--all-targets", "--message-format", "short", "--", "-D", "warnings"];
    match workspace::cargo().args(lint).show() {
        Ok(()) => true,
        Err(error) => {
            println!("{error:#}; without `--message-format short` it says more");
            false
        }
    }
}
