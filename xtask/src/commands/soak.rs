//! `cargo xtask soak`: the same test for hours, adding up over all times it is said.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::soak;

/// Try something again and again until it fails or Ctrl-C; goes on where it stopped the last time.
#[derive(clap::Args)]
pub struct Soak {
    /// What to try: compose, crashes, language, simulator, worlds
    name: String,
    /// How long; by default until Ctrl-C. The round under way is always finished
    #[arg(long)]
    minutes: Option<u64>,
}

impl Soak {
    pub fn run(self) -> Result<ExitCode> {
        let length = self.minutes.map(|minutes| Duration::from_secs(minutes * 60));
        Ok(if soak::run(soak::find(&self.name)?, length)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
