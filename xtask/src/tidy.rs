//! Rules about the sources that the compiler does not know.
//!
//! To add one: its file in `tidy/`, and its call in [`findings`].

mod imports;
mod length;
mod purity;
mod registers;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

/// One thing that is not as it should be, with its place and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Relative to the workspace.
    pub file: PathBuf,
    pub line: usize,
    pub message: String,
    pub way_out: String,
    pub level: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Warning,
    Error,
}

impl Finding {
    fn error(file: impl Into<PathBuf>, line: usize, message: impl Into<String>, way_out: impl Into<String>) -> Finding {
        let (message, way_out) = (message.into(), way_out.into());
        Finding { file: file.into(), line, message, way_out, level: Level::Error }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.level == Level::Warning { "warning: " } else { "" };
        write!(f, "{}:{}: {level}{}; {}", self.file.display(), self.line, self.message, self.way_out)
    }
}

/// Returns what the rules find in the workspace.
pub fn findings() -> Result<Vec<Finding>> {
    let root = workspace::root();
    let packages = workspace::metadata()?.packages;
    let mut findings = imports::check(&packages, &root);
    findings.extend(purity::check(&packages, &root)?);
    findings.extend(registers::check(&root)?);
    findings.extend(length::check(&packages, &root)?);
    Ok(findings)
}

/// Returns the Rust files below `dir`, sorted, but those of other crates and of build directories.
fn sources(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| format!("cannot list {}", dir.display()))? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target") && !path.join("Cargo.toml").exists() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn relative<'a>(path: &'a Path, root: &Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}
