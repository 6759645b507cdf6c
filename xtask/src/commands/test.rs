//! `cargo xtask test`: everything that says whether Stead works. The summary of the test runner comes last.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::{deny, e2e, tidy};
use crate::{fuzz, packages, scenarios, workspace};

/// How long the language is fuzzed; `cargo xtask soak language` goes on from there.
const FUZZED: Duration = Duration::from_secs(60);

/// Run all checks and tests: tidy, deny, a minute of fuzzing, the scenarios in virtual machines, and then all tests of the workspace.
#[derive(clap::Args)]
pub struct Test {}

impl Test {
    pub fn run(self) -> Result<ExitCode> {
        packages::ensure(&[packages::BUILD, packages::TESTS, packages::MACHINES])?;
        let mut failed = Vec::new();
        let mut step = |name: &'static str, outcome: Result<bool>| {
            if let Err(error) = &outcome {
                println!("{name}: {error:#}");
            }
            if !matches!(outcome, Ok(true)) {
                failed.push(name);
            }
        };
        step("tidy: sources", tidy::sources());
        step("tidy: format", tidy::format());
        step("tidy: lints", Ok(tidy::lints()));
        step("deny", deny::check());
        step("fuzz", fuzz::check(FUZZED));
        step("e2e", e2e::run(scenarios::ALL));
        if !failed.is_empty() {
            println!("FAILED before the tests: {}", failed.join(", "));
        }
        let passed = tests();
        Ok(if passed && failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Runs the tests of the workspace; returns whether all passed. Says nothing after them.
fn tests() -> bool {
    let has_nextest = workspace::cargo().args(["nextest", "--version"]).run().is_ok();
    let runner: &[&str] = if has_nextest { &["nextest", "run"] } else { &["test"] };
    println!("cargo {} --workspace --no-fail-fast", runner.join(" "));
    workspace::cargo().args(runner).args(["--workspace", "--no-fail-fast"]).show().is_ok()
}
