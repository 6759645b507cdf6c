//! Control groups of containers, in both versions: what is left of one, its end, and whether memory ran out in it.
//!
//! libcontainer makes them and sets the limits. On v1 there is a group in each controller's hierarchy, on v2 only one.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long killed processes may take to be gone: longer means that they hang in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

/// The hierarchies of this host.
#[derive(Clone, Debug)]
pub(crate) struct Cgroups {
    mounts: Vec<PathBuf>,
    /// The only hierarchy is of version 2.
    pub unified: bool,
}

impl Cgroups {
    /// Finds where the hierarchies are mounted.
    pub(crate) fn find() -> io::Result<Cgroups> {
        Ok(Cgroups::parse(&fs::read_to_string("/proc/self/mountinfo")?))
    }

    /// Reads the fields of proc_pid_mountinfo(5).
    fn parse(mountinfo: &str) -> Cgroups {
        let mut mounts = Vec::new();
        let mut unified = true;
        for line in mountinfo.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let kind = right.split(' ').next().unwrap_or_default();
            let Some(point) = left.split(' ').nth(4).filter(|_| matches!(kind, "cgroup" | "cgroup2")) else { continue };
            unified &= kind == "cgroup2";
            if !mounts.iter().any(|known| known == Path::new(point)) {
                mounts.push(PathBuf::from(point));
            }
        }
        Cgroups { mounts, unified }
    }

    /// Returns the directories of `group` that exist.
    pub(crate) fn dirs(&self, group: &str) -> Vec<PathBuf> {
        let below = group.trim_start_matches('/');
        self.mounts.iter().map(|mount| mount.join(below)).filter(|dir| dir.is_dir()).collect()
    }

    /// Returns the names of the groups right below `parent`.
    pub(crate) fn children(&self, parent: &str) -> Vec<String> {
        let entries = self.dirs(parent).into_iter().filter_map(|dir| fs::read_dir(dir).ok()).flatten().flatten();
        let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        dirs.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Kills all processes of `group` and waits until they are gone.
    pub(crate) fn kill(&self, group: &str) -> io::Result<()> {
        let dirs = self.dirs(group);
        let deadline = Instant::now() + KILL_PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            let pids = processes(&dirs);
            if pids.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(io::Error::other(format!("{} processes of {group} do not die", pids.len())));
            }
            kill_once(&dirs);
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Removes `group`, in which no process is left.
    pub(crate) fn remove(&self, group: &str) -> io::Result<()> {
        let deadline = Instant::now() + KILL_PATIENCE;
        self.dirs(group).iter().try_for_each(|dir| remove_dir(dir, deadline))
    }

    /// Returns how often the kernel killed a process of `group` for want of memory.
    pub(crate) fn oom_kills(&self, group: &str) -> u64 {
        let count = |path: PathBuf| {
            let text = fs::read_to_string(path).ok()?;
            text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
        };
        let files = ["memory.events", "memory.oom_control"];
        self.dirs(group).iter().flat_map(|dir| files.map(|file| dir.join(file))).find_map(count).unwrap_or(0)
    }

    /// Returns whether the kernel accounts for swap; without that, its limit cannot be set.
    pub(crate) fn limits_swap(&self) -> bool {
        let root = self.mounts.iter().any(|mount| mount.join("memory.memsw.limit_in_bytes").exists());
        // On v2 the root group has no limits; that there is no swap is known by another file.
        root || self.unified && Path::new("/proc/swaps").exists()
    }
}

/// Sends one round of kills. On v1 the group is frozen meanwhile, so that a fork bomb cannot outrun it and no process id
/// comes to mean another process.
fn kill_once(dirs: &[PathBuf]) {
    let set = |file: &str, value: &str| dirs.iter().any(|dir| write(&dir.join(file), value).is_ok());
    if set("cgroup.kill", "1") && dirs.len() == 1 {
        return;
    }
    set("freezer.state", "FROZEN");
    for pid in processes(dirs) {
        let _ = rustix::process::kill_process(pid, Signal::KILL);
    }
    set("freezer.state", "THAWED");
}

/// Writes to a file of the kernel's, if it is there.
fn write(file: &Path, value: &str) -> io::Result<()> {
    fs::File::options().write(true).open(file)?.write_all(value.as_bytes())
}

fn processes(dirs: &[PathBuf]) -> HashSet<Pid> {
    let lists = dirs.iter().map(|dir| fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default());
    lists.flat_map(|list| list.lines().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect::<Vec<_>>()).collect()
}

/// Removes `dir` and the groups below it; the kernel says "busy" for a moment after the last process is gone.
fn remove_dir(dir: &Path, deadline: Instant) -> io::Result<()> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_dir(&entry.path(), deadline)?;
        }
    }
    loop {
        match fs::remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_both_versions_are_found() {
        let v1 = "30 25 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                  31 25 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n24 1 8:1 / / rw - ext4 /dev/vda rw\n";
        let found = Cgroups::parse(v1);
        assert_eq!(found.mounts, [Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup/unified")]);
        assert!(!found.unified);
        let found = Cgroups::parse("31 25 0:27 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
        assert!(found.unified && found.mounts == [Path::new("/sys/fs/cgroup")]);
    }
}
