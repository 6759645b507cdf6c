//! The virtual machine itself: that it is the server Stead asks for. When this fails, no other scenario means anything.

use std::fs;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Result, bail};

use super::{SERVER_MODULES, Scenario};
use crate::vm::report::Report;
use crate::{leftovers, netfilter};

pub(super) const MACHINE: Scenario = Scenario {
    name: "machine",
    memory_mib: 256,
    timeout: Duration::from_secs(60),
    modules: SERVER_MODULES,
    fill: |_| Ok(()),
    play,
};

fn play(report: &mut Report) {
    report.check("cgroup v2 has the controllers that limits need", controllers);
    report.check("the modules of a server are loaded", modules);
    report.check("an overlay can be mounted", overlay);
    report.check("the packet filter is empty", || match netfilter::tables()?.as_slice() {
        [] => Ok(()),
        tables => bail!("there is {}", tables.join(", ")),
    });
    report.check("nothing comes and goes by itself", || {
        let before = leftovers::Snapshot::take()?;
        match before.wait_for_no_more(Duration::ZERO, |_| true)?.as_slice() {
            [] => Ok(()),
            things => bail!("{things:?}"),
        }
    });
    report.check("the loopback link is up", || Ok(TcpListener::bind("127.0.0.1:8080")?));
}

fn controllers() -> Result<()> {
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control")?;
    for needed in ["cpu", "memory", "pids"] {
        if !controllers.split_whitespace().any(|controller| controller == needed) {
            bail!("{needed} is missing from {controllers}");
        }
    }
    Ok(())
}

fn modules() -> Result<()> {
    let loaded = fs::read_to_string("/proc/modules")?;
    for needed in ["nf_tables", "overlay", "veth", "wireguard"] {
        if !loaded.lines().any(|line| line.split(' ').next() == Some(needed)) {
            bail!("{needed} is missing");
        }
    }
    Ok(())
}

fn overlay() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(dir.path().join(name))?;
    }
    fs::write(dir.path().join("lower/file"), "below")?;
    let path = dir.path().display();
    let options = std::ffi::CString::new(format!("lowerdir={path}/lower,upperdir={path}/upper,workdir={path}/work"))?;
    let merged = dir.path().join("merged");
    rustix::mount::mount("overlay", &merged, "overlay", rustix::mount::MountFlags::empty(), &*options)?;
    let seen = fs::read_to_string(merged.join("file"));
    rustix::mount::unmount(&merged, rustix::mount::UnmountFlags::empty())?;
    if seen? != "below" {
        bail!("the lower file is not seen")
    }
    Ok(())
}
