//! `stead install`: makes this machine a node at every boot.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use anyhow::{Context as _, bail};
use api::Client;

use super::{paths, systemd, uninstall};

/// Install the binary, a systemd unit and the directories, and start the node. Doing it again changes only what differs.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo stead install
  sudo stead install --no-start    leave the service stopped")]
pub(super) struct Args {
    /// Do not start the service
    #[arg(long)]
    no_start: bool,
    /// Install below this directory instead of /, and start nothing: for packages and images
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub(super) async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("installing needs root: run it with sudo");
    }
    let binary = below(args.root.as_deref(), paths::BINARY);
    let unit = below(args.root.as_deref(), paths::UNIT);
    let env = below(args.root.as_deref(), paths::ENV_FILE);
    let data = below(args.root.as_deref(), paths::DATA);

    let mut changed = install_binary(&binary)?;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data)
        .with_context(|| format!("{} cannot be made", data.display()))?;
    if !env.exists() {
        write(&env, "# Variables for $E:NAME in manifests, one NAME=value a line.\n", 0o600)?;
    }
    changed |= write(&unit, &systemd::unit(paths::BINARY, paths::DATA, paths::RUN, paths::ENV_FILE), 0o644)?;

    if args.root.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    if !systemd::is_running() {
        println!("systemd does not run here, so nothing starts the node at boot; run `stead daemon` from what does");
        return Ok(ExitCode::SUCCESS);
    }
    systemd::systemctl(&["daemon-reload"])?;
    systemd::systemctl(&["enable", "--quiet", paths::SERVICE])?;
    if !args.no_start {
        take_over().await?;
        systemd::systemctl(&[if changed { "restart" } else { "start" }, paths::SERVICE])?;
        println!("the node runs, and will after every boot; `stead up FILE` deploys to it");
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends a node that `stead up` started: two cannot have one store. The service goes on with what it runs.
async fn take_over() -> anyhow::Result<()> {
    let socket = Path::new(paths::RUN).join(paths::SOCKET);
    let client = Client::new(socket.clone());
    if client.ready().await.is_err() || systemd::systemctl(&["is-active", "--quiet", paths::SERVICE]).is_ok() {
        return Ok(());
    }
    uninstall::end(&socket)?;
    uninstall::ended(&client).await
}

/// Returns an absolute path below another root.
pub(super) fn below(root: Option<&Path>, path: &str) -> PathBuf {
    match root {
        Some(root) => root.join(path.trim_start_matches('/')),
        None => PathBuf::from(path),
    }
}

/// Copies this program to its place; returns whether that changed anything.
fn install_binary(target: &Path) -> anyhow::Result<bool> {
    let own = std::env::current_exe().context("the program's own file cannot be found")?;
    if own == target {
        return Ok(false);
    }
    let bytes = fs::read(&own).with_context(|| format!("{} cannot be read", own.display()))?;
    replace(target, &bytes, 0o755)
}

fn write(path: &Path, text: &str, mode: u32) -> anyhow::Result<bool> {
    replace(path, text.as_bytes(), mode)
}

/// Puts a file in place by renaming, so that no half of it is ever seen; returns whether that changed anything.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<bool> {
    if fs::read(path).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let place = || format!("{} cannot be written", path.display());
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).with_context(place)?;
    let temporary = path.with_extension("new");
    fs::write(&temporary, bytes).with_context(place)?;
    fs::set_permissions(&temporary, fs::Permissions::from_mode(mode)).with_context(place)?;
    fs::rename(&temporary, path).with_context(place)?;
    println!("wrote {}", path.display());
    Ok(true)
}
