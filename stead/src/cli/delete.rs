//! `stead delete`: takes a deployment away.

use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anyhow::{Context as _, bail};
use api::Client;
use api::wire::{Event, Query};
use futures_util::StreamExt as _;
use spec::{Key, Kind, Name};

use super::Context;
use super::show::{self, GOOD};

/// Delete a deployment, with all that it runs, and wait until it is gone.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead delete hello
  stead delete hello --detach    do not wait")]
pub(super) struct Args {
    /// Name of the deployment, as `stead get deployment` shows it
    deployment: String,
    /// Do not wait until it is gone
    #[arg(long)]
    detach: bool,
    /// Longest time to wait
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    timeout: spec::units::Duration,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let name: Name = args.deployment.parse()?;
    let client = context.client();
    client.delete(&Key::new(Kind::Deployment, name.clone())).await.with_context(|| format!("{name} was not deleted"))?;
    if args.detach {
        println!("{name}: is being deleted");
        return Ok(ExitCode::SUCCESS);
    }
    gone(&client, &name, args.timeout.into()).await?;
    println!("{name}: {}", show::paint(GOOD, "deleted"));
    Ok(ExitCode::SUCCESS)
}

/// Waits until a deployment is gone.
pub(super) async fn gone(client: &Client, deployment: &Name, longest: Duration) -> anyhow::Result<()> {
    let key = Key::new(Kind::Deployment, deployment.clone());
    let query = Query { kinds: vec![Kind::Deployment], deployment: Some(deployment.clone()), ..Query::default() };
    let wait = async {
        let mut events = client.watch(&query, None).await?;
        loop {
            match events.next().await.transpose()? {
                Some(Event::Delete(event)) if event.object.key == key => return anyhow::Ok(()),
                Some(Event::Synced { .. }) if client.get(&key).await?.is_none() => return Ok(()),
                Some(_) => {}
                None => bail!("the node ended the watch"),
            }
        }
    };
    match tokio::time::timeout(longest, wait).await {
        Ok(result) => result,
        Err(_) => bail!(
            "{deployment} is still there after {}; `stead get replica` shows what it waits for",
            show::age(spec::units::Duration(longest.as_millis() as u64))
        ),
    }
}
