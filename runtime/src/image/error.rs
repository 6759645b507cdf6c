//! What can go wrong with an image, and whether trying again can help.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("image reference {reference:?}: {reason}")]
    Reference { reference: String, reason: &'static str },
    #[error("no image {0:?} on this node, and its pull policy forbids to ask a registry")]
    NotLocal(String),
    #[error("image {0} is not on this node")]
    Missing(String),
    #[error("{0:?} is not a digest: sha256: and 64 lower-case hexadecimal digits")]
    Digest(String),
    #[error("{url}: no such image{detail}")]
    NotFound { url: String, detail: String },
    #[error("{url}: access denied{detail}")]
    Denied { url: String, detail: String },
    #[error("{from} sends to {to}: {reason}")]
    Refused { from: String, to: String, reason: &'static str },
    #[error("{url}: {reason}")]
    Protocol { url: String, reason: String },
    #[error("{what}: {reason}")]
    Document { what: String, reason: String },
    #[error("image {digest} is for {platform}, this node is {node}")]
    Platform { digest: String, platform: String, node: String },
    #[error("layer {layer}: {reason}")]
    Layer { layer: String, reason: String },
    #[error("archive {}: {reason}", path.display())]
    Archive { path: PathBuf, reason: String },
    #[error("{url}: status {status}{detail}")]
    Status { url: String, status: u16, detail: String },
    #[error("{url}: nothing for {after:?}")]
    Timeout { url: String, after: Duration },
    #[error("{url}: the connection failed")]
    Network { url: String, source: Source },
    #[error("{what} was interrupted")]
    Interrupted { what: String },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
}

impl Error {
    /// Whether trying again is useless until something else changes: the image, its registry's rules, or the configuration.
    pub fn is_permanent(&self) -> bool {
        match self {
            Error::Reference { .. }
            | Error::NotLocal(_)
            | Error::Digest(_)
            | Error::NotFound { .. }
            | Error::Denied { .. }
            | Error::Refused { .. }
            | Error::Protocol { .. }
            | Error::Document { .. }
            | Error::Platform { .. }
            | Error::Layer { .. }
            | Error::Archive { .. } => true,
            Error::Status { status, .. } => !matches!(status, 408 | 425 | 429 | 500..=599),
            Error::Missing(_) | Error::Timeout { .. } | Error::Network { .. } | Error::Interrupted { .. } | Error::Io { .. } => {
                false
            }
        }
    }

    /// Returns a function that gives an I/O error its context.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    }
}
