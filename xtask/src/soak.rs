//! What is tried again and again for hours, because it fails once in a thousand times.
//!
//! To add one: its file in `soak/`, and its line in [`ALL`]. Each goes on where it stopped, by what it wrote down in
//! `target/soak/<name>.json`.

mod compose;
mod crashes;
mod language;
mod simulator;
mod worlds;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::fuzz::{self, Target};
use crate::process::{Tool, tail};
use crate::signal::Interrupt;
use crate::tally::Tally;
use crate::workspace;

/// Something that is tried in rounds.
pub struct Soak {
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// How many of them a round has: some seconds' worth, up to a minute.
    round: u64,
    /// Bound on a round, far beyond what any should take.
    timeout: Duration,
    /// Builds what a round needs, once; returns the test's program and the folder of its package.
    build: fn() -> Result<Built>,
    /// Says what to try in the round that begins behind `done` units.
    set_up: fn(tool: Tool, done: u64, count: u64) -> Tool,
}

/// A test's program, ready to run.
struct Built {
    program: PathBuf,
    dir: PathBuf,
    /// For one that fuzzes, what it is told beside.
    target: Option<Target>,
}

/// All of them, sorted.
pub const ALL: &[&Soak] = &[&compose::COMPOSE, &crashes::CRASHES, &language::LANGUAGE, &simulator::SIMULATOR, &worlds::WORLDS];

/// How often it says how far it is.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// Set for tests that would build the programs they start: they are built.
const BUILT: &str = "STEAD_BUILT";

pub fn find(name: &str) -> Result<&'static Soak> {
    let names = || ALL.iter().map(|soak| soak.name).collect::<Vec<_>>().join(", ");
    ALL.iter()
        .find(|soak| soak.name == name)
        .copied()
        .with_context(|| format!("there is no soak `{name}`; there are {}", names()))
}

/// Tries for as long as `length` says, or until somebody interrupts; returns whether nothing failed.
pub fn run(soak: &Soak, length: Option<Duration>) -> Result<bool> {
    let folder = workspace::metadata()?.target_directory.join("soak");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.json", soak.name));
    let mut tally = Tally::load(&path)?;
    println!("soak {}: {} so far; building", soak.name, tally.told(soak.unit));
    let built = (soak.build)()?;
    let interrupt = Interrupt::install()?;
    let started = Instant::now();
    let mut said = started;
    while length.is_none_or(|length| started.elapsed() < length) {
        let round = Instant::now();
        if let Err(error) = soak.try_round(&built, tally.done, &folder) {
            println!("soak {}: FAILED in the round behind {} {}: {error:#}", soak.name, tally.done, soak.unit);
            return Ok(false);
        }
        tally.add(soak.round, round.elapsed());
        tally.save(&path)?;
        if said.elapsed() > SAID_EVERY {
            said = Instant::now();
            println!("soak {}: {}", soak.name, tally.told(soak.unit));
        }
        if interrupt.wait_for(Duration::from_millis(1))? {
            println!("soak {}: interrupted; said again, it goes on", soak.name);
            break;
        }
    }
    println!("soak {}: {}; nothing failed", soak.name, tally.told(soak.unit));
    Ok(true)
}

impl Soak {
    /// Runs one round; the output of one that fails is kept.
    fn try_round(&self, built: &Built, done: u64, folder: &Path) -> Result<()> {
        let path = folder.join(format!("{}-{done}.log", self.name));
        let mut tool = Tool::new(&built.program).dir(&built.dir).env(BUILT, "1").timeout(self.timeout);
        if let Some(target) = &built.target {
            tool = target.set_up(tool)?;
        }
        (self.set_up)(tool, done, self.round)
            .log_to(&File::create(&path)?)
            .with_context(|| format!("its output is in {}{}", path.display(), built.failure(&path)))?;
        Ok(std::fs::remove_file(path)?)
    }
}

impl Built {
    /// Returns what is to be known of a failed round beside its output.
    fn failure(&self, output: &Path) -> String {
        let said = String::from_utf8_lossy(&std::fs::read(output).unwrap_or_default()).into_owned();
        let failure = self.target.as_ref().and_then(|target| target.failure(&said));
        failure.map(|failure| format!("\n{}\n{failure}\n", tail(&said))).unwrap_or_default()
    }
}

/// Builds one file of integration tests.
fn build(package: &str, test: &str) -> Result<Built> {
    Ok(Built { program: workspace::build_test(package, test)?, dir: workspace::root().join(package), target: None })
}

/// Builds what is fuzzed.
fn build_target(name: &'static str) -> Result<Built> {
    let target = fuzz::build(name)?;
    Ok(Built { program: target.program.clone(), dir: workspace::root(), target: Some(target) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soak(script: &'static str) -> (Soak, Built, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("test.sh");
        std::fs::write(&program, script).unwrap();
        let soak = Soak {
            name: "example",
            unit: "tries",
            round: 3,
            timeout: Duration::from_secs(60),
            build: || build("tests", "simulator"),
            set_up: |tool, done, count| tool.arg(format!("{done}+{count}")),
        };
        (soak, Built { program: "/bin/sh".into(), dir: dir.path().to_owned(), target: None }, dir)
    }

    #[test]
    fn a_failed_rounds_output_is_kept_and_a_good_ones_is_not() {
        let (mut soak, built, dir) = soak("echo tried $1; exit ${CODE:-0}");
        soak.set_up = |tool, done, count| tool.arg("test.sh").arg(format!("{done}+{count}"));
        soak.try_round(&built, 6, dir.path()).unwrap();
        assert!(!dir.path().join("example-6.log").exists());
        soak.set_up = |tool, done, count| tool.arg("test.sh").arg(format!("{done}+{count}")).env("CODE", "1");
        let error = format!("{:#}", soak.try_round(&built, 9, dir.path()).unwrap_err());
        assert!(error.contains("example-9.log") && error.contains("test.sh 9+3"), "{error}");
        assert_eq!(std::fs::read_to_string(dir.path().join("example-9.log")).unwrap(), "tried 9+3\n");
    }

    #[test]
    fn an_unknown_name_is_told_with_those_there_are() {
        let error = find("x").err().unwrap().to_string();
        assert_eq!(error, "there is no soak `x`; there are compose, crashes, language, simulator, worlds");
        assert_eq!(find("worlds").unwrap().unit, "worlds");
    }
}
