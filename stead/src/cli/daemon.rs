//! `stead daemon`: the node.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use spec::net::Block;
use tracing_subscriber::EnvFilter;

use super::{paths, systemd};
use crate::node::{self, Node};

/// Run the node in the foreground. Containers and traffic go on when it ends.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  sudo stead daemon
  sudo stead daemon --data /tmp/s/data --run /tmp/s/run    a second one, beside the first")]
pub(super) struct Args {
    /// State that survives a reboot
    #[arg(long, default_value = paths::DATA, value_name = "DIR")]
    data: PathBuf,
    /// Sockets and what does not outlive a boot
    #[arg(long, default_value = paths::RUN, value_name = "DIR")]
    run: PathBuf,
    /// Variables that `$E:NAME` reads, before the daemon's own environment
    #[arg(long, default_value = paths::ENV_FILE, value_name = "FILE")]
    env_file: PathBuf,
    /// Where overlay networks take their addresses from [default: the first of a few private ranges that is free]
    #[arg(long, value_name = "CIDR")]
    pool: Option<Block>,
    /// What is logged, such as `debug` or `stead=debug,warn`
    #[arg(long, default_value = "info", env = "STEAD_LOG", value_name = "FILTER")]
    log: String,
}

pub(super) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !rustix::process::geteuid().is_root() {
        bail!("the node needs root, for containers and networks: run it with sudo");
    }
    if let Err(error) = EnvFilter::try_new(&args.log) {
        bail!("`{}` is no filter for the log: {error}", args.log);
    }
    super::log_to_stderr(&args.log);
    // Both of rustls' providers are in the tree; it panics unless one is chosen.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let config = node::Config {
        data: args.data,
        run: args.run,
        env_file: args.env_file,
        pool: args.pool,
        environment: std::env::vars().collect(),
    };
    let notify = std::env::var_os("NOTIFY_SOCKET");
    runtime.block_on(async {
        let node = Node::start(config).await?;
        systemd::notify_ready(notify.as_deref()).context("the service manager cannot be told")?;
        node.until_told_to_end().await
    })?;
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}
