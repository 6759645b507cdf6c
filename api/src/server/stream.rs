//! Answers that go on.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::Api;
use super::guard::StreamPermit;

/// Returns an answer that lasts as long as `chunks`, and no longer than the server.
pub(super) fn answer<E: Into<axum::BoxError> + 'static>(
    api: &Api,
    permit: StreamPermit,
    media_type: &'static str,
    chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> Response {
    let ended = api.ending.clone().cancelled_owned();
    let chunks = chunks.take_until(ended).map(move |chunk| {
        let _held = &permit;
        chunk
    });
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, "no-store")];
    (headers, Body::from_stream(chunks)).into_response()
}
