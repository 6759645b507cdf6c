//! Refusals as problem documents (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use spec::problem::Problem;
use store::Stale;

use super::hooks;
use crate::wire::{PROBLEM_JSON, ProblemDocument, Reason, StaleCursor};

/// Seconds after which a refused request may be tried again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request is not served.
#[derive(Debug)]
pub(super) struct Refusal(Box<ProblemDocument>);

impl Refusal {
    pub(super) fn new(reason: Reason, detail: impl Into<String>) -> Refusal {
        let status = reason.status();
        let title = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Refused");
        let (title, detail) = (title.to_owned(), detail.into());
        Refusal(Box::new(ProblemDocument { title, status, reason, detail, problems: Vec::new(), stale: None }))
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Refusal {
        Refusal::new(Reason::NotFound, detail)
    }

    pub(super) fn problems(mut self, problems: Vec<Problem>) -> Refusal {
        self.0.problems = problems;
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<Stale> for Refusal {
    fn from(stale: Stale) -> Refusal {
        let mut refusal = Refusal::new(Reason::StaleCursor, stale.to_string());
        refusal.0.stale =
            Some(StaleCursor { oldest_available_cursor: stale.oldest, head_cursor: stale.head, replay_complete: false });
        refusal
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Refusal {
        use store::Error;
        let reason = match &error {
            Error::Conflict { .. } | Error::OtherOwner { .. } => Reason::Conflict,
            Error::Deleting { .. } => Reason::Deleting,
            Error::Gone { .. } => Reason::NotFound,
            Error::TooLarge { .. } | Error::TooManyOps { .. } => Reason::TooLarge,
            Error::Full => Reason::DiskFull,
            Error::Failed { .. } | Error::Closed => Reason::Unavailable,
            _ => Reason::Internal,
        };
        if reason == Reason::Internal {
            tracing::error!(%error, "a request broke a rule of the store");
        }
        Refusal::new(reason, error.to_string())
    }
}

impl From<hooks::Error> for Refusal {
    fn from(error: hooks::Error) -> Refusal {
        let reason = match &error {
            hooks::Error::NotFound(_) => Reason::NotFound,
            hooks::Error::Invalid(_) => Reason::InvalidImage,
            hooks::Error::DiskFull(_) => Reason::DiskFull,
            hooks::Error::Failed(_) => Reason::Internal,
        };
        Refusal::new(reason, error.to_string())
    }
}
