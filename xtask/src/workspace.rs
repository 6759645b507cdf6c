//! The workspace: where it is, what its crates are, and what cargo builds of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::Tool;

/// Bound on one run of cargo: a first build on a small machine takes ten minutes and more.
pub const BUILD_TIMEOUT: Duration = Duration::from_secs(3600);

/// Returns the root of the workspace that this xtask was built in.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Returns a run of cargo in the workspace.
pub fn cargo() -> Tool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Tool::new(cargo).dir(&root()).timeout(BUILD_TIMEOUT)
}

/// What `cargo metadata` says of the workspace's own crates.
#[derive(Deserialize)]
pub struct Metadata {
    pub packages: Vec<Package>,
    pub target_directory: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub kind: Option<String>,
}

impl Package {
    pub fn dir(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(Path::new("/"))
    }
}

pub fn metadata() -> Result<Metadata> {
    let text = cargo().args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).run()?;
    serde_json::from_str(&text).context("cargo metadata")
}

/// Builds programs of the workspace and returns where they lie, in the order of `packages`.
pub fn build(packages: &[&str]) -> Result<Vec<PathBuf>> {
    build_with(packages, &["build"])
}

/// Builds programs as users get them: with the release profile, which takes some minutes when much has changed.
pub fn build_release(packages: &[&str]) -> Result<Vec<PathBuf>> {
    build_with(packages, &["build", "--release"])
}

fn build_with(packages: &[&str], what: &[&str]) -> Result<Vec<PathBuf>> {
    eprintln!("building {}", packages.join(", "));
    let mut cargo = cargo().args(what).args(["--quiet", "--message-format", "json-render-diagnostics"]);
    for package in packages {
        cargo = cargo.args(["--package", package]);
    }
    let messages = cargo.show_messages()?;
    packages.iter().map(|package| executable(&messages, package)).collect()
}

/// Builds one file of integration tests and returns its program.
pub fn build_test(package: &str, test: &str) -> Result<PathBuf> {
    let what =
        ["test", "--no-run", "--quiet", "--message-format", "json-render-diagnostics", "--package", package, "--test", test];
    executable(&cargo().args(what).show_messages()?, test)
}

/// Builds a program that takes times, with the release profile, and returns it.
pub fn build_bench(package: &str, bench: &str) -> Result<PathBuf> {
    eprintln!("building {bench} of {package}; the release profile takes some minutes when much has changed");
    let what =
        ["build", "--release", "--quiet", "--message-format", "json-render-diagnostics", "--package", package, "--bench", bench];
    executable(&cargo().args(what).show_messages()?, bench)
}

/// Returns the program of a name from what cargo said while it built.
pub fn executable(messages: &str, name: &str) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Artifact {
        target: Target,
        executable: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Artifact>(line).ok());
    let executable = artifacts.filter(|artifact| artifact.target.name == name).find_map(|artifact| artifact.executable);
    executable.with_context(|| format!("cargo built no program called {name}"))
}
