//! Answers of the proxy itself, for people to read.

use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};

use super::body::Outbound;
use super::crowd::Busy;
use super::path::Ambiguous;

/// Why a request does not get a backend's answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("bad request: {0}")]
    BadRequest(&'static str),
    #[error("bad request: {0}")]
    Path(#[from] Ambiguous),
    #[error("the request's body stood still for too long")]
    Stalled,
    #[error("no service answers on this path")]
    NoRoute,
    #[error("service {service}: no replica is ready")]
    NoReplica { service: String },
    #[error("service {service}: no replica accepts connections")]
    Unreachable { service: String },
    #[error("service {service}: the replica ended the connection before it answered")]
    NoAnswer { service: String },
    #[error("method CONNECT: this is no forward proxy")]
    Connect,
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Refusal::BadRequest(_) | Refusal::Path(_) => StatusCode::BAD_REQUEST,
            Refusal::Stalled => StatusCode::REQUEST_TIMEOUT,
            Refusal::NoRoute => StatusCode::NOT_FOUND,
            Refusal::NoReplica { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Unreachable { .. } | Refusal::NoAnswer { .. } => StatusCode::BAD_GATEWAY,
            Refusal::Connect => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// Says whether the client, rather than a service, is at fault.
    pub(super) fn is_clients(&self) -> bool {
        self.status().is_client_error()
    }

    /// Makes the answer; `close` because the rest of the request is not going to be read.
    pub(super) fn answer(&self, busy: Busy, close: bool) -> Response<Outbound> {
        let mut response = Response::new(Outbound::text(format!("{self}\n"), busy));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if matches!(self, Refusal::NoReplica { .. }) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if close || !matches!(self, Refusal::NoRoute | Refusal::NoReplica { .. }) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
