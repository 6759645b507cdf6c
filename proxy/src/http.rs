//! The HTTP proxy: accepts connections, and answers each request from the backends of its route.
//!
//! ```text
//!  accept ─▶ Crowd (room?) ─▶ Gate (strict bytes) ─▶ hyper ─▶ Door::answer ─▶ route ─▶ Backend ─▶ replica
//! ```

pub(crate) mod backend;
mod body;
pub(crate) mod crowd;
mod dispatch;
mod door;
mod gate;
mod headers;
mod path;
mod prelude;
mod refusal;
mod scan;
#[cfg(test)]
mod tests;
mod tunnel;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use crate::plane::Shared;
use crowd::Place;
use door::Door;
use gate::Gate;

/// How long each wait may last. A body has no limit in size or time, only in how long it may stand still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a head to its last, and for the first byte of a connection.
    pub(crate) head: Duration,
    /// Between two requests of one connection.
    pub(crate) idle: Duration,
    /// Without a byte of a body in either direction.
    pub(crate) stall: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head: Duration::from_secs(5), idle: Duration::from_secs(60), stall: Duration::from_secs(30) }
    }
}

/// Longest head of a request, in bytes: four times what common servers allow for one field.
const HEAD_MAX: usize = 32 << 10;

/// Most fields of a head.
const FIELDS_MAX: usize = 100;

/// Bytes buffered in each direction of a connection: a head fits, and a slow reader holds no more.
const BUFFER_MAX: usize = 64 << 10;

/// Open files that are no connection: sockets of the process itself, DNS.
const FILES_RESERVED: usize = 1_280;

/// Pause after the process had no open file left for an accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Returns how many clients may be connected when `files` may be open: the rest is for the other side of their requests.
pub(crate) fn connections(files: usize) -> usize {
    (files.saturating_sub(FILES_RESERVED) / 16 * 10).max(16)
}

/// Accepts connections on a port for as long as the task lives.
pub(crate) async fn serve(shared: Arc<Shared>, port: u16, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let place = shared.crowd.enter(&shared.metrics, port).await;
                shared.metrics.connections.add_one();
                tokio::spawn(connection(shared.clone(), port, stream, peer, place));
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                warn!(%error, port, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

async fn connection(shared: Arc<Shared>, port: u16, stream: TcpStream, peer: SocketAddr, place: Place) {
    let visit = place.visit().clone();
    let work = async {
        // A connection that says nothing holds no buffers. Peeking waits for bytes, not for a readiness that may be stale.
        match tokio::time::timeout(shared.limits.head, stream.peek(&mut [0; 1])).await {
            Ok(Ok(1..)) => {}
            _ => return,
        }
        let door = Arc::new(Door::new(shared.clone(), port, peer, visit.clone()));
        let service = service_fn(|request| {
            let door = door.clone();
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let gate = Gate::new(stream, shared.limits, visit.clone());
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            // Runs from the end of an answer; the gate has the shorter clock that runs from a first byte.
            .header_read_timeout(shared.limits.idle)
            .max_headers(FIELDS_MAX)
            .max_header_size(HEAD_MAX)
            .max_buf_size(BUFFER_MAX)
            .serve_connection(gate, service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            debug!(%error, %peer, port, "a connection ended early");
        }
    };
    tokio::select! {
        () = work => {}
        () = visit.evicted() => {}
    }
}
