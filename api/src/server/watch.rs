//! `GET /watch`: what changes, as it changes.

use std::convert::Infallible;
use std::sync::Arc;
use std::vec;

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use serde::Deserialize;
use spec::{Change, Object};
use store::{Batch, Cursor, Watch};
use tokio::time::{Instant, timeout_at};

use super::answer::Refusal;
use super::encode::{Framing, Verb, json};
use super::filter::fits;
use super::guard::StreamPermit;
use super::{Shared, params};
use crate::wire::{EVENT_STREAM, NDJSON, Query, Reason};

/// Bytes of a snapshot that are written at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Tries to watch from a snapshot: each fails only when the whole ring passes by in between.
const SNAPSHOT_TRIES: usize = 3;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    kind: Option<String>,
    deployment: Option<String>,
    service: Option<String>,
    since: Option<String>,
}

pub(super) async fn watch(
    State(api): State<Shared>,
    Extension(permit): Extension<StreamPermit>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Params { kind, deployment, service, since } = params::query(&uri)?;
    let query = params::Filter::new(kind, deployment, service).parse()?;
    let framing = framing(&headers);
    let (watch, start) = match cursor(since, &headers)? {
        Some(since) => (api.state.store.watch(Some(since))?, None),
        None => from_snapshot(&api)?,
    };
    let media_type = match framing {
        Framing::Lines => NDJSON,
        Framing::EventStream => EVENT_STREAM,
    };
    let feed = Feed { api: api.clone(), query, framing, watch, start };
    let chunks = stream::unfold(feed, |mut feed| async { feed.next().await.map(|chunk| (Ok::<_, Infallible>(chunk), feed)) });
    Ok(super::stream::answer(&api, permit, media_type, chunks))
}

fn framing(headers: &HeaderMap) -> Framing {
    let accepts = |value: &axum::http::HeaderValue| value.to_str().is_ok_and(|accept| accept.contains(EVENT_STREAM));
    if headers.get_all(header::ACCEPT).iter().any(accepts) { Framing::EventStream } else { Framing::Lines }
}

/// Returns the cursor asked for, or the one that a reconnecting event source remembers.
fn cursor(since: Option<String>, headers: &HeaderMap) -> Result<Option<Cursor>, Refusal> {
    let remembered = || headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let parse = |text: String| text.parse().map_err(|error: store::BadCursor| Refusal::new(Reason::BadQuery, error.to_string()));
    since.or_else(remembered).map(parse).transpose()
}

fn from_snapshot(api: &Shared) -> Result<(Watch, Option<Start>), Refusal> {
    for _ in 0..SNAPSHOT_TRIES {
        let snapshot = api.state.store.snapshot();
        if let Ok(watch) = api.state.store.watch(Some(snapshot.cursor)) {
            return Ok((watch, Some(Start { cursor: snapshot.cursor, objects: snapshot.objects.into_iter() })));
        }
    }
    Err(Refusal::new(Reason::Busy, "the store changes too fast to follow from a snapshot"))
}

/// What was there when the watch began, and is still to be sent.
struct Start {
    cursor: Cursor,
    objects: vec::IntoIter<Arc<Object>>,
}

/// One watcher: pulls from the store at the speed it is read.
struct Feed {
    api: Shared,
    query: Query,
    framing: Framing,
    watch: Watch,
    start: Option<Start>,
}

impl Feed {
    /// Returns the next whole events; `None` when the watcher fell too far behind or the store is shut down.
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(chunk) = self.start_chunk() {
            return Some(chunk);
        }
        let silent_until = Instant::now() + self.api.state.limits.bookmark;
        loop {
            let batch = timeout_at(silent_until, self.watch.next()).await;
            let chunk = match batch {
                Ok(batch) => self.batch_chunk(batch.ok()?.as_ref()),
                Err(_) => Bytes::new(),
            };
            if !chunk.is_empty() {
                return Some(chunk);
            }
            if Instant::now() >= silent_until {
                return Some(self.mark(Verb::Bookmark, self.watch.cursor()));
            }
        }
    }

    fn start_chunk(&mut self) -> Option<Bytes> {
        let start = self.start.as_mut()?;
        let mut out = BytesMut::new();
        while out.len() < CHUNK_BYTES {
            let Some(object) = start.objects.next() else {
                self.framing.mark(&mut out, Verb::Synced, start.cursor);
                self.start = None;
                break;
            };
            if fits(&self.query, &object) {
                self.framing.object(&mut out, Verb::Put, start.cursor, true, &json(&object));
            }
        }
        Some(out.freeze())
    }

    fn batch_chunk(&self, batch: &Batch) -> Bytes {
        let encoded = self.api.encoder.batch(batch);
        let of_interest = batch.changes.iter().enumerate();
        let events: Vec<_> =
            of_interest.filter_map(|(index, change)| Some((index, self.verb(change)?, change.object()?))).collect();
        let mut out = BytesMut::new();
        for (position, (index, verb, object)) in events.iter().enumerate() {
            let more = position + 1 < events.len();
            self.framing.object(&mut out, *verb, batch.cursor, more, &encoded.object(*index, object));
        }
        out.freeze()
    }

    fn verb(&self, change: &Change) -> Option<Verb> {
        let fits = |object: &Option<Arc<Object>>| object.as_ref().is_some_and(|object| fits(&self.query, object));
        match (fits(&change.old), fits(&change.new)) {
            (_, true) => Some(Verb::Put),
            (true, false) => Some(Verb::Delete),
            (false, false) => None,
        }
    }

    fn mark(&self, verb: Verb, cursor: Cursor) -> Bytes {
        let mut out = BytesMut::new();
        self.framing.mark(&mut out, verb, cursor);
        out.freeze()
    }
}
