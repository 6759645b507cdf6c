//! A network namespace that a test makes for itself, with nothing in it but a loopback that is up.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// Lives as long as it is held, or as a process is in it.
#[derive(Clone)]
pub struct Namespace(Arc<File>);

impl Namespace {
    /// Makes one. `dir` is only for messages.
    pub fn new(dir: &Path) -> Namespace {
        let made = std::thread::spawn(|| {
            // SAFETY: a new network namespace for this thread alone, which ends here; no memory or files are unshared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            File::open("/proc/thread-self/ns/net")
        });
        let file =
            made.join().expect("the thread ends").unwrap_or_else(|error| panic!("no namespace for {}: {error}", dir.display()));
        let namespace = Namespace(Arc::new(file));
        namespace.run(|| loopback_up().expect("the loopback comes up"));
        namespace
    }

    /// Returns the one that a process is in.
    pub fn of(pid: u32) -> Namespace {
        let file = File::open(format!("/proc/{pid}/ns/net")).unwrap_or_else(|error| panic!("process {pid}: {error}"));
        Namespace(Arc::new(file))
    }

    /// Returns a path by which other programs can name it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// Returns what `/proc/PID/ns/net` of its processes links to.
    pub fn link(&self) -> PathBuf {
        std::fs::read_link(format!("/proc/self/fd/{}", self.0.as_raw_fd())).expect("its descriptor is open")
    }

    pub(super) fn descriptor(&self) -> Arc<File> {
        self.0.clone()
    }

    /// Runs `work` in this namespace, on a thread of its own.
    pub fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let file = self.0.clone();
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("the namespace can be entered");
            work()
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Runs a command in this namespace and returns what it printed.
    pub fn shell(&self, command: &str) -> String {
        let command = command.to_owned();
        self.run(move || {
            let output = Command::new("/bin/sh").args(["-c", &command]).output().expect("a shell runs");
            assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    /// Returns the names of all links but the loopback, and of all packet-filter tables.
    pub fn links_and_tables(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let links = self.shell("ip -o link");
        let links = links
            .lines()
            .filter_map(|line| line.split(": ").nth(1))
            .map(|name| name.split('@').next().unwrap_or(name).to_owned());
        let tables = self.shell("nft list tables");
        let without_loopback = links.filter(|name| name != "lo").collect();
        (without_loopback, tables.lines().map(str::to_owned).collect())
    }
}

/// Brings the loopback up in the calling thread's namespace.
fn loopback_up() -> std::io::Result<()> {
    let status = Command::new("ip").args(["link", "set", "lo", "up"]).status()?;
    if status.success() { Ok(()) } else { Err(std::io::Error::other("ip link set lo up failed")) }
}
