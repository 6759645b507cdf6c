//! Where things are unless told otherwise.

/// State that survives a reboot.
pub(super) const DATA: &str = "/var/lib/stead";
/// Sockets and whatever does not outlive a boot.
pub(super) const RUN: &str = "/run/stead";
/// The node's API, in the run directory.
pub(super) const SOCKET: &str = "stead.sock";
/// Variables that `$E:NAME` reads.
pub(super) const ENV_FILE: &str = "/etc/stead/env";
pub(super) const BINARY: &str = "/usr/local/bin/stead";
pub(super) const UNIT: &str = "/etc/systemd/system/stead.service";
/// The unit's name.
pub(super) const SERVICE: &str = "stead.service";
