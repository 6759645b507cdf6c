//! `stead schema`: the language for editors and other programs.

use std::process::ExitCode;

use super::show;

/// Print the JSON Schema of manifests, for editors.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead schema > stead.schema.json

An editor with the YAML language server then completes and checks a file that begins with:
  # yaml-language-server: $schema=stead.schema.json")]
pub(super) struct Args {}

pub(super) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    show::print_whole(&serde_json::to_string_pretty(&spec::schema::schema())?)?;
    Ok(ExitCode::SUCCESS)
}
