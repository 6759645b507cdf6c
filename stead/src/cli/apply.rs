//! `stead apply`: hands a manifest to the node.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use api::Client;
use api::client::PutOptions;
use api::wire::{Applied, ManifestType, Reason};

use super::Context;
use super::input::Ready;
use super::plan;
use super::show::{self, Format, GOOD};

/// Hand a manifest to the node, and do not wait.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead apply hello.yaml
  stead apply --dry-run hello.yaml    what `stead plan` says, and always ends with 0
  cat hello.yaml | stead apply -")]
pub(super) struct Args {
    /// The manifest, or - for standard input
    file: PathBuf,
    /// Say what would change, as `stead plan` does, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let ready = Ready::read(&args.file)?;
    let client = context.client();
    if args.dry_run {
        plan::show(&client, &ready, Format::Text).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let planned = match plan::ask(&client, &ready).await {
        // What is asked for comes after what is going: all of it is new.
        Err(error) if error.reason() == Some(Reason::Deleting) => None,
        planned => Some(planned.map_err(|error| ready.refused(error))?),
    };
    let applied = put(&client, &ready).await?;
    let deployment = &ready.manifest.deployment;
    println!("{deployment}: {}", show::paint(GOOD, if applied.changed { "applied" } else { "unchanged" }));
    if let Some(planned) = planned {
        plan::changes(deployment, &planned);
    }
    Ok(ExitCode::SUCCESS)
}

/// Longest wait for an old deployment of the same name to be gone.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sends a manifest, and tells what the node warns of; waits for an old deployment of its name that is being deleted.
pub(super) async fn put(client: &Client, ready: &Ready) -> anyhow::Result<Applied> {
    let text = &ready.input.text;
    let applied = client.put_manifest_when_gone(text, ManifestType::Yaml, PutOptions::default(), PATIENCE).await;
    let applied = applied.map_err(|error| ready.refused(error))?;
    ready.tell(&applied.warnings);
    Ok(applied)
}
