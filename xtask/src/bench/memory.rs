//! What the kernel says of a process: the memory it has, and the time it has used.

use std::time::Duration;

use anyhow::{Context, Result};

/// Memory of one process in MiB, from `/proc/PID/smaps_rollup`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Memory {
    pub(super) resident: f64,
    /// What it has, with its share of what it has in common with others.
    pub(super) proportional: f64,
    /// What would be free without it.
    pub(super) unique: f64,
}

impl Memory {
    pub(super) fn of(pid: u32) -> Result<Memory> {
        let path = format!("/proc/{pid}/smaps_rollup");
        parse(&std::fs::read_to_string(&path).with_context(|| path.clone())?).with_context(|| path)
    }
}

fn parse(rollup: &str) -> Result<Memory> {
    let mib = |name: &str| -> Result<f64> {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).with_context(|| format!("there is no {name}"))?;
        Ok(kib.parse::<f64>()? / 1024.0)
    };
    Ok(Memory { resident: mib("Rss")?, proportional: mib("Pss")?, unique: mib("Private_Clean")? + mib("Private_Dirty")? })
}

/// Returns the time that a process and its threads, also those that ended, have used; more exactly than the ticks in `/proc`.
pub(super) fn processor_time(pid: u32) -> Result<Duration> {
    let failed = || format!("the processor time of process {pid}");
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to `clock`, which outlives the call.
    let found = unsafe { libc::clock_getcpuclockid(pid.cast_signed(), &raw mut clock) };
    if found != 0 {
        return Err(std::io::Error::from_raw_os_error(found)).with_context(failed);
    }
    // SAFETY: the kernel writes to `time`, which outlives the call.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(std::io::Error::last_os_error()).with_context(failed);
    }
    Ok(Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32))
}

pub(super) fn parent(pid: u32) -> Result<u32> {
    stat(pid)?.get(1).and_then(|parent| u32::try_from(*parent).ok()).with_context(|| format!("process {pid} has no parent"))
}

/// Returns the children of a process whose command line has that word in it.
pub(super) fn children_with(parent_pid: u32, word: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid).is_ok_and(|parent| parent == parent_pid))
        .filter(|pid| {
            let cmdline = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            cmdline.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
        })
        .collect()
}

/// Returns the fields of `/proc/PID/stat` from the state on, which counts as 0.
fn stat(pid: u32) -> Result<Vec<i64>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    // The name before may have blanks and parentheses in it.
    let (_, fields) = text.rsplit_once(')').context("a stat file without a name")?;
    Ok(fields.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_sums_are_read() {
        let text = "00400000-7ffc [rollup]\nRss:   2048 kB\nPss:  1024 kB\nPss_Anon: 9 kB\nPrivate_Clean: 256 kB\nPrivate_Dirty: 256 kB\n";
        assert_eq!(parse(text).unwrap(), Memory { resident: 2.0, proportional: 1.0, unique: 0.5 });
        assert!(parse("Rss: 2048 kB\n").is_err());
    }

    #[test]
    fn a_process_has_memory_a_parent_and_uses_time() {
        let own = std::process::id();
        assert!(Memory::of(own).unwrap().resident > 1.0);
        assert_eq!(parent(own).unwrap(), std::os::unix::process::parent_id());
        let before = processor_time(own).unwrap();
        while processor_time(own).unwrap() == before {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn children_are_found_by_a_word_of_their_command_line() {
        let mut child = std::process::Command::new("sleep").arg("601.25").spawn().unwrap();
        let found = loop {
            // Between fork and exec it has our command line.
            match children_with(std::process::id(), "601.25") {
                found if found.is_empty() => std::thread::yield_now(),
                found => break found,
            }
        };
        assert_eq!(found, [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
