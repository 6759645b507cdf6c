//! Finds a backend that answers: the next one at once if one cannot be reached, and again for a short while.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::time::Instant;

use super::backend::{Backend, Lease};
use super::body::Inbound;
use super::crowd::{Fault, Visit};
use super::refusal::Refusal;
use crate::plane::Shared;
use crate::plane::table::Route;

/// How long a request looks for a backend that accepts it: a replica that restarts is often back by then.
const SEARCH: Duration = Duration::from_secs(2);

/// Pause after all backends were tried once; doubled each time.
const PAUSE: Duration = Duration::from_millis(20);

const PAUSE_MAX: Duration = Duration::from_millis(320);

/// One request on its way.
pub(super) struct Dispatch<'a> {
    pub(super) shared: &'a Shared,
    pub(super) port: u16,
    pub(super) path: &'a str,
    pub(super) visit: &'a Visit,
}

pub(super) struct Answer {
    pub(super) response: Response<Incoming>,
    pub(super) lease: Lease,
}

/// How one backend took a request.
enum Outcome {
    Answered(Answer),
    /// Nothing of it was sent.
    Unsent(Request<Inbound>),
    Refused(Refusal),
}

impl Dispatch<'_> {
    pub(super) async fn send(&self, route: &Arc<Route>, mut request: Request<Inbound>) -> Result<Answer, Refusal> {
        let (deadline, mut pause) = (Instant::now() + SEARCH, PAUSE);
        let mut route = route.clone();
        loop {
            if route.backends.is_empty() {
                return Err(Refusal::NoReplica { service: route.service.clone() });
            }
            let first = route.next();
            for offset in 0..route.backends.len() {
                let backend = &route.backends[first.wrapping_add(offset) % route.backends.len()];
                request = match self.offer(&route, backend, request).await {
                    Outcome::Answered(answer) => return Ok(answer),
                    Outcome::Refused(refusal) => return Err(refusal),
                    Outcome::Unsent(request) => request,
                };
                if Instant::now() >= deadline {
                    return Err(Refusal::Unreachable { service: route.service.clone() });
                }
            }
            if Instant::now() + pause >= deadline {
                return Err(Refusal::Unreachable { service: route.service.clone() });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
            // Meanwhile the table may know better.
            route = self.shared.table().find(self.port, self.path).cloned().unwrap_or(route);
        }
    }

    /// Sends the request to one backend, by a connection that waits or else by a new one.
    async fn offer(&self, route: &Route, backend: &Arc<Backend>, mut request: Request<Inbound>) -> Outcome {
        let mut fresh = false;
        loop {
            let reused = if fresh { None } else { backend.reuse() };
            let mut lease = match reused {
                Some(lease) => lease,
                None => match backend.connect().await {
                    Ok(lease) => lease,
                    Err(_) => return Outcome::Unsent(request),
                },
            };
            let spare = if lease.reused { spare(&request) } else { None };
            lease.prelude.begin();
            let mut error = match lease.sender.try_send_request(request).await {
                Ok(response) => {
                    lease.prelude.end();
                    return Outcome::Answered(Answer { response, lease });
                }
                Err(error) => error,
            };
            request = match (error.take_message(), spare) {
                (Some(unsent), _) if lease.reused => unsent,
                (Some(unsent), _) => return Outcome::Unsent(unsent),
                // It crossed with the backend's closing of an idle connection.
                (None, Some(spare)) if !error.error().is_parse() => {
                    fresh = true;
                    spare
                }
                _ => return Outcome::Refused(self.blame(route)),
            };
        }
    }

    fn blame(&self, route: &Route) -> Refusal {
        match self.visit.fault() {
            Fault::None => Refusal::NoAnswer { service: route.service.clone() },
            Fault::Malformed => Refusal::BadRequest("the body is malformed or ends early"),
            Fault::Stalled => Refusal::Stalled,
        }
    }
}

/// Copies a request that may be sent twice: one without effects of its own, and without a body.
fn spare(request: &Request<Inbound>) -> Option<Request<Inbound>> {
    if !request.method().is_idempotent() {
        return None;
    }
    let body = request.body().again()?;
    let mut copy = Request::new(body);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}
