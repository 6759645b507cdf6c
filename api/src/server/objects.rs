//! `GET /objects`, and one object by its name.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use spec::plan::Writer;
use spec::{Key, Kind, Object, Write};
use store::{Cursor, Op, Snapshot, Transaction};

use super::answer::Refusal;
use super::filter::fits;
use super::{Shared, params, put};
use crate::wire::{ObjectList, Reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    kind: Option<String>,
    deployment: Option<String>,
    service: Option<String>,
    limit: Option<usize>,
    #[serde(rename = "continue")]
    next: Option<String>,
}

pub(super) async fn list(State(api): State<Shared>, uri: Uri) -> Result<Json<ObjectList>, Refusal> {
    let Params { kind, deployment, service, limit, next } = params::query(&uri)?;
    if limit == Some(0) {
        return Err(Refusal::new(Reason::BadQuery, "`limit` is at least 1"));
    }
    let query = params::Filter::new(kind, deployment, service).parse()?;
    let page = next.map(|token| Page::parse(&token)).transpose()?;
    let Snapshot { cursor, objects } = api.state.store.snapshot();
    // All pages have the first one's cursor: a watch from it gives what changed between them too.
    let (cursor, after) = page.map_or((cursor, None), |page| (page.cursor, Some(page.after)));
    let mut rest = objects.into_iter().filter(|object| after.as_ref() < Some(&object.key) && fits(&query, object));
    let objects: Vec<Arc<Object>> = rest.by_ref().take(limit.unwrap_or(usize::MAX)).collect();
    let last = objects.last().filter(|_| rest.next().is_some());
    let next = last.map(|last| Page { cursor, after: last.key.clone() }.to_string());
    Ok(Json(ObjectList { cursor, objects, next }))
}

/// Where a list goes on.
struct Page {
    cursor: Cursor,
    after: Key,
}

impl Page {
    fn parse(token: &str) -> Result<Page, Refusal> {
        let parse = || {
            let (cursor, key) = token.split_once('.')?;
            let (kind, name) = key.split_once('/')?;
            Some(Page { cursor: cursor.parse().ok()?, after: params::key(kind, name).ok()? })
        };
        parse().ok_or_else(|| Refusal::new(Reason::BadQuery, "`continue` is not from an answer of this API"))
    }
}

impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}/{}", self.cursor, self.after.kind, self.after.name)
    }
}

pub(super) async fn get(State(api): State<Shared>, Path((kind, name)): Path<(String, String)>) -> Result<Response, Refusal> {
    let key = params::key(&kind, &name)?;
    let object = api.state.store.get(&key).ok_or_else(|| missing(&key))?;
    Ok(([(header::ETAG, etag(&object))], Json(object)).into_response())
}

pub(super) async fn delete(
    State(api): State<Shared>,
    Path((kind, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let key = params::key(&kind, &name)?;
    if key.kind != Kind::Deployment {
        let detail = format!("{key} is made by Stead from a deployment: change or delete that");
        return Err(Refusal::new(Reason::DerivedObject, detail));
    }
    let object = api.state.store.get(&key).ok_or_else(|| missing(&key))?;
    let mut op = Op::new(Write::Delete { key: key.clone() });
    op.expect.revision = put::expected(&headers, Some(&object))?;
    let committed = api.state.store.commit(Transaction::new(Writer::User, [op])).await.map_err(put::refusal(&headers))?;
    let object = committed.changes.into_iter().find_map(|change| change.new).unwrap_or(object);
    Ok((StatusCode::ACCEPTED, Json(object)).into_response())
}

fn missing(key: &Key) -> Refusal {
    Refusal::not_found(format!("there is no {key}"))
}

/// Returns what `If-Match` compares.
pub(super) fn etag(object: &Object) -> String {
    format!("\"{}\"", object.spec_revision)
}
