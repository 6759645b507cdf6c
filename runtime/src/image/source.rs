//! Where an image's parts come from.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::spawn_blocking;

use super::archive::Archive;
use super::digest::Digest;
use super::document::{CONFIG_MAX, Descriptor, MANIFEST_MAX};
use super::reference::Repository;
use super::registry::Registry;
use super::store::Store;
use super::unpack::{Expected, INTERRUPTED, Limits};
use super::{Error, feed};

#[derive(Clone)]
pub(super) enum Source {
    Registry(Arc<Registry>, Repository),
    Archive(Arc<Archive>),
}

impl Source {
    /// Returns a manifest, checked against its digest.
    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, Error> {
        match self {
            Source::Registry(registry, repository) => registry.manifest(repository, &digest.to_string(), Some(digest)).await,
            Source::Archive(archive) => {
                let (archive, digest) = (Arc::clone(archive), digest.clone());
                blocking(move || archive.by_digest(&digest, MANIFEST_MAX)).await
            }
        }
    }

    /// Returns an image's configuration, checked against its descriptor.
    pub(super) async fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        match self {
            Source::Registry(registry, repository) => registry.document(repository, descriptor).await,
            Source::Archive(archive) => {
                let (archive, descriptor) = (Arc::clone(archive), descriptor.clone());
                blocking(move || archive.document(&descriptor, CONFIG_MAX)).await
            }
        }
    }

    /// Unpacks a layer into the store while it arrives.
    pub(super) async fn unpack(&self, expected: &Expected, store: &Arc<Store>, limits: &Limits) -> Result<(), Error> {
        let (store, wanted, limits) = (Arc::clone(store), expected.clone(), limits.clone());
        match self {
            Source::Registry(registry, repository) => {
                let (feeder, stream) = feed::channel();
                let unpacking = blocking(move || store.unpack(stream, &wanted, &limits));
                let (sent, unpacked) = futures_util::join!(registry.layer(repository, expected, feeder), unpacking);
                // A stream that was cut off makes the unpacker fail too, and knows better why.
                sent.and(unpacked)
            }
            Source::Archive(archive) => {
                let archive = Arc::clone(archive);
                let stop = StopOnDrop::default();
                let stopped = Arc::clone(&stop.0);
                blocking(move || {
                    let reader = archive.layer(&wanted.digest)?.reader;
                    store.unpack(Stoppable { reader, stopped }, &wanted, &limits)
                })
                .await
            }
        }
    }
}

/// Runs what blocks on a thread for that; once started it ends by itself, even when nobody waits for it any more.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.unwrap_or_else(|_| Err(Error::Interrupted { what: "work on an image".to_owned() }))
}

/// Ends the reading thread when the future that waits for it is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Stoppable {
    reader: Box<dyn Read + Send>,
    stopped: Arc<AtomicBool>,
}

impl Read for Stoppable {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stopped.load(Ordering::Relaxed) { Err(io::Error::from(INTERRUPTED)) } else { self.reader.read(buffer) }
    }
}
