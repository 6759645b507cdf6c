//! What is on the host: taken before and after, to see that nothing is left.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What of one node is there: everything that carries its id or lies in its directories.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traces {
    pub links: BTreeSet<String>,
    pub tables: BTreeSet<String>,
    pub mounts: BTreeSet<String>,
    pub control_groups: BTreeSet<PathBuf>,
    pub processes: BTreeSet<String>,
    pub files: BTreeSet<PathBuf>,
}

/// Returns the control groups of a node, on whichever version is mounted.
pub fn control_groups(id: &str) -> BTreeSet<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let mut roots = vec![root.to_owned()];
    roots.extend(fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path()));
    roots.into_iter().map(|root| root.join(format!("stead-{id}"))).filter(|path| path.exists()).collect()
}

/// Returns the mounts below a directory.
pub fn mounts(below: &Path) -> BTreeSet<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(str::to_owned);
    points.filter(|point| Path::new(point).starts_with(below)).collect()
}

/// Returns the folders in a folder.
pub fn children(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

/// Returns the processes in a network namespace, as `pid command`.
///
/// `namespace` is what `/proc/PID/ns/net` links to.
pub fn processes(namespace: &Path) -> BTreeSet<String> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/net")).is_ok_and(|link| link == namespace))
        .filter_map(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            Some(format!("{pid} {}", String::from_utf8_lossy(&command).replace('\0', " ").trim()))
        })
        .filter(|line| !line.starts_with(&format!("{} ", std::process::id())))
        .collect()
}

/// Returns the process that started a process and waits for it.
pub fn parent(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_else(|error| panic!("process {pid}: {error}"));
    // The name, in brackets, may have spaces and brackets in it.
    let after_name = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1));
    after_name.and_then(|parent| parent.parse().ok()).expect("a parent")
}

/// Returns the files below a directory, relative to it; folders too when they are empty.
pub fn files(below: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries: Vec<_> = fs::read_dir(&folder).into_iter().flatten().flatten().collect();
        if entries.is_empty() && folder != below {
            found.extend(folder.strip_prefix(below).ok().map(Path::to_owned));
        }
        for entry in entries {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                _ => found.extend(entry.path().strip_prefix(below).ok().map(Path::to_owned)),
            }
        }
    }
    found
}
