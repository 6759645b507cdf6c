//! What every request passes first: where it comes from, what it asks for, and how many there are already.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Shared;
use super::answer::Refusal;
use crate::wire::Reason;

/// Names a tool may call the daemon by. A page on another site that reached the socket through a proxy would use its own.
const HOSTS: [&str; 2] = ["localhost", "stead"];

/// Refuses what a browser page of another site could send, and paths with more than one reading.
pub(super) async fn same_origin(request: Request, next: Next) -> Response {
    let checked = check_host(request.headers(), request.uri())
        .and_then(|()| check_origin(request.headers()))
        .and_then(|()| check_path(request.uri().path()));
    match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check_host(headers: &HeaderMap, uri: &Uri) -> Result<(), Refusal> {
    let named = headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?"));
    let mut hosts = named.chain(uri.authority().map(axum::http::uri::Authority::as_str));
    match hosts.find(|host| !is_own_host(host)) {
        None => Ok(()),
        Some(host) => Err(Refusal::new(Reason::ForeignHost, format!("`{host}` is not this daemon: use `{}`", HOSTS[0]))),
    }
}

fn is_own_host(host: &str) -> bool {
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    port.parse::<u16>().is_ok() && (host.is_empty() || HOSTS.contains(&name))
}

fn check_origin(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::ORIGIN) {
        return Err(Refusal::new(Reason::ForeignOrigin, "pages in a browser may not use this API"));
    }
    Ok(())
}

/// Names need no encoding, so an encoded byte is only another way to write a path.
fn check_path(path: &str) -> Result<(), Refusal> {
    let is_plain = |segment: &str| !segment.is_empty() && segment != "." && segment != "..";
    let segments = path.strip_prefix('/').unwrap_or(path);
    if path.contains(['%', '\\', ';']) || !(segments.is_empty() || segments.split('/').all(is_plain)) {
        return Err(Refusal::new(Reason::BadPath, "a path has no encoded characters, no empty parts and no `.` or `..`"));
    }
    Ok(())
}

/// Bounds the number of requests, and the time of each.
pub(super) async fn bounded_request(State(api): State<Shared>, request: Request, next: Next) -> Response {
    let _permit = match take(&api.requests) {
        Ok(permit) => permit,
        Err(refusal) => return refusal.into_response(),
    };
    match tokio::time::timeout(api.state.limits.request, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail =
                format!("the request took longer than {:?}; a change it asked for may still happen", api.state.limits.request);
            Refusal::new(Reason::Timeout, detail).into_response()
        }
    }
}

/// Held by an answer for as long as it streams.
#[derive(Clone)]
pub(super) struct StreamPermit(#[expect(dead_code, reason = "held, not read")] Arc<OwnedSemaphorePermit>);

/// Bounds the number of streams; the permit goes to the handler.
pub(super) async fn bounded_stream(State(api): State<Shared>, mut request: Request, next: Next) -> Response {
    match take(&api.streams) {
        Ok(permit) => {
            request.extensions_mut().insert(StreamPermit(Arc::new(permit)));
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    }
}

fn take(semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, Refusal> {
    let busy = |_| Refusal::new(Reason::Busy, "the daemon has too many requests at once: try again in a second");
    semaphore.clone().try_acquire_owned().map_err(busy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_names_are_hosts() {
        for own in ["", "localhost", "stead", "localhost:80", "stead:1"] {
            assert!(is_own_host(own), "{own}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "localhost:evil", "127.0.0.1", "localhost:", ":80"] {
            assert!(!is_own_host(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_path_has_one_reading() {
        for plain in ["/", "/objects", "/objects/service/hello/web", "/objects/image/sha256-0.a_b"] {
            assert!(check_path(plain).is_ok(), "{plain}");
        }
        for odd in ["//", "/objects/", "/objects//x", "/a/../b", "/a/.", "/a%2fb", "/%2e%2e/a", "/a\\b", "/a;b/c"] {
            assert!(check_path(odd).is_err(), "{odd}");
        }
    }
}
