//! What Stead needs from a host, looked for without changing it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde::Serialize;

/// How a finding bears on Stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    Fine,
    /// Stead runs without it; something is slower, or not possible later.
    Note,
    /// Stead cannot run without it.
    Missing,
}

/// One thing that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) level: Level,
    pub(crate) detail: String,
    pub(crate) fix: Option<String>,
}

fn fine(name: &str, detail: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), level: Level::Fine, detail: detail.into(), fix: None }
}

fn lacking(name: &str, level: Level, detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), level, detail: detail.into(), fix: Some(fix.into()) }
}

/// Oldest kernel with all that is used: overlayfs by `lowerdir+`, pidfd, openat2, nf_tables in inet with NAT.
const KERNEL: (u32, u32) = (6, 1);

/// Looks at everything Stead needs.
pub(crate) async fn examine() -> Vec<Finding> {
    let mut findings = vec![root(), kernel(), cgroups(), overlay()];
    findings.extend(network().await);
    findings.extend([port(80), port(443), systemd()]);
    findings
}

fn root() -> Finding {
    match rustix::process::geteuid().is_root() {
        true => fine("root", "this runs as root"),
        false => {
            lacking("root", Level::Missing, "this does not run as root, so the rest cannot all be looked at", "run it with sudo")
        }
    }
}

fn kernel() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL {
        return fine("kernel", format!("Linux {release}"));
    }
    let wanted = format!("use a distribution with Linux {}.{} or newer, such as Debian 12", KERNEL.0, KERNEL.1);
    lacking("kernel", Level::Missing, format!("Linux {release} is too old"), wanted)
}

fn cgroups() -> Finding {
    let v2 = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let has = |controller: &str| v2.split_whitespace().any(|there| there == controller);
    let needed = ["cpu", "memory", "pids"];
    if needed.iter().all(|controller| has(controller)) {
        return fine("control groups", "version 2, with cpu, memory and pids");
    }
    let missing: Vec<_> = needed.into_iter().filter(|name| !Path::new("/sys/fs/cgroup").join(name).is_dir()).collect();
    if missing.is_empty() {
        return fine("control groups", "version 1, with cpu, memory and pids");
    }
    lacking(
        "control groups",
        Level::Missing,
        format!("neither version has {}", missing.join(", ")),
        "mount cgroup2 at /sys/fs/cgroup, as systemd does; on a Raspberry Pi add cgroup_enable=memory to the kernel's command line",
    )
}

fn overlay() -> Finding {
    let there = || fs::read_to_string("/proc/filesystems").unwrap_or_default().lines().any(|line| line.ends_with("overlay"));
    let module = || Path::new("/sys/module/overlay").exists();
    if there() || module() || module_can_be_loaded("overlay") {
        return fine("overlayfs", "the kernel has it");
    }
    lacking("overlayfs", Level::Missing, "the kernel has no overlayfs", "load it: modprobe overlay")
}

/// Returns whether the running kernel has a module by this name on disk; it is loaded by itself when it is used.
fn module_can_be_loaded(name: &str) -> bool {
    let uname = rustix::system::uname();
    let index = format!("/lib/modules/{}/modules.dep", uname.release().to_string_lossy());
    fs::read_to_string(index).unwrap_or_default().lines().any(|line| {
        let path = line.split(':').next().unwrap_or_default();
        path.rsplit('/').next().is_some_and(|file| file.split('.').next() == Some(name))
    })
}

async fn network() -> Vec<Finding> {
    let looked = netctl::doctor::check().await;
    let finding = |seen: netctl::doctor::Finding| Finding {
        name: seen.name,
        level: match seen.level {
            netctl::doctor::Level::Good => Level::Fine,
            netctl::doctor::Level::Warning => Level::Note,
            netctl::doctor::Level::Problem => Level::Missing,
        },
        detail: seen.detail,
        fix: Some(seen.fix).filter(|fix| !fix.is_empty()),
    };
    looked.into_iter().map(finding).collect()
}

fn port(port: u16) -> Finding {
    let name = format!("port {port}");
    match TcpListener::bind(("0.0.0.0", port)) {
        Ok(_) => fine(&name, "free"),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => lacking(
            &name,
            Level::Note,
            "another program listens on it",
            format!("endpoints cannot use it until that program leaves it; `ss -ltnp 'sport = :{port}'` names it"),
        ),
        Err(error) => lacking(&name, Level::Note, format!("cannot be used: {error}"), "run this as root"),
    }
}

fn systemd() -> Finding {
    match Path::new("/run/systemd/system").is_dir() {
        true => fine("systemd", "runs this machine: `stead install` starts the node at boot"),
        false => lacking("systemd", Level::Note, "does not run this machine", "start `stead daemon` at boot by what does"),
    }
}
