//! What changes in the network, whoever changes it: the kernel's multicast groups, boiled down to two kinds of event.
//!
//! Nothing is queued: each subscriber compares two counts with those it saw last, so any number of changes make one
//! event, and a slow subscriber costs nothing.

use std::io;
use std::time::Duration;

use rtnetlink::sys::Socket;
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::Error;
use crate::filter::kernel::NETLINK_NETFILTER;
use crate::rtnl::NETLINK_ROUTE;

/// Groups of linux/rtnetlink.h: links, IPv4 addresses, IPv4 routes, neighbours are left out (they change all the time).
const ROUTE_GROUPS: [u32; 3] = [1, 5, 7];

/// `NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h.
const FILTER_GROUP: u32 = 7;

/// Room for the changes of some thousand links at once; when it overflows, both kinds of event are reported.
const QUEUE_BYTES: usize = 1 << 20;

const MESSAGE_BYTES: usize = 64 << 10;

/// Datagrams read before subscribers are told: a flood without end must not keep them waiting.
const READS_AT_ONCE: usize = 256;

/// Wait after a socket failed for no known reason, so that a broken one does not take a whole processor.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Something changed. It may be a change of this process, and it may be one that does not matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// Interfaces, addresses or routes, on the host or inside a namespace that is linked to it.
    Links,
    /// The rules of nf_tables.
    Filter,
}

/// Changes since the monitor began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    links: u64,
    filter: u64,
}

/// A subscription to [`Event`]s.
pub struct Events {
    counts: watch::Receiver<Counts>,
    seen: Counts,
}

impl Events {
    /// Waits for the next event; `None` once all handles of the network are gone.
    ///
    /// Can be cancelled without losing an event.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            let now = *self.counts.borrow_and_update();
            if now.links != self.seen.links {
                self.seen.links = now.links;
                return Some(Event::Links);
            }
            if now.filter != self.seen.filter {
                self.seen.filter = now.filter;
                return Some(Event::Filter);
            }
            self.counts.changed().await.ok()?;
        }
    }
}

/// Listens until it is dropped.
pub(crate) struct Monitor {
    counts: watch::Sender<Counts>,
    task: JoinHandle<()>,
}

/// The two sockets that hear of changes.
pub(crate) struct Sockets {
    pub(crate) route: Socket,
    pub(crate) filter: Socket,
}

/// Opens the sockets in the network namespace of the calling thread.
pub(crate) fn open() -> Result<Sockets, Error> {
    let open = |protocol, groups: &[u32]| {
        let mut socket = Socket::new(protocol)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE_BYTES)?;
        groups.iter().try_for_each(|group| socket.add_membership(*group))?;
        Ok(socket)
    };
    let failed = || Error::io("listen for changes of the network");
    let route = open(NETLINK_ROUTE, &ROUTE_GROUPS).map_err(failed())?;
    // The namespaces at the other end of our links too: a route removed in there is a broken link.
    route.set_listen_all_namespaces(true).map_err(failed())?;
    Ok(Sockets { route, filter: open(NETLINK_NETFILTER, &[FILTER_GROUP]).map_err(failed())? })
}

impl Monitor {
    pub(crate) fn start(sockets: Sockets) -> Result<Monitor, Error> {
        let failed = || Error::io("listen for changes of the network");
        // SAFETY: a `Socket` owns its descriptor, which stays open and the same until it is dropped.
        let register = |socket| unsafe { AsyncFd::register(socket) }.map_err(io::Error::from).map_err(failed());
        let (route, filter) = (register(sockets.route)?, register(sockets.filter)?);
        let counts = watch::Sender::new(Counts::default());
        let task = tokio::spawn(listen(route, filter, counts.clone()));
        Ok(Monitor { counts, task })
    }

    pub(crate) fn events(&self) -> Events {
        let counts = self.counts.subscribe();
        let seen = *counts.borrow();
        Events { counts, seen }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(route: AsyncFd<Socket>, filter: AsyncFd<Socket>, counts: watch::Sender<Counts>) {
    let mut buffer = Vec::with_capacity(MESSAGE_BYTES);
    loop {
        let (links, heard) = tokio::select! {
            ready = route.readable() => (true, ready),
            ready = filter.readable() => (false, ready),
        };
        let drained = heard.and_then(|mut guard| {
            let drained = drain(guard.get_inner(), &mut buffer);
            if matches!(drained, Ok(Drained::Empty)) {
                guard.clear_ready();
            }
            drained
        });
        let lost = drained.is_err();
        counts.send_modify(|counts| {
            counts.links += u64::from(links || lost);
            counts.filter += u64::from(!links || lost);
        });
        // An overflow is over once it was read; anything else may come back at once.
        if let Err(error) = drained.map(drop)
            && error.raw_os_error() != Some(Errno::NOBUFS.raw_os_error())
        {
            warn!(%error, "cannot listen for changes of the network");
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }
}

enum Drained {
    Empty,
    /// There may be more to read.
    Full,
}

/// Reads and forgets what is queued.
fn drain(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<Drained> {
    for _ in 0..READS_AT_ONCE {
        buffer.clear();
        match socket.recv(buffer, 0) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::Empty),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Drained::Full)
}
