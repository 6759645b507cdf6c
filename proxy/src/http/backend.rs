//! One replica's address, and the connections to it that wait for another request.

use std::io;
use std::net::SocketAddrV4;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use super::body::Inbound;
use super::prelude::{Prelude, Watched};
use crate::plane::Shared;

/// How long an unused connection is kept: below the 5 s after which common servers close theirs.
const IDLE: Duration = Duration::from_secs(4);

/// How often unused connections are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Most unused connections kept for each backend.
const IDLE_MAX: usize = 64;

/// A replica of this machine or one overlay hop away answers a connect at once, or not at all.
const CONNECT: Duration = Duration::from_secs(1);

/// Buffer of a connection, in bytes: a long head of a response fits.
const BUFFER_MAX: usize = 64 << 10;

/// Where requests can be sent; lives as long as a table or a request needs it.
pub(crate) struct Backend {
    address: SocketAddrV4,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    sender: SendRequest<Inbound>,
    prelude: Arc<Prelude>,
    since: Instant,
}

/// A connection in use by one request.
pub(super) struct Lease {
    backend: Arc<Backend>,
    pub(super) sender: SendRequest<Inbound>,
    pub(super) prelude: Arc<Prelude>,
    /// It has carried a request before, so the backend may be about to close it.
    pub(super) reused: bool,
}

impl Backend {
    pub(crate) fn new(address: SocketAddrV4) -> Backend {
        Backend { address, idle: Mutex::default() }
    }

    /// Takes an unused connection, the latest first.
    pub(super) fn reuse(self: &Arc<Backend>) -> Option<Lease> {
        let mut idle = self.idle();
        // One that is still finishing is passed over, and stays.
        let place = idle.iter().rposition(|idle| idle.sender.is_ready())?;
        let Idle { sender, prelude, .. } = idle.swap_remove(place);
        Some(Lease { backend: self.clone(), sender, prelude, reused: true })
    }

    pub(super) async fn connect(self: &Arc<Backend>) -> io::Result<Lease> {
        let stream = tokio::time::timeout(CONNECT, TcpStream::connect(self.address)).await??;
        stream.set_nodelay(true)?;
        let (stream, prelude) = Watched::new(stream);
        let handshake = Builder::new().max_buf_size(BUFFER_MAX).handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(io::Error::other)?;
        let address = self.address;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                debug!(%error, %address, "a connection to a backend ended early");
            }
        });
        Ok(Lease { backend: self.clone(), sender, prelude, reused: false })
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep(&self) {
        self.idle().retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < IDLE);
    }
}

impl Lease {
    /// Keeps the connection for another request.
    pub(super) fn give_back(self) {
        let mut idle = self.backend.idle();
        if !self.sender.is_closed() && idle.len() < IDLE_MAX {
            idle.push(Idle { sender: self.sender, prelude: self.prelude, since: Instant::now() });
        }
    }
}

/// Closes connections that nobody used for a while; those of a backend that left the table go with it.
pub(crate) async fn sweep(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for backend in shared.table().backends() {
            backend.sweep();
        }
    }
}
