//! `cargo xtask docs`: the reference of the language, made from its model.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::workspace;

const PAGE: &str = "docs/manifest.md";

/// Write docs/manifest.md from the model of the language.
#[derive(clap::Args)]
pub struct Docs {
    /// Only say whether the page is up to date
    #[arg(long)]
    check: bool,
}

impl Docs {
    pub fn run(self) -> Result<ExitCode> {
        let path = workspace::root().join(PAGE);
        let page = spec::reference::markdown();
        if std::fs::read_to_string(&path).is_ok_and(|there| there == page) {
            println!("{PAGE} is up to date");
            return Ok(ExitCode::SUCCESS);
        }
        if self.check {
            println!("{PAGE} is stale: run `cargo xtask docs`");
            return Ok(ExitCode::FAILURE);
        }
        std::fs::write(&path, page).with_context(|| format!("writing {PAGE}"))?;
        println!("{PAGE} is written anew");
        Ok(ExitCode::SUCCESS)
    }
}
