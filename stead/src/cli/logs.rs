//! `stead logs`: what a service's replicas wrote.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use api::Client;
use api::wire::Query;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use runtime::logs::{Line, Source};
use spec::{Kind, Name};
use tokio::io::AsyncBufReadExt as _;
use tokio_util::io::StreamReader;

use super::Context;
use super::show::{self, DIM};

/// Show what a service's replicas wrote.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead logs web               the last lines of all replicas of service web
  stead logs hello/web -f      follow, when several deployments have a web
  stead logs hello/web/0       one replica alone")]
pub(super) struct Args {
    /// SERVICE, DEPLOYMENT/SERVICE or DEPLOYMENT/SERVICE/REPLICA
    service: String,
    /// Go on with what is written from now on
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each replica to begin with
    #[arg(long, default_value_t = 100, value_name = "LINES")]
    tail: usize,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let client = context.client();
    let replicas = find(&client, &args.service).await?;
    let mut streams = Vec::new();
    for replica in &replicas {
        let lines = client
            .logs(replica, Some(args.tail), args.follow)
            .await
            .with_context(|| format!("the logs of {replica} cannot be read"))?;
        streams.push(lines_of(lines).map(move |line| (replica, line)).boxed());
    }
    let width = replicas.iter().map(|replica| short(replica).len()).max().unwrap_or_default();
    let mut lines = futures_util::stream::select_all(streams);
    let mut out = anstream::stdout().lock();
    while let Some((replica, line)) = lines.next().await {
        let line = line.with_context(|| format!("the logs of {replica} ended early"))?;
        let source = match &line.source {
            Source::Out => String::new(),
            other => format!("{} ", show::paint(DIM, other)),
        };
        let label = show::paint(DIM, format!("{:width$}", short(replica)));
        if writeln!(out, "{label} {source}{}", show::plain(&line.text)).is_err() {
            break; // the reader of a pipe has seen enough
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Splits what the node sends into lines of the log.
fn lines_of(
    chunks: impl Stream<Item = Result<bytes::Bytes, api::client::Error>> + Unpin,
) -> impl Stream<Item = anyhow::Result<Line>> {
    let reader = StreamReader::new(chunks.map_err(std::io::Error::other));
    futures_util::stream::try_unfold(reader.lines(), |mut lines| async {
        let Some(line) = lines.next_line().await? else { return Ok(None) };
        Ok(Some((serde_json::from_str(&line)?, lines)))
    })
}

/// Returns a replica's name without its deployment.
fn short(replica: &Name) -> String {
    replica.components().skip(1).collect::<Vec<_>>().join("/")
}

/// Returns the replicas that a person means.
async fn find(client: &Client, text: &str) -> anyhow::Result<Vec<Name>> {
    let name: Name = text.parse()?;
    let all = client.list(&Query { kinds: vec![Kind::Replica], ..Query::default() }).await?;
    let names = all.objects.into_iter().map(|object| object.key.name.clone());
    let parts = name.components().count();
    let found: Vec<Name> = names
        .filter(|replica| match parts {
            1 => replica.components().nth(1) == Some(name.as_str()),
            2 => replica.parent().as_ref() == Some(&name),
            _ => *replica == name,
        })
        .collect();
    let deployments: BTreeSet<_> = found.iter().map(|replica| replica.root().to_owned()).collect();
    if deployments.len() > 1 {
        let choices: Vec<_> = deployments.iter().map(|deployment| format!("{deployment}/{name}")).collect();
        bail!("several deployments have a service `{name}`: say {}", choices.join(" or "));
    }
    if found.is_empty() {
        bail!("no replica of `{name}` is here; `stead get replica` lists them");
    }
    Ok(found)
}
