//! The same program started by those who only start containers: crun and runc.
//!
//! They have less to do: a root that is a plain directory, the network of whoever calls them, no address, no packet filter,
//! no proxy, no name, no log file, and nothing that is written down before it is done.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use serde_json::{Value, json};

use super::place::Place;
use super::timeline::milliseconds;
use crate::process::Tool;

/// Where the program listens.
const PORT: u16 = 8080;
/// Where version 2 of the control groups is on a host that has both versions.
const UNIFIED: &str = "/sys/fs/cgroup/unified";
/// Bound on one run of a peer, which takes milliseconds.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A program that runs an OCI bundle.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// What it sees mounted, where that is not what everybody does.
    mounts: Option<Arc<File>>,
    bundle: PathBuf,
    state: PathBuf,
}

impl Peer {
    pub(super) fn new(name: &'static str, dir: &Path, hello: &Path) -> Result<Peer> {
        let (bundle, state) = (dir.join(name), dir.join(format!("{name}-state")));
        let root = bundle.join("rootfs");
        std::fs::create_dir_all(&root)?;
        std::fs::copy(hello, root.join("hello"))?;
        std::fs::set_permissions(root.join("hello"), std::fs::Permissions::from_mode(0o755))?;
        Tool::new(name).arg("spec").dir(&bundle).run()?;
        let config = bundle.join("config.json");
        let specimen = serde_json::from_slice(&std::fs::read(&config)?)?;
        std::fs::write(&config, serde_json::to_vec(&adapted(specimen)?)?)?;
        let mounts = (name == "crun" && Path::new(UNIFIED).is_dir()).then(without_unified).transpose()?;
        Ok(Peer { name, mounts, bundle, state })
    }

    /// Returns the milliseconds from the command to the first answer.
    pub(super) fn run(&self, place: &Place, run: usize) -> Result<f64> {
        let id = format!("stead-bench-{}-{run}", std::process::id());
        let started = Instant::now();
        self.tool().args(["run", "--detach", "--bundle"]).arg(&self.bundle).arg(&id).run()?;
        let answered = place.first_answer(PORT);
        self.tool().args(["delete", "--force", &id]).run()?;
        Ok(milliseconds(answered?.duration_since(started)))
    }

    fn tool(&self) -> Tool {
        let tool = Tool::new(self.name).arg("--root").arg(&self.state).timeout(TIMEOUT);
        match &self.mounts {
            Some(mounts) => tool.in_mounts(mounts.clone()),
            None => tool,
        }
    }
}

/// Returns a mount namespace without the control groups of version 2: crun refuses to run where both versions are in use.
fn without_unified() -> Result<Arc<File>> {
    let made = std::thread::spawn(|| {
        // SAFETY: a new mount namespace for this thread alone, which ends here; no memory or files are unshared.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
        unmount(UNIFIED, UnmountFlags::DETACH)?;
        Ok(Arc::new(File::open("/proc/thread-self/ns/mnt")?))
    });
    made.join().map_err(|_| anyhow!("the thread that hides {UNIFIED} panicked"))?
}

/// Makes what `crun spec` writes run the program, in the network it is started in.
fn adapted(mut config: Value) -> Result<Value> {
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/hello", "greeter"]);
    let namespaces = config["linux"]["namespaces"].as_array_mut().context("a configuration without namespaces")?;
    namespaces.retain(|namespace| namespace["type"] != "network");
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_stays_that_of_the_caller() {
        let specimen =
            json!({ "process": { "terminal": true }, "linux": { "namespaces": [{ "type": "pid" }, { "type": "network" }] } });
        let config = adapted(specimen).unwrap();
        assert_eq!(config["linux"]["namespaces"], json!([{ "type": "pid" }]));
        assert_eq!(config["process"], json!({ "terminal": false, "args": ["/hello", "greeter"] }));
        assert!(adapted(json!({})).is_err());
    }
}
