//! Why the store refuses.

use std::path::PathBuf;
use std::sync::Arc;

use spec::plan::Writer;
use spec::{Key, Kind};

use crate::apply::{OBJECT_BYTES_MAX, OPS_MAX};
use crate::log::FORMAT;
use crate::writers::describe;

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("the store {} cannot be opened", file.display())]
    Open { file: PathBuf, source: Arc<std::io::Error> },
    #[error("the store {} is held by another process: only one Stead can use it at a time", file.display())]
    Held { file: PathBuf },
    #[error("the store {} is damaged ({detail}): put a backup in its place, or move it away to start with an empty store", file.display())]
    Damaged { file: PathBuf, detail: String },
    #[error("the store {} has format {found}, and this version of Stead reads up to {FORMAT}: run the newer Stead", file.display())]
    Newer { file: PathBuf, found: u64 },

    #[error("the file {} cannot be written", file.display())]
    Backup { file: PathBuf, source: Arc<std::io::Error> },

    #[error("{} may not {what} {key}", describe(*writer))]
    NotWriter { key: Key, what: &'static str, writer: Writer },
    /// The half written is not at the revision expected, or the object is not the one expected.
    #[error("{key} changed meanwhile: it is at revision {current}")]
    Conflict {
        key: Key,
        /// Revision of the half that was to be written; 0 when there is none.
        current: u64,
    },
    #[error("{key} is being deleted")]
    Deleting { key: Key },
    /// The object that a status is for is no more; its reporter can stop.
    #[error("{key} is gone")]
    Gone { key: Key },
    #[error("{key} is not marked for deletion, so it cannot be removed")]
    NotDeleting { key: Key },
    #[error("{key} has another owner")]
    OtherOwner { key: Key },
    #[error("{key} cannot take the spec or status of a {kind}")]
    OtherKind { key: Key, kind: Kind },
    #[error("labels of {key} can only be given with its spec")]
    LabelsWithoutSpec { key: Key },
    #[error("a transaction of {ops} writes is over the limit of {OPS_MAX}")]
    TooManyOps { ops: usize },
    #[error("{key} would take {bytes} bytes, over the limit of {OBJECT_BYTES_MAX}")]
    TooLarge { key: Key, bytes: usize },

    #[error("a transaction writes volatile kinds and others: write them apart")]
    Mixed,

    #[error("the disk of the store is full: free some space, nothing was written")]
    Full,
    /// The store's file cannot be written any more by this process.
    #[error("the store cannot write to its file since an earlier error: restart Stead once the disk is well")]
    Failed { source: Arc<redb::Error> },
    #[error("the store is shut down")]
    Closed,
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Error {
        match &error {
            redb::Error::Io(io) if is_full(io) => Error::Full,
            _ => Error::Failed { source: Arc::new(error) },
        }
    }
}

/// Returns whether an error goes away once there is room again.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
