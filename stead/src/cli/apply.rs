//! `stead apply`: hands a manifest to the node.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anyhow::Context as _;
use api::Client;
use api::client::PutOptions;
use api::wire::{Difference, ManifestType, Planned, Reason};

use super::Context;
use super::show::{self, GOOD};

/// Hand a manifest to the node, and do not wait.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead apply hello.yaml
  stead apply --dry-run hello.yaml    say what would change
  cat hello.yaml | stead apply -")]
pub(super) struct Args {
    /// The manifest, or - for standard input
    file: PathBuf,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let text = read(&args.file)?;
    let deployment = check(&args.file, &text)?;
    let client = context.client();
    let planned = match plan(&client, &text).await {
        // What is asked for comes after what is going: all of it is new.
        Err(error) if error.reason() == Some(Reason::Deleting) && !args.dry_run => None,
        planned => Some(planned.with_context(|| format!("{} cannot be applied", args.file.display()))?),
    };
    let changed = match &planned {
        Some(planned) if args.dry_run => planned.changed,
        _ => put(&client, &args.file, &text).await?.changed,
    };
    let what = match (args.dry_run, changed) {
        (true, true) => "would change",
        (true, false) => "would not change",
        (false, true) => "applied",
        (false, false) => "unchanged",
    };
    println!("{deployment}: {}", show::paint(GOOD, what));
    for (service, difference) in planned.iter().flat_map(|planned| &planned.services) {
        println!("  {service:<16} {}", word(*difference));
    }
    Ok(ExitCode::SUCCESS)
}

/// Longest wait for an old deployment of the same name to be gone.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longest manifest that is sent; the node refuses longer ones.
const BYTES_MAX: u64 = 2 << 20;

pub(super) fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(BYTES_MAX).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text))
    };
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text)
}

fn word(difference: Difference) -> &'static str {
    match difference {
        Difference::Created => "created",
        Difference::Changed => "changed",
        Difference::Unchanged => "unchanged",
        Difference::Removed => "removed",
    }
}

/// Asks what a manifest would change.
async fn plan(client: &Client, text: &str) -> Result<Planned, api::client::Error> {
    client.plan_manifest(text, ManifestType::Yaml, PutOptions::default()).await
}

/// Sends a manifest; waits for an old deployment of its name that is being deleted.
pub(super) async fn put(client: &Client, file: &Path, text: &str) -> anyhow::Result<api::wire::Applied> {
    let applied = client.put_manifest_when_gone(text, ManifestType::Yaml, PutOptions::default(), PATIENCE).await;
    applied.with_context(|| format!("{} was not applied", file.display()))
}

/// Returns the manifest's deployment, or all its mistakes as one error: they are told also while no node runs.
pub(super) fn check(file: &Path, text: &str) -> anyhow::Result<String> {
    let manifest = spec::manifest::parse(text).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {}:{problem}", file.display())).collect();
        let mistakes = if problems.len() == 1 { "a mistake" } else { "mistakes" };
        anyhow::anyhow!("{} has {mistakes}, and nothing was applied:{}", file.display(), lines.concat())
    })?;
    Ok(manifest.deployment)
}
