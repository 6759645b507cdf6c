//! Fuzzing: texts that nobody would write are tried on what reads texts, guided by what they reach in it.
//!
//! The targets are in `spec/fuzz`, in the layout of cargo-fuzz, with a corpus and the words of the language. They are built here
//! because cargo-fuzz asks for a nightly toolchain. What is found on the way is kept in `target/fuzz`, and goes on from there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Tool, tail};
use crate::{packages, workspace};

/// One target, built.
pub struct Target {
    pub name: &'static str,
    pub program: PathBuf,
}

/// All targets, sorted.
const NAMES: &[&str] = &["compose", "manifest"];

/// What cargo-fuzz says to the compiler, but sanitizers: they need a nightly toolchain, and this is safe Rust.
///
/// As a variable it takes the place of the workspace's own flags: a fuzzer in C++ is not linked statically.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// What every run is told: longer texts are those of `spec/tests/bombs.rs`, and none of these should take a hundredth of the time.
const BOUNDS: &[&str] = &["-max_len=4096", "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1"];

/// With more inputs than this, those that reach nothing of their own are dropped: all are tried at each start.
const FOUND_MAX: usize = 8000;
/// Bound on trying some ten thousand inputs.
const MINIMIZE_TIMEOUT: Duration = Duration::from_secs(1800);

/// Before a written input's path in what libFuzzer says.
const WRITTEN: &str = "Test unit written to ";
/// Before the number of tried inputs.
const TRIED: &str = "stat::number_of_executed_units:";

/// Builds a target, and makes the folders that it writes to.
pub fn build(name: &'static str) -> Result<Target> {
    packages::ensure(&[packages::BUILD, packages::FUZZING])?;
    take_versions()?;
    eprintln!("building the fuzz target {name}");
    let what = ["build", "--release", "--quiet", "--message-format", "json-render-diagnostics", "--bin", name];
    let cargo = workspace::cargo().args(what).arg("--manifest-path").arg(home().join("Cargo.toml"));
    let messages = cargo.arg("--target-dir").arg(folder()?.join("build")).env("RUSTFLAGS", FLAGS).show_messages()?;
    let target = Target { name, program: workspace::executable(&messages, name)? };
    for folder in [target.found()?, target.failed()?] {
        std::fs::create_dir_all(folder)?;
    }
    if std::fs::read_dir(target.found()?)?.count() > FOUND_MAX {
        target.minimize()?;
    }
    Ok(target)
}

/// Makes the fuzzer's workspace build on the versions of this one.
fn take_versions() -> Result<()> {
    let (ours, its) = (workspace::root().join("Cargo.lock"), home().join("Cargo.lock"));
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    if changed(&its) < changed(&ours) {
        std::fs::copy(&ours, &its).with_context(|| format!("copying {}", ours.display()))?;
    }
    Ok(())
}

fn home() -> PathBuf {
    workspace::root().join("spec/fuzz")
}

fn folder() -> Result<PathBuf> {
    Ok(workspace::metadata()?.target_directory.join("fuzz"))
}

impl Target {
    /// Returns where inputs are kept that reach something new.
    fn found(&self) -> Result<PathBuf> {
        Ok(folder()?.join("corpus").join(self.name))
    }

    /// Returns where inputs are written that fail.
    fn failed(&self) -> Result<PathBuf> {
        Ok(folder()?.join("failed").join(self.name))
    }

    /// Keeps of the inputs that were found the fewest that reach all that they reach together.
    fn minimize(&self) -> Result<()> {
        let (all, few) = (self.found()?, self.found()?.with_extension("few"));
        eprintln!("fuzz: {}: dropping inputs that reach nothing of their own", self.name);
        std::fs::create_dir_all(&few)?;
        let tool = Tool::new(&self.program).args(BOUNDS).arg("-merge=1").arg(&few).arg(&all);
        tool.timeout(MINIMIZE_TIMEOUT).run()?;
        std::fs::remove_dir_all(&all)?;
        Ok(std::fs::rename(few, all)?)
    }

    /// Adds what a run is told; the corpus of the project is read, and never written to.
    pub fn set_up(&self, tool: Tool) -> Result<Tool> {
        // What a panic says is at the end, and not a list of calls.
        let tool = tool.env("RUST_BACKTRACE", "0").args(BOUNDS).arg(format!("-artifact_prefix={}/", self.failed()?.display()));
        let words = home().join(format!("{}.dict", self.name));
        Ok(tool.arg(format!("-dict={}", words.display())).arg(self.found()?).arg(home().join("corpus").join(self.name)))
    }

    /// Returns which input failed and how it is tried again, by what a run said.
    pub fn failure(&self, said: &str) -> Option<String> {
        let input = said.lines().find_map(|line| line.split_once(WRITTEN))?.1.trim();
        let program = self.program.display();
        Some(format!(
            "this input failed: {input}\nto try it again: {program} {input}\nonce mended, it belongs into spec/fuzz/corpus/{}",
            self.name
        ))
    }

    /// Tries for as long as `length` says; returns how many inputs were tried.
    fn run(&self, length: Duration) -> Result<u64> {
        let path = folder()?.join(format!("{}.log", self.name));
        let tool = Tool::new(&self.program).arg(format!("-max_total_time={}", length.as_secs()));
        let outcome = self.set_up(tool)?.timeout(2 * length + BUILD_UP).log_to(&File::create(&path)?);
        let said = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        outcome.with_context(|| format!("{}\n{}", tail(&said), self.failure(&said).unwrap_or_default()))?;
        let tried = said.lines().find_map(|line| line.strip_prefix(TRIED)).and_then(|number| number.trim().parse().ok());
        tried.with_context(|| format!("it does not say what it tried:\n{}", tail(&said)))
    }
}

/// Bound on what a run takes beside its time: to load what was found before.
const BUILD_UP: Duration = Duration::from_secs(300);

/// Tries all targets side by side for as long as `length` says; returns whether nothing failed.
pub fn check(length: Duration) -> Result<bool> {
    let targets = NAMES.iter().map(|name| build(name)).collect::<Result<Vec<_>>>()?;
    println!("fuzz: {} s of {}", length.as_secs(), NAMES.join(", "));
    let outcomes: Vec<Result<u64>> = std::thread::scope(|scope| {
        let runs: Vec<_> = targets.iter().map(|target| scope.spawn(|| target.run(length))).collect();
        runs.into_iter().map(|run| run.join().expect("a run does not panic")).collect()
    });
    for (target, outcome) in targets.iter().zip(&outcomes) {
        match outcome {
            Ok(tried) => println!("fuzz: {}: {tried} texts, nothing found", target.name),
            Err(error) => println!("fuzz: {}: FAILED: {error:#}", target.name),
        }
    }
    Ok(outcomes.iter().all(Result::is_ok))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_input_is_told_with_the_way_to_try_it_again() {
        let target = Target { name: "manifest", program: "/t/manifest".into() };
        let said = "#7\tNEW\nartifact_prefix='/f/'; Test unit written to /f/crash-1\nBase64: eA==\n";
        insta::assert_snapshot!(target.failure(said).unwrap(), @"
        this input failed: /f/crash-1
        to try it again: /t/manifest /f/crash-1
        once mended, it belongs into spec/fuzz/corpus/manifest
        ");
        assert_eq!(target.failure("killed"), None);
    }
}
