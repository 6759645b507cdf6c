//! Starts a shim and waits until it says how the start went.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use tokio::process::Command;

use super::paths::Paths;
use super::protocol::Message;
use super::running::{Channel, Running};
use super::{Containers, Error, Inner, Order, START_PATIENCE, blocking, host, lock, tree};

/// Most of what a shim that failed badly says is shown: its last words.
const LAST_WORDS: usize = 2000;

pub(super) async fn spawn(containers: &Containers, paths: Paths, order: Order) -> Result<Running, Error> {
    let id = order.launch.spec.id.clone();
    let inner = containers.0.clone();
    let clean = paths.clone();
    let socket = blocking(&id, "start its shim", move || {
        sweep(&inner, &clean)?;
        order.write()?;
        run(&inner, &order)
    })
    .await?;
    let mut channel = Channel::new(socket).map_err(host(&id, "talk to its shim"))?;
    match tokio::time::timeout(START_PATIENCE, channel.receive()).await {
        Ok(Some(Message::Running(hello))) => Ok(Running::new(containers, paths, id, channel, hello)),
        Ok(Some(Message::NotStarted(why))) => Err(Error::NotStarted(why)),
        Ok(Some(Message::Exited(_)) | None) => Err(Error::NotStarted(format!("its shim died{}", last_words(&paths)))),
        Err(_) => {
            let _ = blocking(&id, "kill its shim", move || lock::kill_holder(&paths.lock())).await;
            Err(Error::Slow(id))
        }
    }
}

/// Removes what an earlier attempt left, but its writable layer.
fn sweep(inner: &Inner, paths: &Paths) -> io::Result<()> {
    inner.cgroups.kill(&paths.cgroup)?;
    inner.cgroups.remove(&paths.cgroup)?;
    tree::remove(&paths.run)?;
    for dir in [&paths.run, &paths.state] {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    Ok(())
}

/// Starts the process, with a socket as its standard output.
fn run(inner: &Inner, order: &Order) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut command = Command::new(inner.binary.path());
    command.arg0("stead-shim").args(&inner.config.shim.args).arg(order.run.join(Order::FILE));
    command.env_clear().stdin(Stdio::null()).stdout(OwnedFd::from(theirs));
    command.stderr(std::fs::File::create(order.run.join("stderr"))?);
    let mut child = command.spawn()?;
    // Only so that it does not stay a zombie: what became of it is known by its lock.
    tokio::spawn(async move { child.wait().await });
    Ok(ours)
}

fn last_words(paths: &Paths) -> String {
    let said = std::fs::read(paths.run.join("stderr")).unwrap_or_default();
    match String::from_utf8_lossy(&said[said.len().saturating_sub(LAST_WORDS)..]).trim() {
        "" => String::new(),
        words => format!(": {words}"),
    }
}
