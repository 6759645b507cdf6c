//! `cargo xtask e2e`: the scenarios, each in a virtual machine of its own.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::scenarios::{self, Scenario};
use crate::vm::archive::{Archive, stripped};
use crate::vm::guest;
use crate::vm::kernel::Kernel;
use crate::vm::machine::{Accelerator, Machine};
use crate::vm::report::Line;
use crate::{packages, workspace};

/// Run end-to-end scenarios in virtual machines with a stock Debian kernel and cgroup v2.
#[derive(clap::Args)]
pub struct E2e {
    /// Which scenarios; by default all.
    scenarios: Vec<String>,
}

impl E2e {
    pub fn run(self) -> Result<ExitCode> {
        let chosen = match self.scenarios.as_slice() {
            [] => scenarios::ALL.to_vec(),
            names => names.iter().map(|name| scenarios::find(name)).collect::<Result<Vec<_>>>()?,
        };
        Ok(if run(&chosen)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Runs scenarios one after the other; returns whether all of them passed.
pub(super) fn run(chosen: &[&Scenario]) -> Result<bool> {
    packages::ensure(&[packages::MACHINES])?;
    let cache = workspace::metadata()?.target_directory.join("vm");
    let kernel = Kernel::cached(&cache)?;
    let place = tempfile::tempdir_in(&cache)?;
    let mut host = Host { kernel, cache, place: place.path().to_owned(), accelerator: None };
    let mut all_passed = true;
    for scenario in chosen {
        let passed = host.run(scenario).unwrap_or_else(|error| {
            println!("FAIL {}: {error:#}", scenario.name);
            false
        });
        all_passed &= passed;
    }
    println!("e2e: {}", if all_passed { "passed" } else { "FAILED" });
    Ok(all_passed)
}

/// What the scenarios have in common on this side.
struct Host {
    kernel: Kernel,
    cache: PathBuf,
    place: PathBuf,
    accelerator: Option<Accelerator>,
}

impl Host {
    fn run(&mut self, scenario: &Scenario) -> Result<bool> {
        println!("e2e {}: preparing", scenario.name);
        let initramfs = self.place.join(format!("{}.cpio", scenario.name));
        std::fs::write(&initramfs, self.initramfs(scenario)?)?;
        let log = self.cache.join(format!("{}.log", scenario.name));
        let arguments = format!("{}{}", guest::SCENARIO, scenario.name);
        let machine = Machine {
            kernel: &self.kernel.image,
            initramfs: &initramfs,
            arguments: &arguments,
            memory_mib: scenario.memory_mib,
            accelerator: Accelerator::Emulation,
            log: &log,
        };
        let accelerator = match self.accelerator {
            Some(accelerator) => accelerator,
            None => *self.accelerator.insert(Accelerator::detect(&machine)?),
        };
        println!("e2e {}: booting ({accelerator:?})", scenario.name);
        let started = Instant::now();
        let failures = listen(&Machine { accelerator, ..machine }, scenario.timeout);
        let seconds = started.elapsed().as_secs_f32();
        std::fs::remove_file(&initramfs)?;
        match failures {
            Ok(0) => {
                println!("PASS {} ({seconds:.1} s)", scenario.name);
                std::fs::remove_file(&log)?;
                Ok(true)
            }
            Ok(number) => {
                println!("FAIL {}: {number} checks ({seconds:.1} s); serial log: {}", scenario.name, log.display());
                Ok(false)
            }
            Err(error) => Err(error.context(format!("serial log: {}", log.display()))),
        }
    }

    fn initramfs(&self, scenario: &Scenario) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        let own = std::env::current_exe().context("where xtask lies")?;
        archive.program(guest::INIT.trim_start_matches('/'), &stripped(&own)?);
        self.add_modules(scenario, &mut archive)?;
        (scenario.fill)(&mut archive)?;
        Ok(archive.finish())
    }

    fn add_modules(&self, scenario: &Scenario, archive: &mut Archive) -> Result<()> {
        let folder = Path::new(guest::MODULES).parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        archive.directory(folder.trim_start_matches('/'));
        let mut order = String::new();
        for file in self.kernel.modules(scenario.modules)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let path = format!("{folder}/{name}");
            archive.file(path.trim_start_matches('/'), &std::fs::read(&file)?);
            order.push_str(&format!("{path}\n"));
        }
        archive.file(guest::MODULES.trim_start_matches('/'), order.as_bytes());
        Ok(())
    }
}

/// Boots a machine and prints what it says; returns how many checks failed.
fn listen(machine: &Machine<'_>, timeout: Duration) -> Result<usize> {
    let deadline = Instant::now() + timeout;
    let mut running = machine.boot()?;
    let mut failures = 0;
    loop {
        match running.next_line(deadline)? {
            Line::Start => {}
            Line::Pass(check) => println!("  pass  {check}"),
            Line::Fail { check, why } => {
                failures += 1;
                println!("  FAIL  {check}: {why}");
            }
            Line::Note(text) => println!("        {text}"),
            Line::End => return Ok(failures),
        }
    }
}
