//! A newcomer's first deployment, on a machine with cgroup v2 only: loaded, up, fetched, bounded, deleted, nothing left.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{SERVER_MODULES, Scenario};
use crate::leftovers::Snapshot;
use crate::node::{Node, until};
use crate::vm::archive::{Archive, stripped};
use crate::vm::report::Report;
use crate::{http, oci, packages, workspace};

pub(super) const HELLO: Scenario =
    Scenario { name: "hello", memory_mib: 1024, timeout: Duration::from_secs(300), modules: SERVER_MODULES, fill, play };

const STEAD: &str = "/bin/stead";
const IMAGE: &str = "/hello.tar";
const MANIFEST: &str = "/hello.yaml";
/// The `resources.memory` of both services in examples/hello.yaml.
const MEMORY_LIMIT: &str = "33554432";
/// For steps that take a moment on a machine and much longer on an emulated one.
const PATIENCE: Duration = Duration::from_secs(90);

fn fill(archive: &mut Archive) -> Result<()> {
    packages::ensure(&[packages::BUILD])?;
    let programs = workspace::build(&["stead", "hello"])?;
    archive.directory("bin");
    archive.program(&STEAD[1..], &stripped(&programs[0])?);
    let hello = stripped(&programs[1])?;
    let image = oci::archive(&oci::Program { reference: "hello:latest", name: "hello", bytes: &hello })?;
    archive.file(&IMAGE[1..], &image);
    archive.file(&MANIFEST[1..], &fs::read(workspace::root().join("examples/hello.yaml"))?);
    Ok(())
}

fn play(report: &mut Report) {
    let Some(before) = report.check("the machine is looked at", Snapshot::take) else { return };
    let dir = PathBuf::from("/stead");
    let started = report.check("the daemon is ready", || {
        fs::create_dir(&dir)?;
        Node::start(Path::new(STEAD), &dir)
    });
    let Some(node) = started else { return };
    if run(report, &node, &before).is_none() {
        report.note(&node.log());
        return;
    }
    report.check("the daemon stops when asked", || node.stop());
    report.check("nothing is left", || match before.wait_for_no_more(PATIENCE, |_| true)?.as_slice() {
        [] => Ok(()),
        left => bail!("{}", left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    });
}

/// Stops at the first step that fails: those after it depend on it.
fn run(report: &mut Report, node: &Node, before: &Snapshot) -> Option<()> {
    report.check("the image is loaded", || node.load(Path::new(IMAGE)))?;
    report.check("the deployment is up", || node.up(Path::new(MANIFEST)))?;
    report.check("the page is served through the proxy", || until(PATIENCE, page))?;
    report.check("both replicas of both services run", || until(PATIENCE, replicas))?;
    report.check("every container has its memory limit", memory_limits)?;
    // Otherwise the check that nothing is left could not fail.
    report.check("what it takes is seen from outside", || match before.kinds_added()?.as_slice() {
        ["cgroup", "link", "mount", "process", "table"] => Ok(()),
        kinds => bail!("only {kinds:?}"),
    })?;
    report.check("the deployment is deleted", || node.delete("hello"))?;
    report.check("its containers are gone", || {
        until(PATIENCE, || match hello_processes().as_slice() {
            [] => Ok(()),
            left => bail!("{} run", left.len()),
        })
    })?;
    report.check("its page is gone", || {
        until(PATIENCE, || match page() {
            Ok(()) => bail!("it is still served"),
            Err(_) => Ok(()),
        })
    })
}

fn page() -> Result<()> {
    let answer = http::get(([127, 0, 0, 1], 8080).into(), "/")?;
    if answer.status == 200 && answer.body.starts_with("Hello from ") && answer.body.contains(", greeted by ") {
        return Ok(());
    }
    bail!("the answer is {} {:?}", answer.status, answer.body)
}

fn replicas() -> Result<()> {
    let processes = hello_processes();
    for face in ["greeter", "web"] {
        let number = processes.iter().filter(|process| process.face == face).count();
        if number != 2 {
            bail!("{number} replicas of {face} run");
        }
    }
    Ok(())
}

fn memory_limits() -> Result<()> {
    for process in hello_processes() {
        let path = format!("/proc/{}/cgroup", process.pid);
        let text = fs::read_to_string(&path)?;
        let cgroup = text.trim().strip_prefix("0::/").with_context(|| format!("{path} is not of cgroup v2: {text}"))?;
        let limit = fs::read_to_string(Path::new("/sys/fs/cgroup").join(cgroup).join("memory.max"))?;
        if limit.trim() != MEMORY_LIMIT {
            bail!("{} of /{cgroup} has a limit of {}", process.face, limit.trim());
        }
    }
    Ok(())
}

struct HelloProcess {
    pid: u32,
    face: String,
}

/// Returns the processes in containers, by their command line.
fn hello_processes() -> Vec<HelloProcess> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let process = |pid: u32| {
        let cmdline = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let face = cmdline.strip_prefix("/hello\0")?.split('\0').next()?.to_owned();
        Some(HelloProcess { pid, face })
    };
    pids.filter_map(process).collect()
}
