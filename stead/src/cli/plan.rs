//! `stead plan`: what a manifest would change.

use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use anstyle::{AnsiColor, Style};
use api::Client;
use api::client::{Error, PutOptions};
use api::wire::{ManifestType, Planned};
use serde_json::Value;
use spec::difference::{Consequence, Difference, FieldChange, ServiceChange};

use super::Context;
use super::input::Ready;
use super::show::{self, DIM, Format, GOOD};

/// Say what applying a manifest would change, and what that does to what runs.
///
/// Ends with 0 when nothing would change, with 2 when something would, and with 1 when the manifest cannot be applied.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead plan shop.yaml
  stead plan --format json shop.yaml    the node's answer, as docs/api.md says")]
pub(super) struct Args {
    /// The manifest, or - for standard input
    file: PathBuf,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Something would change.
const CHANGES: u8 = 2;
/// Longest value that is shown, in characters.
const VALUE_MAX: usize = 120;

const CHANGED: Style = AnsiColor::Yellow.on_default();
const GONE: Style = AnsiColor::Red.on_default();

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let ready = Ready::read(&args.file)?;
    let changes = show(&context.client(), &ready, args.format).await?;
    Ok(if changes { ExitCode::from(CHANGES) } else { ExitCode::SUCCESS })
}

/// Shows what a manifest would change; returns whether there is anything.
pub(super) async fn show(client: &Client, ready: &Ready, format: Format) -> anyhow::Result<bool> {
    let planned = ask(client, ready).await.map_err(|error| ready.refused(error))?;
    ready.tell(&planned.warnings);
    match format {
        Format::Text => print(&ready.manifest.deployment, &planned),
        Format::Json => show::print_json(&planned)?,
    }
    Ok(planned.changed)
}

/// Asks the node what a manifest would change.
pub(super) async fn ask(client: &Client, ready: &Ready) -> Result<Planned, Error> {
    client.plan_manifest(&ready.input.text, ManifestType::Yaml, PutOptions::default()).await
}

fn print(deployment: &str, planned: &Planned) {
    changes(deployment, planned);
    let count = changed(planned).count();
    let verdict = match count {
        0 => show::paint(GOOD, "nothing would change"),
        1 => show::paint(CHANGED, "1 service would change"),
        _ => show::paint(CHANGED, format!("{count} services would change")),
    };
    println!("{deployment}: {verdict}");
}

/// Prints each service that changes, with its fields, and how many do not.
pub(super) fn changes(deployment: &str, planned: &Planned) {
    let width = changed(planned).map(|(service, _)| deployment.len() + service.len() + 1).max().unwrap_or_default();
    for (service, change) in changed(planned) {
        let name = format!("{deployment}/{service}");
        let consequence = consequence(change);
        println!("{}", format!("{} service {name:width$}  {consequence}", mark(change.difference)).trim_end());
        change.fields.iter().for_each(|change| println!("    {}", field(change)));
    }
    let unchanged = planned.services.len() - changed(planned).count();
    if unchanged > 0 {
        let services = if unchanged == 1 { "service" } else { "services" };
        println!("{}", show::paint(DIM, format!("  {unchanged} {services} unchanged")));
    }
}

fn changed(planned: &Planned) -> impl Iterator<Item = (&String, &ServiceChange)> {
    planned.services.iter().filter(|(_, change)| change.difference != Difference::Unchanged)
}

fn mark(difference: Difference) -> String {
    match difference {
        Difference::Created => show::paint(GOOD, "+"),
        Difference::Changed => show::paint(CHANGED, "~"),
        Difference::Unchanged => " ".to_owned(),
        Difference::Removed => show::paint(GONE, "-"),
    }
}

/// Says what becomes of replicas; a service without any that comes or goes does nothing to them.
fn consequence(change: &ServiceChange) -> String {
    let quiet = change.difference != Difference::Changed && change.consequence == Consequence::default();
    if quiet { String::new() } else { change.consequence.to_string() }
}

fn field(FieldChange { path, before, after }: &FieldChange) -> String {
    let path = show::plain(path);
    match (before, after) {
        (Some(before), Some(after)) => format!("{} {path}: {} -> {}", show::paint(CHANGED, "~"), value(before), value(after)),
        (Some(before), None) => format!("{} {path}: {}", show::paint(GONE, "-"), value(before)),
        (None, after) => format!("{} {path}: {}", show::paint(GOOD, "+"), after.as_ref().map(value).unwrap_or_default()),
    }
}

/// Returns a value on one line, cut when it is long.
fn value(value: &Value) -> String {
    let text = show::plain(&value.to_string());
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
