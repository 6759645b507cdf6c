//! `cargo xtask deny`: licences, banned crates and sources of everything we depend on, by `deny.toml`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::{Tool, retry};
use crate::workspace;

/// Another version may read `deny.toml` in another way.
const VERSION: &str = "0.20.2";
/// Bound on building it: one minute on two cores, and that of a slow network.
const INSTALL_TIMEOUT: Duration = Duration::from_secs(1800);

/// Check licences, banned crates and sources of the dependencies (not advisories: see deny.toml).
#[derive(clap::Args)]
pub struct Deny {}

impl Deny {
    pub fn run(self) -> Result<ExitCode> {
        Ok(if check()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Shows what is not allowed; returns whether that is nothing.
pub(super) fn check() -> Result<bool> {
    let program = installed()?;
    println!("deny: licences, bans, sources (advisories are not checked: see deny.toml)");
    // rust-criu has its licence in a file instead of its manifest; the file is looked at.
    let check = ["--color", "never", "check", "--allow", "no-license-field", "licenses", "bans", "sources"];
    match Tool::new(program).args(check).dir(&workspace::root()).timeout(workspace::BUILD_TIMEOUT).show() {
        Ok(()) => Ok(true),
        Err(error) => {
            println!("{error:#}");
            Ok(false)
        }
    }
}

/// Returns cargo-deny, built once into the target directory. There are no binaries to be had elsewhere that know today's cargo.
fn installed() -> Result<PathBuf> {
    let tools = workspace::metadata()?.target_directory.join("tools");
    let program = tools.join("bin/cargo-deny");
    let version = Tool::new(&program).arg("--version").run().unwrap_or_default();
    if version.trim().ends_with(VERSION) {
        return Ok(program);
    }
    println!("deny: building cargo-deny {VERSION} (once, a minute or two)");
    let install = || {
        // Its speed matters less than that of its build.
        let what = ["install", "cargo-deny", "--version", VERSION, "--locked", "--force", "--debug", "--quiet"];
        // Elsewhere than in the workspace, whose configuration is not meant for it.
        let place = tempfile::tempdir()?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let tool = Tool::new(cargo).args(what).arg("--root").arg(&tools).arg("--target-dir").arg(place.path());
        tool.args(["--config", "profile.dev.debug=false"]).dir(place.path()).timeout(INSTALL_TIMEOUT).run()
    };
    retry(2, "cargo install cargo-deny", install).context("cargo-deny cannot be built")?;
    Ok(program)
}
