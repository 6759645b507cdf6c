//! What systemd is told, and what it is asked.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// The unit: a restart of the service leaves containers and the data plane alone.
pub(super) fn unit(binary: &str, data: &str, run: &str, env_file: &str) -> String {
    format!(
        "[Unit]
Description=Stead container orchestrator
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
ExecStart={binary} daemon --data {data} --run {run} --env-file {env_file}
Restart=always
RestartSec=1
# Shims and the data plane outlive the daemon; only the daemon itself is stopped.
KillMode=process
Delegate=yes
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
"
    )
}

/// Returns whether systemd runs this machine (sd_booted(3)).
pub(super) fn is_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Runs systemctl with these arguments.
pub(super) fn systemctl(args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("systemctl").args(args).output().context("systemctl cannot be run")?;
    if !output.status.success() {
        bail!("systemctl {} failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Tells the service manager that the daemon is ready (sd_notify(3)); nothing happens without one.
pub(super) fn notify_ready(socket: Option<&std::ffi::OsStr>) -> std::io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(path) = socket else { return Ok(()) };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(|_| ())
}
