//! `PUT /objects`: a manifest, checked against all others and applied whole.

use std::borrow::Cow;
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
use spec::kind::deployment::RETRY_AT;
use spec::kind::{Deployment, Service};
use spec::manifest::{self, Checked, Label, Manifest};
use spec::plan::Writer;
use spec::problem::{Code, Problem};
use spec::view::Item;
use spec::{Key, Kind, Name, Object, Spec, Write, difference};
use store::{Op, Transaction};
use tokio::sync::Semaphore;

use super::answer::Refusal;
use super::objects::etag;
use super::{Api, Shared, params};
use crate::wire::{Applied, ManifestType, Planned, Reason};

/// Manifests that are read at once: a hostile one takes tens of megabytes while it is.
static READERS: Semaphore = Semaphore::const_new(4);

/// Most that a node says to one manifest, as many as a reading tells of.
const SAID_MAX: usize = 200;

/// Longest part of what a node says, in characters: names in it are as long as a manifest has them.
const TEXT_MAX: usize = 400;

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
    let (checked, text) = aside(move || (check(&text, media_type), text)).await?;
    let (manifest, mut warnings) = checked?;
    let text: Arc<str> = text.into();
    warnings.extend(admit(&api, &text, &manifest).await?);
    let _one_at_a_time = api.applying.lock().await;
    let key = Key::new(Kind::Deployment, params::name(&manifest.deployment)?);
    let current = api.state.store.get(&key);
    let expected = fits(&api, &text, &manifest, current.as_deref(), &headers)?;
    if dry_run {
        let planned = Planned { warnings, ..plan(&api, &manifest, current.as_deref()) };
        return Ok(Json(planned).into_response());
    }
    let labels = current.as_deref().and_then(|current| retry(current, &manifest));
    let mut op = Op::new(Write::Spec { key, owner: None, spec: Spec::Deployment(Arc::new(manifest)) });
    op.expect.revision = expected;
    op.labels = labels;
    apply(&api, op, current, warnings, &headers).await
}

/// Does what takes long for a hostile text where it holds up no other request, for a few texts at a time.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let unread = || Refusal::new(Reason::Internal, "the manifest could not be read");
    let permit = READERS.acquire().await.map_err(|_| unread())?;
    let work = move || {
        // Held to the end of the work, also when nobody waits for it any more.
        let _permit = permit;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| unread())
}

/// Asks the node whether it takes the manifest; returns what it warns of.
async fn admit(api: &Api, text: &Arc<str>, manifest: &Manifest) -> Result<Vec<Problem>, Refusal> {
    let mut problems = bounded(api.state.admission.problems(manifest).await);
    if !problems.is_empty() {
        let text = text.clone();
        problems = aside(move || {
            manifest::locate(&text, &mut problems);
            problems
        })
        .await?;
    }
    match problems.iter().any(Problem::is_error) {
        true => Err(Refusal::new(Reason::NotAdmitted, "this node cannot run the manifest").problems(problems)),
        false => Ok(problems),
    }
}

/// Returns as much as a person reads of what a node says; errors first, so that none is lost.
fn bounded(mut problems: Vec<Problem>) -> Vec<Problem> {
    if problems.len() > SAID_MAX {
        problems.sort_by_key(|problem| problem.severity);
        problems.truncate(SAID_MAX);
        let more = Problem::at("", format!("the node says more: these are the first {SAID_MAX}"));
        problems.push(more.code(Code::Limit).warning());
    }
    for problem in &mut problems {
        cut(&mut problem.message);
        problem.fix.iter_mut().for_each(cut);
    }
    problems
}

fn cut(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(TEXT_MAX) {
        text.truncate(end);
        text.push('…');
    }
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

/// Returns the manifest and what it is warned of, when this version can run it.
fn check(text: &str, media_type: ManifestType) -> Result<(Manifest, Vec<Problem>), Refusal> {
    if media_type == ManifestType::Json && is_object_list(text) {
        let detail = "a list of `objects` is not taken yet: send one manifest at a time";
        return Err(Refusal::new(Reason::Unsupported, detail));
    }
    if media_type == ManifestType::Json
        && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
    {
        return Err(Refusal::new(Reason::BadBody, format!("the body is no JSON: {error}")));
    }
    let Checked { manifest, problems } = match media_type {
        ManifestType::Json => manifest::check_file(&as_yaml(text)),
        ManifestType::Yaml => manifest::check_file(text),
    };
    if manifest.is_none() {
        let detail = match problems.iter().filter(|problem| problem.is_error()).count() {
            1 => "the manifest has a mistake".to_owned(),
            count => format!("the manifest has {count} mistakes"),
        };
        return Err(Refusal::new(Reason::InvalidManifest, detail).problems(problems));
    }
    let Checked { manifest, problems } = Checked { manifest, problems }.to_run();
    match manifest {
        Some(manifest) => Ok((manifest, problems)),
        None => Err(Refusal::new(Reason::Unsupported, "this version cannot run all of the manifest").problems(problems)),
    }
}

/// Escapes the few characters that JSON takes as they are and YAML does not (YAML 1.2.2, section 5.1).
fn as_yaml(json: &str) -> Cow<'_, str> {
    let is_foreign = |c: char| matches!(c, '\u{7f}'..='\u{84}' | '\u{86}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}');
    if !json.contains(is_foreign) {
        return json.into();
    }
    let mut yaml = String::with_capacity(json.len());
    for c in json.chars() {
        if is_foreign(c) { yaml.push_str(&format!("\\u{:04x}", u32::from(c))) } else { yaml.push(c) }
    }
    yaml.into()
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
fn fits(
    api: &Api,
    text: &str,
    manifest: &Manifest,
    current: Option<&Object>,
    headers: &HeaderMap,
) -> Result<Option<u64>, Refusal> {
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
    let clashes = manifest::clashes(text, manifest, &others.collect::<Vec<_>>());
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
    let running = |service: &str| running(api, &manifest.deployment, service);
    Planned {
        dry_run: true,
        revision: current.map_or(0, |object| object.spec_revision),
        cursor: api.state.store.head(),
        changed: before != Some(manifest),
        services: difference::services(before, manifest, running),
        warnings: Vec::new(),
    }
}

/// Returns how many replicas a service is to have by now: those that come or go in a rollout are not counted twice.
fn running(api: &Api, deployment: &Label, service: &str) -> u32 {
    let name = deployment.parse::<Name>().and_then(|deployment| deployment.child(service));
    let object = name.ok().and_then(|name| api.state.store.get(&Key::new(Kind::Service, name)));
    let service = object.as_deref().and_then(Item::<Service>::of);
    service.map_or(0, |service| service.status.map_or_else(|| service.spec.replicas(), |status| status.desired))
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

async fn apply(
    api: &Api,
    op: Op,
    current: Option<Arc<Object>>,
    warnings: Vec<Problem>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let key = op.write.key().clone();
    let committed = api.state.store.commit(Transaction::new(Writer::User, [op])).await.map_err(refusal(headers))?;
    let generation = |object: Option<&Arc<Object>>| object.map_or(0, |object| object.generation);
    let changed = committed.changes.iter().any(|change| generation(change.old.as_ref()) != generation(change.new.as_ref()));
    let status = if current.is_none() { StatusCode::CREATED } else { StatusCode::OK };
    // Unchanged, it is what it was, save for a delete since; then its last state is as good.
    let now = committed.changes.into_iter().find_map(|change| change.new).or_else(|| api.state.store.get(&key)).or(current);
    let object = now.ok_or_else(|| Refusal::not_found(format!("{key} is gone again")))?;
    let applied = Applied { revision: object.spec_revision, cursor: committed.cursor, changed, warnings, object };
    Ok((status, [(header::ETAG, etag(&applied.object))], Json(applied)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_is_bounded_and_loses_no_error() {
        let name = "X".repeat(100_000);
        let mut problems: Vec<_> = (0..300).map(|_| Problem::at("", &name).fix(&name).warning()).collect();
        problems.push(Problem::at("", "this one"));
        let said = bounded(problems);
        assert_eq!((said.len(), said[0].message.as_str()), (SAID_MAX + 1, "this one"));
        let parts = said.iter().flat_map(|problem| [Some(&problem.message), problem.fix.as_ref()]).flatten();
        assert!(parts.map(String::len).max() < Some(500));
    }

    #[test]
    fn json_is_json_with_all_the_characters_it_may_have() {
        let json = |value: &str| {
            let text = format!(
                "{{\"version\": \"v1\", \"deployment\": \"d\", \"services\": {{\"a\": {{\"image\": {{\"name\": \"i\"}}, \"env\": {{\"A\": {value}}}}}}}}}"
            );
            check(&text, ManifestType::Json).map(|(manifest, _)| manifest.services["a"].env["A"].to_string())
        };
        assert_eq!(json("\"\u{7f}\u{9b}\u{85}\u{ffff}\"").ok().as_deref(), Some("\u{7f}\u{9b}\u{85}\u{ffff}"));
        assert_eq!(json("\"\\ud83d\\ude00\\/\"").ok().as_deref(), Some("\u{1f600}/"));
        for yaml in ["'x'", "x", "\"x\", # a comment\n"] {
            assert!(json(yaml).is_err(), "{yaml}");
        }
    }
}
