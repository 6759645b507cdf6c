//! What a node leaves behind: links, mounts, cgroups, tables of the packet filter and processes that were not there before.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::netfilter;

/// How often the machine is looked at while waiting for it to be clean.
const PAUSE: Duration = Duration::from_millis(100);

/// One thing of the kernel that outlives whoever made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Thing {
    kind: &'static str,
    name: String,
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// All such things of this machine at one moment.
pub struct Snapshot(BTreeSet<Thing>);

impl Snapshot {
    pub fn take() -> Result<Snapshot> {
        let mut things = BTreeSet::new();
        let mut add = |kind, names: Vec<String>| things.extend(names.into_iter().map(|name| Thing { kind, name }));
        add("link", entries(Path::new("/sys/class/net")));
        add("mount", mounts(&std::fs::read_to_string("/proc/self/mountinfo")?));
        add("cgroup", folders(Path::new("/sys/fs/cgroup")));
        add("table", netfilter::tables()?);
        add("process", processes());
        Ok(Snapshot(things))
    }

    /// Returns which kinds of things have been added since, sorted.
    pub fn kinds_added(&self) -> Result<Vec<&'static str>> {
        let now = Snapshot::take()?;
        let kinds: BTreeSet<&'static str> = now.0.difference(&self.0).map(|thing| thing.kind).collect();
        Ok(kinds.into_iter().collect())
    }

    /// Waits until nothing that `is_ours` has been added since; returns what is there all the same after `patience`.
    pub fn wait_for_no_more(&self, patience: Duration, is_ours: impl Fn(&Thing) -> bool) -> Result<Vec<Thing>> {
        let deadline = Instant::now() + patience;
        loop {
            let now = Snapshot::take()?;
            let left: Vec<Thing> = now.0.difference(&self.0).filter(|thing| is_ours(thing)).cloned().collect();
            if left.is_empty() || Instant::now() > deadline {
                return Ok(left);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Thing {
    /// Returns whether this belongs to the node that keeps everything below `dir`, on a machine with other nodes.
    ///
    /// `id` is what tells its names from theirs: its links begin with `st` and the id, the rest has it behind `stead-`.
    pub fn is_of_node(&self, dir: &Path, id: &str) -> bool {
        let in_dir = |path: &str| Path::new(path).starts_with(dir);
        match self.kind {
            "link" => self.name.starts_with(&format!("st{id}")),
            "mount" => in_dir(&self.name),
            _ => self.name.contains(&format!("stead-{id}")) || self.name.split([' ', '=']).any(in_dir),
        }
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Returns the mount points in a text such as `/proc/self/mountinfo`.
fn mounts(mountinfo: &str) -> Vec<String> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned).collect()
}

/// Returns all folders below one. They come and go meanwhile, which is no error.
fn folders(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut to_visit = vec![root.to_owned()];
    while let Some(folder) = to_visit.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.push(entry.path().to_string_lossy().into_owned());
                to_visit.push(entry.path());
            }
        }
    }
    found
}

/// Returns number, command line and cgroups of every process that is Stead's or in one of its containers.
fn processes() -> Vec<String> {
    let pids = entries(Path::new("/proc")).into_iter().filter_map(|name| name.parse::<u32>().ok());
    pids.filter_map(process).collect()
}

fn process(pid: u32) -> Option<String> {
    let cgroups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?.replace('\n', " ");
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    // Its shims run from a copy in memory, whose name is that of the program all the same.
    let is_stead = program.file_name().is_some_and(|name| name.to_string_lossy().contains("stead"));
    let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
    (is_stead || cgroups.contains("/stead-")).then(|| format!("{pid} {} {}", cmdline.trim(), cgroups.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_the_fifth_field() {
        let text = "24 1 0:21 / /proc rw shared:5 - proc proc rw\n30 24 0:5 / /run/a\\040b rw - tmpfs x rw\n";
        assert_eq!(mounts(text), ["/proc", "/run/a\\040b"]);
    }

    #[test]
    fn a_thing_that_stays_is_returned_and_one_that_goes_is_waited_for() {
        let before = Snapshot(BTreeSet::new());
        let loopback = |thing: &Thing| thing.to_string() == "link lo";
        assert_eq!(before.wait_for_no_more(Duration::ZERO, loopback).unwrap(), [Thing { kind: "link", name: "lo".to_owned() }]);
        assert_eq!(Snapshot::take().unwrap().wait_for_no_more(Duration::ZERO, loopback).unwrap(), []);
    }

    #[test]
    fn on_a_shared_machine_only_what_is_of_this_node_counts() {
        let is_ours = |kind, name: &str| Thing { kind, name: name.to_owned() }.is_of_node(Path::new("/tmp/d"), "ab12");
        assert!(is_ours("link", "stab12x") && !is_ours("link", "docker0") && !is_ours("link", "stcd34x"));
        assert!(is_ours("mount", "/tmp/d/run/x") && !is_ours("mount", "/tmp/dd"));
        assert!(is_ours("table", "stead-ab12") && !is_ours("table", "stead-cd34"));
        assert!(is_ours("process", "7 stead daemon --data /tmp/d/data 0::/") && is_ours("process", "7 /hello 0::/stead-ab12/x"));
        assert!(!is_ours("process", "7 stead daemon --data /tmp/e/data 0::/"));
    }
}
