//! `stead uninstall`: takes everything away again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstream::println;
use anyhow::{Context as _, bail};
use api::Client;
use api::client::Error;
use api::wire::Query;
use spec::Kind;

use super::install::below;
use super::{Context, delete, paths, systemd};

/// Remove Stead with all its deployments, images and state. Leaves nothing.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo stead uninstall --yes")]
pub(super) struct Args {
    /// Delete the deployments that run, and all state
    #[arg(long)]
    yes: bool,
    /// Uninstall what was installed below this directory
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// How long one deployment may take to end.
const DELETE: Duration = Duration::from_secs(120);
/// How long the node may take to end.
const STOP: Duration = Duration::from_secs(20);

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("uninstalling needs root: run it with sudo");
    }
    if args.root.is_none() {
        if context.socket_named {
            bail!("this removes the node that `stead install` made, and --socket or STEAD_SOCKET names another: leave that out");
        }
        let client = context.client();
        match client.list(&Query { kinds: vec![Kind::Deployment], ..Query::default() }).await {
            Ok(list) => {
                if !list.objects.is_empty() && !args.yes {
                    let names: Vec<_> = list.objects.iter().map(|object| object.key.name.to_string()).collect();
                    bail!("{} would be deleted, with all state; say so with --yes", names.join(", "));
                }
                for object in list.objects {
                    client.delete(&object.key).await?;
                    delete::gone(&client, &object.key.name, DELETE).await?;
                    println!("deleted {}", object.key.name);
                }
                stop(&client, &context.socket).await?;
            }
            Err(Error::NoNode { .. }) if args.yes || !Path::new(paths::DATA).exists() => {}
            Err(Error::NoNode { .. }) => {
                bail!(
                    "no node runs, so what its deployments left cannot be taken away; start it with `stead daemon`, or say --yes to remove only files"
                )
            }
            Err(error) => return Err(error).context("the node does not answer"),
        }
    }
    remove_files(args.root.as_deref())?;
    println!("Stead is gone");
    Ok(ExitCode::SUCCESS)
}

/// Ends the node, which takes the network and the data plane with it when nothing is deployed.
async fn stop(client: &Client, socket: &Path) -> anyhow::Result<()> {
    if systemd::is_running() && Path::new(paths::UNIT).exists() {
        systemd::systemctl(&["disable", "--quiet", "--now", paths::SERVICE])?;
    }
    // One that `stead up` started is not systemd's.
    if client.ready().await.is_ok() {
        end(socket)?;
    }
    ended(client).await
}

/// Tells the node behind a socket to end. Its containers and their traffic go on.
pub(super) fn end(socket: &Path) -> anyhow::Result<()> {
    // Who listens on the socket is the node.
    let connection = std::os::unix::net::UnixStream::connect(socket)?;
    let pid = rustix::net::sockopt::socket_peercred(&connection)?.pid;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).context("the node cannot be ended")
}

/// Waits until no node answers any more.
pub(super) async fn ended(client: &Client) -> anyhow::Result<()> {
    let gone = async {
        while !matches!(client.ready().await, Err(Error::NoNode { .. })) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(STOP, gone).await.context("the node does not end")
}

fn remove_files(root: Option<&Path>) -> anyhow::Result<()> {
    let run = below(root, paths::RUN);
    let env_dir = below(root, paths::ENV_FILE).parent().map(Path::to_owned);
    for dir in [Some(below(root, paths::DATA)), Some(run), env_dir].into_iter().flatten() {
        absent(&dir, fs::remove_dir_all(&dir))?;
    }
    for file in [paths::UNIT, paths::BINARY].map(|path| below(root, path)) {
        absent(&file, fs::remove_file(&file))?;
    }
    if root.is_none() && systemd::is_running() {
        systemd::systemctl(&["daemon-reload"])?;
    }
    Ok(())
}

fn absent(path: &Path, result: std::io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", path.display()))
        }
        _ => Ok(()),
    }
}
