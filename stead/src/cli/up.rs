//! `stead up`: applies a manifest and stays until it serves, or until it is clear that it will not.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anstream::{eprintln, println};
use anyhow::{Context as _, bail};
use api::Client;
use api::client::Error;
use spec::Name;

use super::input::Ready;
use super::progress::{Outcome, Progress};
use super::show::{self, BAD, DIM, GOOD};
use super::{Context, apply, paths};

/// Apply a manifest and wait until it serves. Starts a node here if none runs.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead up hello.yaml
  stead up hello.yaml --detach        do not wait
  stead up hello.yaml --timeout 2m    give up sooner")]
pub(super) struct Args {
    /// The manifest, or - for standard input
    file: PathBuf,
    /// Do not wait
    #[arg(short, long)]
    detach: bool,
    /// Longest time to wait
    #[arg(long, default_value = "10m", value_name = "DURATION")]
    timeout: spec::units::Duration,
}

/// How long a node may take to start.
const NODE_START: Duration = Duration::from_secs(20);

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let ready = Ready::read(&args.file)?;
    let deployment: Name = ready.manifest.deployment.parse()?;
    let client = context.client();
    ensure_node(&client, context).await?;

    let started = tokio::time::Instant::now();
    let applied = apply::put(&client, &ready).await?;
    if args.detach {
        println!("{deployment}: applied");
        return Ok(ExitCode::SUCCESS);
    }
    let mut progress = Progress::new(applied.object.generation);
    match tokio::time::timeout(args.timeout.into(), progress.follow(&client, &deployment)).await {
        Ok(outcome) => match outcome? {
            Outcome::Up => {
                println!("{deployment} is {} after {:.1} s", show::paint(GOOD, "up"), started.elapsed().as_secs_f64());
                Ok(ExitCode::SUCCESS)
            }
            Outcome::Failed(reasons) => {
                eprintln!("{deployment} {}:", show::paint(BAD, "failed"));
                for (service, reason) in reasons {
                    eprintln!("  {service}: {}", show::plain(&reason));
                    // What never got as far as a replica has written nothing.
                    if reason.starts_with("replica ") {
                        let hint = format!("stead logs {deployment}/{service}    shows what it wrote");
                        eprintln!("    {}", show::paint(DIM, hint));
                    }
                }
                Ok(ExitCode::FAILURE)
            }
            Outcome::Gone => bail!("{deployment} was deleted meanwhile"),
        },
        Err(_) => {
            let waiting: Vec<_> =
                progress.waiting().into_iter().map(|(service, reason)| format!("\n  {service}: {reason}")).collect();
            bail!(
                "{deployment} is not up after {}; it goes on trying, and `stead get service -o wide` shows how far it is{}",
                args.timeout,
                waiting.concat()
            )
        }
    }
}

/// Starts a node when there is none and nobody said which one to use.
async fn ensure_node(client: &Client, context: &Context) -> anyhow::Result<()> {
    match client.ready().await {
        Err(Error::NoNode { .. }) if !context.socket_named => {}
        Ok(()) => return Ok(()),
        Err(error) => return Err(error).context("the node does not answer"),
    }
    if !rustix::process::geteuid().is_root() {
        bail!("no node runs here, and starting one needs root: run this as root, or `sudo stead install` once");
    }
    let log = start_node()?;
    let ready = async {
        while client.ready().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(NODE_START, ready).await {
        Ok(()) => Ok(()),
        Err(_) => bail!("the node that was started does not answer; {} says why", log.display()),
    }
}

/// Starts the daemon in the background, as a process of its own.
fn start_node() -> anyhow::Result<PathBuf> {
    use std::os::unix::process::CommandExt as _;
    let data = Path::new(paths::DATA);
    std::fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
    let path = data.join("daemon.log");
    let log = std::fs::File::options().create(true).append(true).open(&path)?;
    let program = std::env::current_exe().context("the program's own file cannot be found")?;
    let child = Command::new(program)
        .arg("daemon")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("a node cannot be started")?;
    println!("no node ran here: started one (process {}); `stead install` starts it at every boot", child.id());
    Ok(path)
}
