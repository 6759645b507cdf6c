//! The client that every tool uses: typed requests over the daemon's Unix socket.

mod connection;
mod error;
mod events;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, IF_MATCH};
use hyper::{Method, Request};
use serde::de::DeserializeOwned;
use spec::{Key, Object};
use store::Cursor;
use tokio::io::AsyncRead;
use tokio::time::{Instant, timeout_at};
use tokio_util::io::ReaderStream;

use crate::wire::{
    Applied, Event, Health, Images, LoadedImage, LoadedImages, ManifestType, ObjectList, Planned, Query, Reason, StoredImage,
    Version,
};
use connection::{Body, read_json};

pub use error::Error;
pub use events::Events;

/// Talks to the daemon behind one socket; each request has a connection of its own.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Conditions of a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PutOptions {
    /// Refuse unless the Deployment's spec is at this revision; 0 stands for one that does not exist.
    pub if_match: Option<u64>,
}

impl Client {
    pub fn new(socket: PathBuf) -> Client {
        Client { socket }
    }

    /// Applies a manifest.
    pub async fn put_manifest(&self, text: &str, media_type: ManifestType, options: PutOptions) -> Result<Applied, Error> {
        read_json(self.send(manifest("/objects", text, media_type, options)).await?).await
    }

    /// Asks what applying a manifest would do.
    pub async fn plan_manifest(&self, text: &str, media_type: ManifestType, options: PutOptions) -> Result<Planned, Error> {
        read_json(self.send(manifest("/objects?dry_run=true", text, media_type, options)).await?).await
    }

    /// Applies a manifest, and waits up to `patience` for a deployment of its name that is being deleted.
    pub async fn put_manifest_when_gone(
        &self,
        text: &str,
        media_type: ManifestType,
        options: PutOptions,
        patience: Duration,
    ) -> Result<Applied, Error> {
        let deadline = Instant::now() + patience;
        let mut deletions = None;
        loop {
            let result = self.put_manifest(text, media_type, options).await;
            if !matches!(&result, Err(error) if error.reason() == Some(Reason::Deleting)) {
                return result;
            }
            // The first wait ends when the watch is set up, since the deletion may have come before it.
            let waited = match &mut deletions {
                None => timeout_at(deadline, self.deployments()).await.map(|watch| watch.map(|watch| deletions = Some(watch))),
                Some(deletions) => timeout_at(deadline, next_deletion(deletions)).await,
            };
            match waited {
                Ok(waited) => waited?,
                Err(_) => return result,
            }
        }
    }

    async fn deployments(&self) -> Result<Events, Error> {
        let query = Query { kinds: vec![spec::Kind::Deployment], ..Query::default() };
        let mut events = self.watch(&query, None).await?;
        while !matches!(next(&mut events).await?, Event::Synced { .. }) {}
        Ok(events)
    }

    /// Returns all objects that `query` asks for, at one cursor.
    pub async fn list(&self, query: &Query) -> Result<ObjectList, Error> {
        self.get_json(&path("/objects", &filter(query))).await
    }

    /// Returns one page of at most `limit` objects, after the one that `next` is from.
    pub async fn list_page(&self, query: &Query, limit: usize, next: Option<&str>) -> Result<ObjectList, Error> {
        let mut parameters = filter(query);
        parameters.push(format!("limit={limit}"));
        parameters.extend(next.map(|next| format!("continue={next}")));
        self.get_json(&path("/objects", &parameters)).await
    }

    /// Returns an object; `None` when there is none by that key.
    pub async fn get(&self, key: &Key) -> Result<Option<Object>, Error> {
        match self.get_json(&object(key)).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.reason() == Some(Reason::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Asks for an object to be deleted; returns it as it is now. It is gone once what it owns is.
    pub async fn delete(&self, key: &Key) -> Result<Object, Error> {
        read_json(self.send(request(Method::DELETE, &object(key)).body(empty())).await?).await
    }

    /// Follows what `query` asks for: from `since`, or from what is there now.
    ///
    /// The events end with the connection; [`Event::resume`] says where to go on.
    pub async fn watch(&self, query: &Query, since: Option<Cursor>) -> Result<Events, Error> {
        let mut parameters = filter(query);
        parameters.extend(since.map(|since| format!("since={since}")));
        let response = self.send(request(Method::GET, &path("/watch", &parameters)).body(empty())).await?;
        Ok(Events::new(response.into_body()))
    }

    /// Returns the last `tail` lines of a replica's output, or all that is kept, and what follows when told to `follow`.
    pub async fn logs(
        &self,
        replica: &spec::Name,
        tail: Option<usize>,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + Unpin + use<>, Error> {
        let mut parameters = vec![format!("follow={follow}")];
        parameters.extend(tail.map(|tail| format!("tail={tail}")));
        let path = path(&format!("/logs/{replica}"), &parameters);
        let response = self.send(request(Method::GET, &path).body(empty())).await?;
        Ok(response.into_body().into_data_stream().map_err(Error::broken).boxed())
    }

    /// Sends an OCI archive; returns what was in it.
    pub async fn load_image(&self, archive: impl AsyncRead + Send + 'static) -> Result<Vec<LoadedImage>, Error> {
        let chunks = ReaderStream::new(archive).map_ok(Frame::data).map_err(Into::into);
        let body = Body::new(StreamBody::new(Box::pin(chunks) as connection::Chunks));
        let request = request(Method::POST, "/images").header(CONTENT_TYPE, "application/octet-stream").body(body);
        let loaded: LoadedImages = read_json(self.send_slowly(request).await?).await?;
        Ok(loaded.images)
    }

    pub async fn images(&self) -> Result<Vec<StoredImage>, Error> {
        let images: Images = self.get_json("/images").await?;
        Ok(images.images)
    }

    /// Succeeds when the daemon does its work; the error says why it does not.
    pub async fn ready(&self) -> Result<(), Error> {
        let _: Health = self.get_json("/readyz").await?;
        Ok(())
    }

    pub async fn version(&self) -> Result<Version, Error> {
        self.get_json("/version").await
    }

    async fn get_json<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        read_json(self.send(request(Method::GET, path).body(empty())).await?).await
    }
}

fn request(method: Method, path: &str) -> hyper::http::request::Builder {
    Request::builder().method(method).uri(path).header("host", "localhost")
}

fn manifest(path: &str, text: &str, media_type: ManifestType, options: PutOptions) -> Result<Request<Body>, hyper::http::Error> {
    let mut request = request(Method::PUT, path).header(CONTENT_TYPE, media_type.media_type());
    if let Some(revision) = options.if_match {
        request = request.header(IF_MATCH, format!("\"{revision}\""));
    }
    let text = Full::new(Bytes::copy_from_slice(text.as_bytes()));
    request.body(Body::new(text.map_err(|never| match never {})))
}

fn empty() -> Body {
    Body::new(http_body_util::Empty::new().map_err(|never| match never {}))
}

fn object(key: &Key) -> String {
    format!("/objects/{}/{}", key.kind, key.name)
}

/// Names and kinds are made of characters that need no encoding.
fn filter(query: &Query) -> Vec<String> {
    let kinds: Vec<&str> = query.kinds.iter().map(|kind| kind.as_str()).collect();
    let kinds = (!kinds.is_empty()).then(|| format!("kind={}", kinds.join(",")));
    let deployment = query.deployment.as_ref().map(|name| format!("deployment={name}"));
    let service = query.service.as_ref().map(|name| format!("service={name}"));
    [kinds, deployment, service].into_iter().flatten().collect()
}

fn path(path: &str, parameters: &[String]) -> String {
    if parameters.is_empty() { path.to_owned() } else { format!("{path}?{}", parameters.join("&")) }
}

async fn next(events: &mut Events) -> Result<Event, Error> {
    events.next().await.unwrap_or_else(|| Err(Error::closed()))
}

/// Waits until something was deleted, or may have been: a bookmark is as good a time to look again.
async fn next_deletion(events: &mut Events) -> Result<(), Error> {
    while matches!(next(events).await?, Event::Put(_) | Event::Synced { .. }) {}
    Ok(())
}
