//! Why a request failed, for the command line to print.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::wire::{ProblemDocument, Reason};

use super::connection::BoxError;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no node runs here: nobody listens on {}", socket.display())]
    NoNode { socket: PathBuf, source: io::Error },
    #[error("{} is for root and the daemon's own user", socket.display())]
    Denied { socket: PathBuf, source: io::Error },
    #[error("the node gave no {what} within {after:?}")]
    Timeout { what: &'static str, after: Duration },
    /// The daemon understood, and refused.
    #[error("{0}")]
    Refused(Box<ProblemDocument>),
    /// What was to be sent could not be read.
    #[error("what is sent could not be read")]
    Sending { source: BoxError },
    #[error("the connection to the node broke off")]
    Broken { source: BoxError },
}

impl Error {
    /// Returns the problem document of a refusal.
    pub fn problem(&self) -> Option<&ProblemDocument> {
        match self {
            Error::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Returns the stable reason of a refusal.
    pub fn reason(&self) -> Option<Reason> {
        self.problem().map(|problem| problem.reason)
    }

    pub(super) fn broken(source: impl Into<BoxError>) -> Error {
        Error::Broken { source: source.into() }
    }

    pub(super) fn sending(source: impl Into<BoxError>) -> Error {
        Error::Sending { source: source.into() }
    }

    pub(super) fn closed() -> Error {
        Error::broken(io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}
