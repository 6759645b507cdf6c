//! `stead doctor`: what Stead needs from the host, and what to do where it is missing.

use std::process::ExitCode;

use anstream::println;

use super::show::{self, BAD, DIM, GOOD};
use crate::node::doctor::{Level, examine};

/// Say what Stead needs from this host, whether it is there, and what to do if not.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo stead doctor
  sudo stead doctor --json")]
pub(super) struct Args {
    /// One JSON document
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let findings = examine().await;
    let failed = findings.iter().any(|finding| finding.level == Level::Missing);
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        for finding in &findings {
            let mark = match finding.level {
                Level::Fine => show::paint(GOOD, "ok     "),
                Level::Note => show::paint(DIM, "note   "),
                Level::Missing => show::paint(BAD, "missing"),
            };
            println!("{mark}  {:<16} {}", finding.name, show::plain(&finding.detail));
            if let Some(fix) = &finding.fix {
                println!("         {:<16} {}", "", show::plain(fix));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
