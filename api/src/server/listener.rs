//! The Unix socket: who may connect, and how connections end.

use std::future::Future;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{ApiState, routes};

/// Connections at a time: all requests and streams, and some that are idle.
const CONNECTIONS: usize = 1024;

/// Time for a request's head, also the first one of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest request head: names and cursors are short. hyper takes no less than 8 KiB.
const HEAD_BYTES: usize = 16 << 10;

/// Wait after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on `socket`, for its owner alone; takes the place of a socket on which nobody listens any more.
pub async fn bind(socket: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = socket.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let listener = match UnixListener::bind(socket) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_dead(socket).await => {
            std::fs::remove_file(socket)?;
            UnixListener::bind(socket)?
        }
        bound => bound?,
    };
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn is_dead(socket: &Path) -> bool {
    // A file that is no socket refuses connections too.
    let is_socket = std::fs::symlink_metadata(socket).is_ok_and(|metadata| metadata.file_type().is_socket());
    is_socket && matches!(UnixStream::connect(socket).await, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Serves the API on `listener` until `shutdown`; then streams end, and requests have a little time to finish.
pub async fn serve(listener: UnixListener, state: ApiState, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let (ending, drain) = (CancellationToken::new(), state.limits.drain);
    let router = routes(state, ending.clone());
    let mut connections = JoinSet::new();
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Over the bound, or from someone else: closed without a word.
        if let (true, Ok(place)) = (is_allowed(&stream), places.clone().try_acquire_owned()) {
            let connection = connection(stream, router.clone(), ending.clone());
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    }
    drop(listener);
    ending.cancel();
    // What is still at work after that ends with the set.
    drop(tokio::time::timeout(drain, async { while connections.join_next().await.is_some() {} }).await);
    Ok(())
}

/// Returns whether the peer is root or the daemon's own user.
fn is_allowed(stream: &UnixStream) -> bool {
    match stream.peer_cred() {
        Ok(peer) => {
            let allowed = is_own(peer.uid(), rustix::process::geteuid().as_raw());
            if !allowed {
                tracing::warn!(uid = peer.uid(), "a connection of another user was refused");
            }
            allowed
        }
        Err(error) => {
            tracing::warn!(%error, "a connection whose user is unknown was refused");
            false
        }
    }
}

fn is_own(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

async fn connection(stream: UnixStream, router: Router, ending: CancellationToken) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    let result = tokio::select! {
        result = &mut connection => result,
        () = ending.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_daemons_user_are_allowed() {
        assert!(is_own(0, 1000) && is_own(1000, 1000) && is_own(0, 0));
        assert!(!is_own(1001, 1000) && !is_own(1000, 0));
    }
}
