//! The process's side of the control socket: one daemon at a time tells it what to serve.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tracing::warn;

use super::Shared;
use super::metrics::Figures;
use super::table::Table;
use crate::channel::{Channel, SOCKETS_MAX};
use crate::wire::{Change, Hello, Reply, Request, Socket, Tables, VERSION};
use crate::{dns, http};

/// Pause after a failed accept, so that a lasting failure does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the process was told, and the sockets it serves on.
pub(super) struct Plane {
    shared: Arc<Shared>,
    tables: Tables,
    generation: u64,
    serving: BTreeMap<Socket, Serving>,
    /// Sockets that came since the last update.
    arrived: BTreeMap<Socket, OwnedFd>,
    sweeper: JoinHandle<()>,
}

/// A socket in use: `spare` is the same socket, for the next daemon to hold.
struct Serving {
    task: JoinHandle<()>,
    spare: OwnedFd,
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.sweeper.abort();
        for serving in self.serving.values() {
            serving.task.abort();
        }
    }
}

/// Serves one daemon after the other, for ever.
pub(super) async fn serve(mut plane: Plane, control: UnixListener, starter: u32) {
    loop {
        let stream = match control.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "no daemon could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !stream.peer_cred().is_ok_and(|peer| peer.uid() == starter) {
            warn!("another user connected to the control socket");
            continue;
        }
        if let Err(error) = plane.converse(stream).await {
            warn!(%error, "the connection to the daemon broke");
        }
        plane.arrived.clear();
    }
}

impl Plane {
    pub(super) fn new(shared: Arc<Shared>) -> Plane {
        let sweeper = tokio::spawn(http::backend::sweep(shared.clone()));
        let (tables, generation) = Default::default();
        Plane { shared, tables, generation, serving: BTreeMap::new(), arrived: BTreeMap::new(), sweeper }
    }

    /// Answers one daemon until it goes.
    async fn converse(&mut self, stream: UnixStream) -> io::Result<()> {
        let mut channel = Channel::new(stream);
        self.greet(&channel).await?;
        while let Some((request, sockets)) = channel.receive::<Request>().await? {
            let reply = match request {
                Request::Sockets(names) => self.take(&names, sockets)?,
                Request::Update { generation, reset, change } => self.update(generation, reset, change).await,
                Request::Figures => Reply::Figures(self.figures()),
            };
            channel.send(&reply, &[]).await?;
        }
        Ok(())
    }

    /// Says what is served, and hands the sockets back, so that they outlive this process too.
    async fn greet(&self, channel: &Channel) -> io::Result<()> {
        let (generation, hash, sockets) = (self.generation, self.tables.hash(), self.serving.len());
        channel.send(&Reply::Hello(Hello { version: VERSION, generation, hash, sockets }), &[]).await?;
        let all: Vec<_> = self.serving.iter().collect();
        for some in all.chunks(SOCKETS_MAX) {
            let names = some.iter().map(|(socket, _)| **socket).collect();
            let spares: Vec<BorrowedFd<'_>> = some.iter().map(|(_, serving)| serving.spare.as_fd()).collect();
            channel.send(&Reply::Sockets(names), &spares).await?;
        }
        Ok(())
    }

    fn take(&mut self, names: &[Socket], sockets: Vec<OwnedFd>) -> io::Result<Reply> {
        if names.len() != sockets.len() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "sockets and their names differ in number"));
        }
        self.arrived.extend(names.iter().copied().zip(sockets));
        Ok(Reply::Done)
    }

    async fn update(&mut self, generation: u64, reset: bool, change: Change) -> Reply {
        if reset {
            self.tables = Tables::default();
        }
        self.tables.apply(change);
        self.generation = generation;
        // The table first: a new port must know its routes when its first connection comes.
        let table = Table::new(&self.tables, &self.shared.table());
        self.shared.set_table(table);
        self.open_arrived();
        self.close_unrouted().await;
        Reply::Done
    }

    fn open_arrived(&mut self) {
        for (socket, spare) in std::mem::take(&mut self.arrived) {
            if self.serving.contains_key(&socket) {
                continue;
            }
            match spare.try_clone().and_then(|used| self.start(socket, used)) {
                Ok(task) => drop(self.serving.insert(socket, Serving { task, spare })),
                Err(error) => warn!(%error, ?socket, "a socket from the daemon could not be used"),
            }
        }
    }

    fn start(&self, socket: Socket, fd: OwnedFd) -> io::Result<JoinHandle<()>> {
        let shared = self.shared.clone();
        Ok(match socket {
            Socket::Http(port) => tokio::spawn(http::serve(shared, port, TcpListener::from_std(fd.into())?)),
            Socket::DnsUdp => tokio::spawn(dns::serve_udp(shared, UdpSocket::from_std(fd.into())?)),
            Socket::DnsTcp => tokio::spawn(dns::serve_tcp(shared, TcpListener::from_std(fd.into())?)),
        })
    }

    /// Closes listeners that no route needs any more, before the reply says so: the port is free then.
    async fn close_unrouted(&mut self) {
        let table = self.shared.table();
        let unrouted = |socket: &Socket| matches!(socket, Socket::Http(port) if !table.has_port(*port));
        let gone: Vec<Socket> = self.serving.keys().copied().filter(unrouted).collect();
        for socket in gone {
            if let Some(Serving { task, .. }) = self.serving.remove(&socket) {
                task.abort();
                // Cancelled, as asked: its listener is closed.
                let _ = task.await;
            }
        }
    }

    fn figures(&self) -> Figures {
        let metrics = &self.shared.metrics;
        Figures {
            connections: metrics.connections.get(),
            open_connections: self.shared.crowd.len() as u64,
            evicted: metrics.evicted.get(),
            refused: metrics.refused.get(),
            routes: self.shared.table().route_figures(),
            dns: metrics.dns.figures(),
        }
    }
}
