//! `cargo xtask bench`: figures, each beside its aim. Never a test: a slow machine is no bug.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::bench::start;

/// Measure Stead: a line of JSON for each figure, and a summary for people on standard error.
#[derive(clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    which: Which,
}

#[derive(clap::Subcommand)]
enum Which {
    Start(Start),
}

/// From an accepted manifest to the first answer, and what containers cost at rest.
#[derive(clap::Args)]
struct Start {
    /// How often each time is taken
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// How many replicas are started at once
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    replicas: u16,
    /// Install crun and runc where they are missing; where they are there, they are always compared with
    #[arg(long)]
    beside: bool,
    /// Measure this binary instead of the workspace's
    #[arg(long, value_name = "FILE")]
    stead: Option<PathBuf>,
}

impl Bench {
    pub fn run(self) -> Result<ExitCode> {
        let Which::Start(Start { runs, replicas, beside, stead }) = self.which;
        start::run(&start::Plan { runs: runs.into(), replicas: replicas.into(), beside, stead })?;
        Ok(ExitCode::SUCCESS)
    }
}
