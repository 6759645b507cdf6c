//! `cargo xtask bench`: figures, each beside its aim. Never a test: a slow machine is no bug.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::bench::{language, start};

/// Measure Stead: a line of JSON for each figure, and a summary for people on standard error.
#[derive(clap::Args)]
pub struct Bench {
    #[command(subcommand)]
    which: Which,
}

#[derive(clap::Subcommand)]
enum Which {
    Language(Language),
    Start(Start),
}

/// A manifest of a thousand services, and texts made to cost much.
#[derive(clap::Args)]
struct Language {
    /// How often each time is taken
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=1000))]
    runs: u16,
    /// How often each hostile text is tried
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    tries: u16,
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
        match self.which {
            Which::Language(Language { runs, tries }) => {
                language::run(&language::Plan { runs: runs.into(), tries: tries.into() })?;
            }
            Which::Start(Start { runs, replicas, beside, stead }) => {
                start::run(&start::Plan { runs: runs.into(), replicas: replicas.into(), beside, stead })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
