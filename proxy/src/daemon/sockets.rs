//! Makes the listening sockets, which the data plane has no privilege to make.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use super::holder;
use crate::wire::Socket;

/// Connections that the kernel holds until they are accepted; it lowers this to `net.core.somaxconn`.
const BACKLOG: i32 = 4_096;

/// Idle time after which the kernel asks whether a client is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Binds a socket; the error is for people.
pub(super) fn open(socket: Socket, address: Option<IpAddr>, dns: SocketAddrV4) -> Result<OwnedFd, String> {
    let (result, port) = match socket {
        Socket::Http(port) => (http(address, port), port),
        Socket::DnsUdp => (udp(dns), dns.port()),
        Socket::DnsTcp => (tcp(dns.into(), true), dns.port()),
    };
    result.map_err(|error| explain(error, socket, port))
}

/// Listens on all addresses of both families, or of version 4 alone where there is no other.
fn http(address: Option<IpAddr>, port: u16) -> Result<OwnedFd, Errno> {
    if let Some(address) = address {
        return tcp((address, port).into(), false);
    }
    match tcp((Ipv6Addr::UNSPECIFIED, port).into(), false) {
        Err(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL) => tcp((Ipv4Addr::UNSPECIFIED, port).into(), false),
        result => result,
    }
}

fn tcp(address: SocketAddr, free: bool) -> Result<OwnedFd, Errno> {
    let socket = make(address, SocketType::STREAM, free)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted connections inherit these.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_tcp_keepidle(&socket, KEEPALIVE)?;
    bind(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn udp(address: SocketAddrV4) -> Result<OwnedFd, Errno> {
    let socket = make(address.into(), SocketType::DGRAM, true)?;
    bind(&socket, &address)?;
    Ok(socket)
}

/// Makes a socket; `free` lets it bind an address that comes and goes with the links.
fn make(address: SocketAddr, kind: SocketType, free: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    if free {
        sockopt::set_ip_freebind(&socket, true)?;
    }
    Ok(socket)
}

fn explain(error: Errno, socket: Socket, port: u16) -> String {
    let transport = if socket == Socket::DnsUdp { "udp" } else { "tcp" };
    match (error, holder::of(port, transport)) {
        (Errno::ADDRINUSE, Some(holder)) => format!("{transport} port {port} is in use by {holder}"),
        (Errno::ADDRINUSE, None) => format!("{transport} port {port} is in use by another program"),
        (error, _) => format!("{transport} port {port} could not be bound: {}", io::Error::from(error)),
    }
}
