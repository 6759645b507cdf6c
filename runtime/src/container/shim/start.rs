//! Builds and starts the container.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use rustix::fs::{Gid, Uid};
use rustix::pipe::PipeFlags;
use rustix::process::{PidfdFlags, Resource};

use super::Started;
use super::ready::{Stage, outlive};
use crate::container::bundle::{self, Host, Input};
use crate::container::cgroup::Cgroups;
use crate::container::exec::Exec;
use crate::container::launch::Order;
use crate::container::overlay::Overlay;
use crate::container::root::Root;
use crate::container::user::{self, User};
use crate::container::{etc, seccomp};

/// The file libcontainer reads.
pub(super) const CONFIG: &str = "config.json";

/// Starts what `order` says; the error says why not, for a person.
pub(super) fn start(order: &Order, cgroups: &Cgroups, stage: &mut Stage) -> Result<Started, String> {
    stage.enter().map_err(|error| format!("make a mount namespace: {error}"))?;
    let user = prepare(order, cgroups)?;
    let pipe = || rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|error| format!("make a pipe: {error}"));
    let ((stdout, out), (stderr, err), (failure, failed)) = (pipe()?, pipe()?, pipe()?);
    for end in [&out, &err] {
        // So that a program without root's rights may open /dev/stdout, which is this pipe.
        let owner = (Some(Uid::from_raw(user.uid)), Some(Gid::from_raw(user.gid)));
        rustix::fs::fchown(end, owner.0, owner.1).map_err(|error| format!("hand over its output: {error}"))?;
    }
    let filters = seccomp::filters().map_err(|error| format!("make its system call filter: {error}"))?;
    let exec = Exec { failure: failed.as_raw_fd(), filters };
    let built = build(order, exec, out, err);
    drop(failed);
    let container = built.and_then(|mut container| container.start().map(|()| container).map_err(|error| chain(&error)));
    let said = read_all(failure);
    let container = match container {
        Ok(container) if said.is_empty() => container,
        Ok(_) => return Err(said),
        Err(why) => return Err(if said.is_empty() { why } else { said }),
    };
    let pid = container.pid().and_then(|pid| rustix::process::Pid::from_raw(pid.as_raw())).ok_or("it has no process")?;
    // It is a child of this process: its number stays its own until it is waited for.
    let process = rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|error| format!("watch it: {error}"))?;
    outlive();
    Ok(Started { pid, process, stdout, stderr })
}

/// Puts the root together and writes the configuration.
fn prepare(order: &Order, cgroups: &Cgroups) -> Result<User, String> {
    let launch = &order.launch;
    let rootfs = order.run.join("rootfs");
    let (upper, work) = (order.state.join("upper"), order.state.join("work"));
    for (dir, mode) in [(&rootfs, 0o700), (&upper, 0o755), (&work, 0o700)] {
        let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(dir);
        made.map_err(|error| format!("make {}: {error}", dir.display()))?;
    }
    let overlay = Overlay { layers: &launch.layers, upper: &upper, work: &work };
    overlay.mount(&rootfs).map_err(|error| chain(&error))?;

    let root = Root::open(&rootfs).map_err(|error| error.to_string())?;
    root.check().map_err(|error| error.to_string())?;
    let user = user::look_up(&root, &launch.spec.process.user).map_err(|error| error.to_string())?;
    let workdir = root.workdir(&launch.spec.process.workdir).map_err(|error| error.to_string())?;
    for (name, content) in etc::files(&launch.spec) {
        root.write_etc(name, &content).map_err(|error| error.to_string())?;
    }
    let host = Host {
        open_files: rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX),
        unified_cgroups: cgroups.unified,
        limits_swap: cgroups.limits_swap(),
    };
    let (args, env, netns, cgroup) = (launch.args(), &launch.env, order.netns.as_path(), order.cgroup.as_str());
    let input = Input { spec: &launch.spec, args, env, user: &user, workdir: &workdir, netns, cgroup, host };
    write_config(&order.run, &bundle::config(&input)).map_err(|error| format!("write {CONFIG}: {error}"))?;
    Ok(user)
}

fn write_config(run: &Path, config: &serde_json::Value) -> std::io::Result<()> {
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(run.join(CONFIG))?;
    Ok(serde_json::to_writer(std::io::BufWriter::new(file), config)?)
}

fn build(order: &Order, exec: Exec, stdout: OwnedFd, stderr: OwnedFd) -> Result<Container, String> {
    let state = order.run.join("libcontainer");
    std::fs::create_dir_all(&state).map_err(|error| format!("make {}: {error}", state.display()))?;
    let null = File::open("/dev/null").map_err(|error| format!("open /dev/null: {error}"))?;
    ContainerBuilder::new(order.launch.spec.id.clone(), SyscallType::default())
        .with_root_path(state)
        .map_err(|error| chain(&error))?
        .with_executor(exec)
        .with_stdin(null)
        .with_stdout(stdout)
        .with_stderr(stderr)
        .as_init(&order.run)
        .with_systemd(false)
        .with_detach(true)
        .build()
        .map_err(|error| chain(&error))
}

/// Reads what the container's first process says on its way, until it runs its program or is gone.
fn read_all(failure: OwnedFd) -> String {
    let mut text = Vec::new();
    let _ = File::from(failure).read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// Returns an error with all its sources: libcontainer's says little by itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = error.source();
    }
    text
}
