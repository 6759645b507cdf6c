//! What the daemon supplies: the parts of the API that are not in the store.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use spec::Name;
use spec::manifest::Manifest;
use spec::problem::Problem;
use tokio::io::AsyncRead;

use crate::wire::{LoadedImage, StoredImage};

/// Output of a container, as it was written.
pub type LogStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An upload, as it arrives.
pub type Upload = Pin<Box<dyn AsyncRead + Send>>;

/// Why a hook cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotFound(String),
    /// What was sent is wrong.
    #[error("{0}")]
    Invalid(String),
    #[error("the node's disk is full: {0}")]
    DiskFull(String),
    #[error("{0}")]
    Failed(String),
}

/// What this node asks of a manifest beyond the language's own rules.
pub trait Admission: Send + Sync {
    /// Returns all that speaks against applying `manifest` here, and warnings.
    fn problems<'a>(&'a self, manifest: &'a Manifest) -> BoxFuture<'a, Vec<Problem>>;
}

/// Takes every valid manifest.
#[derive(Clone, Copy, Debug)]
pub struct AdmitAll;

impl Admission for AdmitAll {
    fn problems<'a>(&'a self, _manifest: &'a Manifest) -> BoxFuture<'a, Vec<Problem>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

/// The output of replicas.
pub trait Logs: Send + Sync {
    /// Returns the last `tail` lines, or all that is kept, and goes on with what is written when told to `follow`.
    fn logs(&self, replica: &Name, tail: Option<usize>, follow: bool) -> BoxFuture<'_, Result<LogStream, Error>>;
}

/// The node's images.
pub trait Images: Send + Sync {
    /// Takes in an OCI archive.
    fn load(&self, archive: Upload) -> BoxFuture<'_, Result<Vec<LoadedImage>, Error>>;

    fn list(&self) -> BoxFuture<'_, Result<Vec<StoredImage>, Error>>;
}

/// Whether the daemon does its work.
pub trait Readiness: Send + Sync {
    /// Returns why it does not, for a person.
    fn ready(&self) -> Result<(), String>;
}
