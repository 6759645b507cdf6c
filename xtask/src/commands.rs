//! The commands of `cargo xtask`.
//!
//! To add one: its file in `commands/`, with its arguments and `run`, and its variant here.

mod bench;
mod demo;
mod deny;
mod docs;
mod e2e;
mod image;
mod soak;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Everything that is done to Stead rather than by it.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
pub enum Xtask {
    Bench(bench::Bench),
    Demo(demo::Demo),
    Deny(deny::Deny),
    Docs(docs::Docs),
    E2e(e2e::E2e),
    Image(image::Image),
    Soak(soak::Soak),
    Test(test::Test),
    Tidy(tidy::Tidy),
}

impl Xtask {
    pub fn run(self) -> Result<ExitCode> {
        match self {
            Xtask::Bench(command) => command.run(),
            Xtask::Demo(command) => command.run(),
            Xtask::Deny(command) => command.run(),
            Xtask::Docs(command) => command.run(),
            Xtask::E2e(command) => command.run(),
            Xtask::Image(command) => command.run(),
            Xtask::Soak(command) => command.run(),
            Xtask::Test(command) => command.run(),
            Xtask::Tidy(command) => command.run(),
        }
    }
}
