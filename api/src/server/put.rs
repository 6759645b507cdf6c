//! `PUT /objects`: a manifest, checked against all others and applied whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::Deserialize;
use serde::de::IgnoredAny;
use spec::kind::Deployment;
use spec::kind::deployment::RETRY_AT;
use spec::manifest::{self, Manifest};
use spec::plan::Writer;
use spec::view::Item;
use spec::{Key, Kind, Object, Spec, Write};
use store::{Op, Transaction};

use super::answer::Refusal;
use super::objects::etag;
use super::{Api, Shared, params};
use crate::wire::{Applied, Difference, ManifestType, Planned, Reason};

/// Bytes of a body that are read only to be refused politely.
const DISCARDED_MAX: usize = 16 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn put(State(api): State<Shared>, uri: Uri, headers: HeaderMap, body: Body) -> Result<Response, Refusal> {
    // First of all, since an answer before the end of the body would be lost to a client that is still writing.
    let text = read(body, api.state.limits.body_bytes).await;
    let Params { dry_run } = params::query(&uri)?;
    let media_type = media_type(&headers)?;
    let text = text?;
    // Reading a hostile manifest may take a while; other requests go on meanwhile.
    let parsed = tokio::task::spawn_blocking(move || parse(&text, media_type)).await;
    let manifest = parsed.map_err(|_| Refusal::new(Reason::Internal, "the manifest could not be read"))??;
    let problems = api.state.admission.problems(&manifest);
    if !problems.is_empty() {
        return Err(Refusal::new(Reason::NotAdmitted, "this node cannot run the manifest").problems(problems));
    }
    let _one_at_a_time = api.applying.lock().await;
    let key = Key::new(Kind::Deployment, params::name(&manifest.deployment)?);
    let current = api.state.store.get(&key);
    let expected = check(&api, &manifest, current.as_deref(), &headers)?;
    if dry_run {
        return Ok(Json(plan(&api, &manifest, current.as_deref())).into_response());
    }
    let labels = current.as_deref().and_then(|current| retry(current, &manifest));
    let mut op = Op::new(Write::Spec { key, owner: None, spec: Spec::Deployment(Arc::new(manifest)) });
    op.expect.revision = expected;
    op.labels = labels;
    apply(&api, op, current, &headers).await
}

fn media_type(headers: &HeaderMap) -> Result<ManifestType, Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = [ManifestType::Yaml, ManifestType::Json].into_iter().find(|known| known.media_type() == essence);
    let detail = "a manifest is sent as `application/yaml` or `application/json`";
    known.ok_or_else(|| Refusal::new(Reason::UnsupportedMediaType, detail))
}

/// Reads a body of at most `limit` bytes; of a longer one, throws away as much as a mistaken client may send.
async fn read(body: Body, limit: usize) -> Result<String, Refusal> {
    let (mut chunks, mut bytes, mut length) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::new(Reason::BadBody, "the body broke off"))?;
        length += chunk.len();
        if length > DISCARDED_MAX {
            break;
        }
        if length <= limit {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > limit {
        return Err(Refusal::new(Reason::TooLarge, format!("a manifest has at most {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Refusal::new(Reason::BadBody, "a manifest is UTF-8 text"))
}

fn parse(text: &str, media_type: ManifestType) -> Result<Manifest, Refusal> {
    if media_type == ManifestType::Json && is_object_list(text) {
        let detail = "a list of `objects` is not taken yet: send one manifest at a time";
        return Err(Refusal::new(Reason::Unsupported, detail));
    }
    manifest::parse(text).map_err(|problems| {
        let detail = match problems.len() {
            1 => "the manifest has a mistake".to_owned(),
            count => format!("the manifest has {count} mistakes"),
        };
        Refusal::new(Reason::InvalidManifest, detail).problems(problems)
    })
}

fn is_object_list(text: &str) -> bool {
    #[derive(Deserialize)]
    struct List {
        #[serde(rename = "objects")]
        _objects: IgnoredAny,
    }
    serde_json::from_str::<List>(text).is_ok()
}

/// Checks what can only be said with all deployments at hand; returns the revision the write must meet, if one is asked for.
fn check(api: &Api, manifest: &Manifest, current: Option<&Object>, headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let expected = expected(headers, current)?;
    if current.is_some_and(|object| object.deleting) {
        let detail = format!("deployment {} is being deleted: wait until it is gone", manifest.deployment);
        return Err(Refusal::new(Reason::Deleting, detail));
    }
    let snapshot = api.state.store.snapshot();
    let others = snapshot.objects.iter().filter_map(|object| match &object.spec {
        Spec::Deployment(other) if other.deployment != manifest.deployment => Some(other.as_ref()),
        _ => None,
    });
    let clashes = manifest::clashes(&others.chain([manifest]).collect::<Vec<_>>());
    if clashes.is_empty() {
        return Ok(expected);
    }
    Err(Refusal::new(Reason::Clash, "another deployment already has an endpoint there").problems(clashes))
}

/// Reads `If-Match` and compares it with the Deployment as it is.
pub(super) fn expected(headers: &HeaderMap, current: Option<&Object>) -> Result<Option<u64>, Refusal> {
    let Some(given) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let parse = || given.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')?.parse::<u64>().ok();
    let expected =
        parse().ok_or_else(|| Refusal::new(Reason::BadHeader, "`If-Match` is a revision in quotes, such as \"12\""))?;
    let revision = current.map_or(0, |object| object.spec_revision);
    if expected == revision { Ok(Some(expected)) } else { Err(mismatch(revision)) }
}

fn mismatch(revision: u64) -> Refusal {
    let detail = match revision {
        0 => "there is no such deployment".to_owned(),
        _ => format!("it changed meanwhile: it is at revision {revision}"),
    };
    Refusal::new(Reason::RevisionMismatch, detail)
}

/// Returns how an error of the store is told: a conflict is about `If-Match` where there is one.
pub(super) fn refusal(headers: &HeaderMap) -> impl Fn(store::Error) -> Refusal {
    let conditional = headers.contains_key(header::IF_MATCH);
    move |error| match error {
        store::Error::Conflict { current, .. } if conditional => mismatch(current),
        error => error.into(),
    }
}

fn plan(api: &Api, manifest: &Manifest, current: Option<&Object>) -> Planned {
    let before = current.and_then(|object| match &object.spec {
        Spec::Deployment(manifest) => Some(manifest.as_ref()),
        _ => None,
    });
    let old = |name: &str| before.and_then(|before| before.services.get(name));
    let kept = manifest.services.iter().map(|(name, service)| {
        let difference = match old(name) {
            None => Difference::Created,
            Some(old) if old == service => Difference::Unchanged,
            Some(_) => Difference::Changed,
        };
        (name.clone(), difference)
    });
    let removed = before.iter().flat_map(|before| before.services.keys()).filter(|name| !manifest.services.contains_key(*name));
    Planned {
        dry_run: true,
        revision: current.map_or(0, |object| object.spec_revision),
        cursor: api.state.store.head(),
        changed: before != Some(manifest),
        services: kept.chain(removed.map(|name| (name.clone(), Difference::Removed))).collect(),
    }
}

/// Returns the labels of a Deployment that is sent again as it is while it does not serve: its sender wants what failed to be
/// tried again.
fn retry(current: &Object, manifest: &Manifest) -> Option<BTreeMap<String, String>> {
    let deployment = Item::<Deployment>::of(current)?;
    let waits = current.observed_generation == current.generation && deployment.status.is_some_and(|status| !status.ready);
    if !waits || deployment.spec != manifest {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut labels = current.labels.clone();
    labels.insert(RETRY_AT.to_owned(), now.as_millis().to_string());
    Some(labels)
}

async fn apply(api: &Api, op: Op, current: Option<Arc<Object>>, headers: &HeaderMap) -> Result<Response, Refusal> {
    let key = op.write.key().clone();
    let committed = api.state.store.commit(Transaction::new(Writer::User, [op])).await.map_err(refusal(headers))?;
    let generation = |object: Option<&Arc<Object>>| object.map_or(0, |object| object.generation);
    let changed = committed.changes.iter().any(|change| generation(change.old.as_ref()) != generation(change.new.as_ref()));
    let status = if current.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    // Unchanged, it is what it was, save for a delete since; then its last state is as good.
    let now = committed.changes.into_iter().find_map(|change| change.new).or_else(|| api.state.store.get(&key)).or(current);
    let object = now.ok_or_else(|| Refusal::not_found(format!("{key} is gone again")))?;
    let applied = Applied { revision: object.spec_revision, cursor: committed.cursor, changed, object };
    Ok((status, [(header::ETAG, etag(&applied.object))], Json(applied)).into_response())
}
