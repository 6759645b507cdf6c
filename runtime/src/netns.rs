//! Network namespaces pinned to a file, and sockets made inside of them.
//!
//! A socket belongs for its whole life to the namespace it was made in. So a throw-away thread enters the namespace, makes
//! the socket and ends; the runtime's own threads never change theirs.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::UnmountFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("network namespace {path}: cannot {act}")]
    Namespace { path: PathBuf, act: &'static str, source: io::Error },
    #[error("connect to {address}")]
    Connect { address: SocketAddr, source: io::Error },
    #[error("a socket in network namespace {path}")]
    Socket { path: PathBuf, source: io::Error },
}

/// Makes a network namespace with a working loopback, and pins it to the file `path`, which must not exist.
pub fn create(path: &Path) -> Result<(), Error> {
    let fail = |act| move |source: io::Error| Error::Namespace { path: path.to_owned(), act, source };
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    drop(rustix::fs::open(path, flags, Mode::RUSR).map_err(|error| fail("create its file")(error.into()))?);
    let pinned = on_a_thread(|| {
        // SAFETY: only the network namespace of this short-lived thread changes; no file table is unshared.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }?;
        loopback_up()?;
        Ok(rustix::mount::mount_bind("/proc/thread-self/ns/net", path)?)
    });
    pinned.inspect_err(|_| drop(std::fs::remove_file(path))).map_err(fail("pin it"))
}

/// Removes the pin at `path`; the namespace itself ends with its last process. Does nothing where there is none.
pub fn delete(path: &Path) -> Result<(), Error> {
    let fail = |act| move |source: io::Error| Error::Namespace { path: path.to_owned(), act, source };
    match rustix::mount::unmount(path, UnmountFlags::DETACH) {
        Ok(()) | Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(fail("unmount its pin")(error.into())),
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail("remove its file")(error)),
        _ => Ok(()),
    }
}

/// Runs `work` on a thread of its own inside the namespace at `path`.
pub fn enter<T: Send>(path: &Path, work: impl FnOnce() -> io::Result<T> + Send) -> Result<T, Error> {
    on_a_thread(|| {
        let namespace = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
        work()
    })
    .map_err(|source| Error::Namespace { path: path.to_owned(), act: "enter it", source })
}

/// Connects from inside the namespace at `path`; waits as long as the kernel does, so bound it from outside.
pub async fn connect(path: &Path, address: SocketAddrV4) -> Result<TcpStream, Error> {
    let failed = |source| Error::Connect { address: address.into(), source };
    let socket = std::net::TcpStream::from(socket(path, SocketType::STREAM).await?);
    TcpSocket::from_std_stream(socket).connect(address.into()).await.map_err(failed)
}

/// Makes an unbound UDP socket inside the namespace at `path`.
pub async fn udp(path: &Path) -> Result<UdpSocket, Error> {
    let socket = std::net::UdpSocket::from(socket(path, SocketType::DGRAM).await?);
    UdpSocket::from_std(socket).map_err(|source| Error::Socket { path: path.to_owned(), source })
}

async fn socket(path: &Path, kind: SocketType) -> Result<OwnedFd, Error> {
    let namespace = path.to_owned();
    let make = move || {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        enter(&namespace, || Ok(rustix::net::socket_with(AddressFamily::INET, kind, flags, None)?))
    };
    match tokio::task::spawn_blocking(make).await {
        Ok(socket) => socket,
        Err(error) => Err(Error::Socket { path: path.to_owned(), source: io::Error::other(error) }),
    }
}

/// Sets the loopback interface up, as netdevice(7) has it.
fn loopback_up() -> io::Result<()> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all zero is a value of this plain structure.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the request is a whole structure, alive during the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}
