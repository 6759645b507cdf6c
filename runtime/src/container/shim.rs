//! The shim: a small process that holds one container.
//!
//! The daemon cannot start containers itself: libcontainer forks, and a fork of a process with several threads hangs or
//! corrupts. And a container shall outlive the daemon. So it re-executes itself as this, which has one thread, no runtime,
//! and does four things: start the container, write its output to files, wait for its end, and say so.
//!
//! ```text
//!  daemon ──launch.json──▶ shim ──libcontainer──▶ container's first process
//!     ◀──stdout (a socket): running / not started / exited──┘ └─ stdout, stderr ─▶ log files
//! ```

mod clients;
mod ready;
mod start;
mod watch;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

use rustix::process::Pid;

use self::ready::Stage;
use super::cgroup::Cgroups;
use super::launch::Order;
use super::lock;
use super::protocol::{Message, line};

/// Runs one container; `args` is the path of its launch file alone.
///
/// To be called first thing in `main`, before any thread or runtime exists.
pub fn shim_main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(path) = args.next() else {
        eprintln!("a shim is started by the daemon, with the path of a launch file");
        return ExitCode::from(2);
    };
    let daemon = match ready::detach() {
        Ok(daemon) => daemon,
        Err(error) => {
            eprintln!("shim: {error}");
            return ExitCode::FAILURE;
        }
    };
    match run(Path::new(&path), &daemon) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("shim: {why}");
            let _ = rustix::io::write(&daemon, &line(&Message::NotStarted(why)));
            ExitCode::FAILURE
        }
    }
}

fn run(path: &Path, daemon: &UnixStream) -> Result<(), String> {
    let order = Order::read(path).map_err(|error| format!("read {}: {error}", path.display()))?;
    let lock = lock::hold(&order.run.join("lock")).map_err(|error| format!("lock: {error}"))?;
    let Some(_lock) = lock else { return Err("another shim holds this container".to_owned()) };
    let cgroups = Cgroups::find().map_err(|error| format!("find the control groups: {error}"))?;

    let mut stage = Stage::new(&order);
    let started = start::start(&order, &cgroups, &mut stage);
    let left = stage.leave();
    let group = order.cgroup.clone();
    let watched = started.and_then(|started| left.map(|()| started)).and_then(|started| {
        ready::trim();
        let daemon = daemon.try_clone().map_err(|error| format!("keep the daemon's socket: {error}"))?;
        watch::watch(order, &cgroups, started, daemon)
    });
    watched.inspect_err(|_| {
        let _ = cgroups.kill(&group).and_then(|()| cgroups.remove(&group));
        reap_all();
    })
}

/// A container that runs.
struct Started {
    pid: Pid,
    process: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

/// Takes leave of all children that ended.
fn reap_all() {
    while let Ok(Some(_)) = rustix::process::wait(rustix::process::WaitOptions::NOHANG) {}
}
