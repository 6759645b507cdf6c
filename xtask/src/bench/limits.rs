//! What this machine takes, here and now, for steps that no start of a container gets around.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

/// One page, as a store writes at least.
const PAGE_BYTES: usize = 4096;

/// Returns the milliseconds that one page takes to be safe on the disk of `dir`.
pub(super) fn flush(dir: &Path) -> Result<f64> {
    let file = File::options().create(true).write(true).truncate(false).open(dir.join("flush"))?;
    let started = Instant::now();
    file.write_all_at(&[1; PAGE_BYTES], 0)?;
    file.sync_data()?;
    Ok(super::timeline::milliseconds(started.elapsed()))
}

/// Returns the milliseconds that a static program takes to be started, to end, and to be waited for.
///
/// `program` is the one that containers run: without arguments it ends at once.
pub(super) fn process(program: &Path) -> Result<f64> {
    let started = Instant::now();
    Command::new(program).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    Ok(super::timeline::milliseconds(started.elapsed()))
}

/// Returns the milliseconds that it takes to move a process into a control group.
///
/// The kernel lets all that fork finish first, which takes a grace period of its RCU; shortly after such a move it is fast.
pub(super) fn control_group() -> Result<f64> {
    let group = Group::make()?;
    let mut process = Command::new("sleep").arg("60").spawn()?;
    let started = Instant::now();
    let moved = std::fs::write(group.0.join("cgroup.procs"), process.id().to_string());
    let took = started.elapsed();
    process.kill()?;
    process.wait()?;
    moved.with_context(|| format!("moving a process into {}", group.0.display()))?;
    Ok(super::timeline::milliseconds(took))
}

/// A control group that is there for a moment, in the hierarchy of version 2 or in one of version 1.
struct Group(PathBuf);

impl Group {
    fn make() -> Result<Group> {
        let root = Path::new("/sys/fs/cgroup");
        let root = if root.join("cgroup.procs").exists() { root.to_owned() } else { root.join("pids") };
        let path = root.join(format!("stead-bench-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Group(path))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir(&self.0) {
            eprintln!("left behind: {} ({error})", self.0.display());
        }
    }
}
