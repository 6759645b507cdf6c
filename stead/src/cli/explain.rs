//! `stead explain`: what a field of the manifest means.

use std::process::ExitCode;

use super::show;

/// Say what a field of the manifest means.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead explain                       the fields of a manifest and of a service
  stead explain endpoints.protocol    one field
  stead explain scale                 all fields of a part
  stead explain init.run              an init action")]
pub(super) struct Args {
    /// The field, as its path in a service or in the manifest
    #[arg(default_value = "", hide_default_value = true)]
    field: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    show::print_whole(&spec::explain::explain(&args.field)?.to_string())?;
    Ok(ExitCode::SUCCESS)
}
