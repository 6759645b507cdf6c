//! Makes a fresh process a shim, and leads it through the mount namespace in which a container is built.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountPropagationFlags;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::container::launch::Order;

/// Cuts the process loose from the daemon that started it, and returns the socket to it.
pub(super) fn detach() -> io::Result<UnixStream> {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("shim: {panic}");
        // At once: after a fork it may be the container's first process that panicked, and it must not go on as a shim.
        // SAFETY: ends the process.
        unsafe { libc::_exit(101) }
    }));
    close_inherited()?;
    let daemon = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::process::setsid()?;
    rustix::process::chdir("/")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    rustix::thread::set_name(c"stead-shim")?;
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // libcontainer leaves them as they are, unless the container has some of its own.
    rustix::thread::set_thread_groups(&[])?;
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGPIPE, libc::SIGTERM] {
        // SAFETY: no handler is replaced. Only the daemon stops a container, by asking the shim.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    adjust_oom_score("0");
    Ok(UnixStream::from(daemon))
}

/// Closes what the daemon was started with and does not know: a lock or a pipe of somebody's would be held as long as the container.
fn close_inherited() -> io::Result<()> {
    // SAFETY: nothing of this process is open yet but the standard files.
    match unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the shim the last the kernel kills for want of memory, if that is allowed; its container is not meant by this.
pub(super) fn outlive() {
    adjust_oom_score("-900");
}

/// Asks for a score; to lower it needs CAP_SYS_RESOURCE, which not every host grants.
fn adjust_oom_score(score: &str) {
    let _ = std::fs::write("/proc/self/oom_score_adj", score);
}

/// Gives memory back that was needed only to start: there are as many shims as containers.
pub(super) fn trim() {
    #[cfg(target_env = "gnu")]
    // SAFETY: has no precondition.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// A mount namespace that exists only while a container is built.
///
/// The overlay is mounted in there: on the host nothing is to be unmounted, whatever happens. Afterwards the shim goes back
/// to the host's: staying would keep mounts of others alive, such as the pins of all network namespaces.
pub(super) struct Stage {
    order: std::path::PathBuf,
    host: Option<OwnedFd>,
}

impl Stage {
    pub(super) fn new(order: &Order) -> Stage {
        Stage { order: order.run.clone(), host: None }
    }

    pub(super) fn enter(&mut self) -> io::Result<()> {
        let host = rustix::fs::open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        // SAFETY: file descriptors stay shared with nobody, as there is no other thread.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }?;
        rustix::mount::mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        self.host = Some(host);
        Ok(())
    }

    /// Goes back, and removes the files that were needed only to start: they hold the environment's secrets.
    pub(super) fn leave(self) -> Result<(), String> {
        if let Some(host) = self.host {
            let back = rustix::thread::move_into_link_name_space(host.as_fd(), Some(LinkNameSpaceType::Mount));
            back.map_err(|error| format!("go back to the host's mounts: {error}"))?;
        }
        for file in [Order::FILE, super::start::CONFIG] {
            let _ = std::fs::remove_file(self.order.join(file));
        }
        Ok(())
    }
}
