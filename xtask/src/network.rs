//! Network namespaces, and the loopback link in them.

use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Moves the calling thread, and all that it will start, into a network of its own with nothing but a loopback link.
///
/// Call it on the main thread while there is no other.
pub fn enter_own() -> Result<()> {
    // SAFETY: only the network is unshared, no memory and no files.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.context("a network namespace cannot be made; it takes root")?;
    bring_up_loopback().context("the loopback link")
}

pub fn bring_up_loopback() -> Result<()> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zeros is a valid `ifreq`, which is numbers and a union of numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a whole `ifreq` with a terminated name, and outlives the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error().into()),
    }
}
