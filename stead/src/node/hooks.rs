//! What the API asks of the node beyond the store: logs, images, readiness.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::server::hooks::{Error, Images, LogStream, Logs, Readiness, Upload};
use api::wire::{LoadedImage, StoredImage, Version};
use api::{ApiState, Limits};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use runtime::logs::Line;
use spec::Name;
use spec::object::SCHEMA;

use crate::edge::Edge;
use crate::node::admission::EnvAdmission;
use crate::report::chain;

/// Returns what the API serves from.
pub(super) fn api_state(edge: &Edge, data: &Path) -> ApiState {
    ApiState {
        store: edge.store.clone(),
        admission: Arc::new(EnvAdmission(edge.clone())),
        logs: Arc::new(LogFiles { dir: data.join("logs"), store: edge.store.clone() }),
        images: Arc::new(NodeImages { images: edge.images.clone(), scratch: data.to_owned() }),
        readiness: Arc::new(AlwaysReady),
        version: Version { version: env!("CARGO_PKG_VERSION").to_owned(), schema: SCHEMA },
        limits: Limits::default(),
    }
}

/// The API is served only once the node drives, so whoever can ask gets a yes.
struct AlwaysReady;

impl Readiness for AlwaysReady {
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

struct LogFiles {
    dir: PathBuf,
    store: store::Store,
}

impl Logs for LogFiles {
    fn logs(&self, replica: &Name, tail: Option<usize>, follow: bool) -> BoxFuture<'_, Result<LogStream, Error>> {
        let known = self.store.get(&spec::Key::new(spec::Kind::Replica, replica.clone())).is_some();
        let (logs, name) = (runtime::logs::Logs::new(&self.dir.join(replica.as_str())), replica.clone());
        let count = tail.unwrap_or(usize::MAX);
        async move {
            if !known {
                return Err(Error::NotFound(format!("there is no replica {name}")));
            }
            let failed = |error: io::Error| Error::Failed(format!("the logs of {name} cannot be read: {error}"));
            if !follow {
                let lines = logs.tail(count).await.map_err(failed)?;
                return Ok(stream::iter(lines).map(|line| encode(&line)).boxed());
            }
            let follow = logs.follow(count).await.map_err(failed)?;
            let lines = stream::try_unfold(follow, |mut follow| async {
                let line = follow.next().await?;
                Ok(Some((encode(&line)?, follow)))
            });
            Ok(lines.boxed())
        }
        .boxed()
    }
}

/// Returns a line as it goes over the wire: one JSON object.
fn encode(line: &Line) -> io::Result<Bytes> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    Ok(text.into())
}

struct NodeImages {
    images: runtime::image::Images,
    /// Where an upload is kept while it is read.
    scratch: PathBuf,
}

impl Images for NodeImages {
    fn load(&self, mut archive: Upload) -> BoxFuture<'_, Result<Vec<LoadedImage>, Error>> {
        async move {
            let failed = |error: io::Error| match error.kind() {
                io::ErrorKind::StorageFull => Error::DiskFull(error.to_string()),
                _ => Error::Failed(format!("the archive cannot be kept: {error}")),
            };
            // Its parts come in any order, so it is kept until it is read: in a file without a name, which goes with its handle.
            let file = tempfile::tempfile_in(&self.scratch).map_err(failed)?;
            let mut out = tokio::fs::File::from_std(file);
            tokio::io::copy(&mut archive, &mut out).await.map_err(failed)?;
            tokio::io::AsyncWriteExt::flush(&mut out).await.map_err(failed)?;
            let path = format!("/proc/self/fd/{}", out.as_raw_fd());
            let loaded = self.images.load(path.as_ref()).await.map_err(|error| Error::Invalid(chain(&error)))?;
            let named = loaded.into_iter().flat_map(|image| {
                let names = if image.references.is_empty() { vec![String::new()] } else { image.references };
                names.into_iter().map(move |reference| LoadedImage { reference, digest: image.digest.clone() })
            });
            Ok(named.collect())
        }
        .boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredImage>, Error>> {
        async move {
            let images = self.images.clone();
            let listed =
                tokio::task::spawn_blocking(move || images.list()).await.map_err(|error| Error::Failed(error.to_string()))?;
            let listed = listed.map_err(|error| Error::Failed(chain(&error)))?;
            let stored = |image: runtime::image::Listed| StoredImage {
                digest: image.digest,
                references: image.references,
                size_bytes: image.bytes,
            };
            Ok(listed.into_iter().map(stored).collect())
        }
        .boxed()
    }
}
