//! Gives up every privilege before the first byte of a stranger is read.

use std::io;
use std::os::fd::RawFd;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

/// Highest number of a capability the kernel could know: it holds them in 64 bits.
const CAPABILITIES: u32 = 64;

/// The first descriptor that is not standard input, output or error.
const FIRST_FILE: u32 = 3;

#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub(super) struct Error {
    what: &'static str,
    source: io::Error,
}

/// Becomes `uid` and `gid` for good: no groups, no capabilities, no new privileges by exec, nothing inherited.
///
/// Acts on the calling thread, so it must be the only one.
pub(super) fn give_up(uid: u32, gid: u32) -> Result<(), Error> {
    step("chdir", rustix::process::chdir("/"))?;
    rustix::process::umask(Mode::from_raw_mode(0o077));
    step("no_new_privs", rustix::thread::set_no_new_privs(true))?;

    if rustix::process::geteuid().is_root() {
        empty_bounding_set()?;
        step("setgroups", rustix::thread::set_thread_groups(&[]))?;
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    step("setresgid", rustix::thread::set_thread_res_gid(gid, gid, gid))?;
    step("setresuid", rustix::thread::set_thread_res_uid(uid, uid, uid))?;
    step("ambient capabilities", rustix::thread::clear_ambient_capability_set())?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    step("capabilities", rustix::thread::set_capabilities(None, none))
}

/// Raises the limit on open files to the hard one and returns it.
pub(super) fn raise_open_files() -> Result<usize, Error> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    step("open files", setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }))?;
    Ok(maximum.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX)))
}

/// Closes all files but the standard ones and `keep`: any library in the starter may have forgotten a close-on-exec flag.
pub(super) fn close_inherited(keep: Option<RawFd>) -> Result<(), Error> {
    let keep = keep.and_then(|number| u32::try_from(number).ok()).filter(|&number| number >= FIRST_FILE);
    match keep {
        Some(keep) => {
            if keep > FIRST_FILE {
                close_range(FIRST_FILE, keep - 1)?;
            }
            close_range(keep + 1, u32::MAX)
        }
        None => close_range(FIRST_FILE, u32::MAX),
    }
}

fn close_range(first: u32, last: u32) -> Result<(), Error> {
    // SAFETY: this is the beginning of the process, as `data_plane_main` asks: no value in it owns one of these descriptors.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 { Ok(()) } else { Err(Error { what: "close_range", source: io::Error::last_os_error() }) }
}

fn empty_bounding_set() -> Result<(), Error> {
    for number in 0..CAPABILITIES {
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            // The first number that the kernel does not know.
            Err(rustix::io::Errno::INVAL) => break,
            // Root in a container may not even do this; without new privileges the set grants nothing.
            Err(rustix::io::Errno::PERM) => break,
            result => step("the bounding set", result)?,
        }
    }
    Ok(())
}

fn step(what: &'static str, result: rustix::io::Result<()>) -> Result<(), Error> {
    result.map_err(|error| Error { what, source: error.into() })
}
