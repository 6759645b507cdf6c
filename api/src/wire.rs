//! What crosses the socket, shared by server and client.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use spec::difference::ServiceChange;
use spec::problem::Problem;
use spec::{Kind, Name, Object};
use store::Cursor;

/// Media type of [`ProblemDocument`] (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Media type of a watch: one JSON object on each line.
pub const NDJSON: &str = "application/x-ndjson";
/// Media type of a watch for browsers.
pub const EVENT_STREAM: &str = "text/event-stream";

/// Which objects of a list or watch are meant: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Any of these; empty for all.
    pub kinds: Vec<Kind>,
    pub deployment: Option<Name>,
    /// The service's own name, without its deployment.
    pub service: Option<Name>,
}

/// The form a manifest is sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManifestType {
    Yaml,
    Json,
}

impl ManifestType {
    pub fn media_type(self) -> &'static str {
        match self {
            ManifestType::Yaml => "application/yaml",
            ManifestType::Json => "application/json",
        }
    }
}

/// Answer to a manifest that was applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Of the Deployment's spec; what `If-Match` compares.
    pub revision: u64,
    /// The place behind the change: a watch from here sees all that follows from it.
    pub cursor: Cursor,
    pub changed: bool,
    /// What may not do what was meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
    pub object: Arc<Object>,
}

/// Answer to a manifest that was only tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub dry_run: bool,
    /// Of the Deployment's spec as it is; 0 when there is none.
    pub revision: u64,
    pub cursor: Cursor,
    pub changed: bool,
    pub services: BTreeMap<String, ServiceChange>,
    /// What may not do what was meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Problem>,
}

/// One page of objects, by key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectList {
    /// A watch from here misses nothing of the list, however many pages it has.
    pub cursor: Cursor,
    pub objects: Vec<Arc<Object>>,
    /// Asks for the next page.
    #[serde(rename = "continue")]
    pub next: Option<String>,
}

/// One line of a watch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Put(ObjectEvent),
    /// It is gone, or no longer one of those asked for; with the last state that was.
    Delete(ObjectEvent),
    /// All that was there at the start has been sent.
    Synced {
        cursor: Cursor,
    },
    /// Nothing happened for a while.
    Bookmark {
        cursor: Cursor,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectEvent {
    /// Shared by all events of one transaction.
    pub cursor: Cursor,
    /// More events with this cursor follow, so it is not yet one to go on from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    pub object: Arc<Object>,
}

impl Event {
    /// Returns the cursor to watch from after a lost connection, once all events that share it have arrived.
    pub fn resume(&self) -> Option<Cursor> {
        match self {
            Event::Put(event) | Event::Delete(event) => (!event.more).then_some(event.cursor),
            Event::Synced { cursor } | Event::Bookmark { cursor } => Some(*cursor),
        }
    }
}

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedImage {
    /// The name it can be used by; empty when the archive names none.
    pub reference: String,
    /// Manifest digest, `sha256:…`.
    pub digest: String,
}

/// An image on the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredImage {
    /// Manifest digest, `sha256:…`.
    pub digest: String,
    /// Names it can be used by.
    pub references: Vec<String>,
    /// Unpacked, without what it shares with other images counted twice.
    pub size_bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Images {
    pub images: Vec<StoredImage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedImages {
    pub images: Vec<LoadedImage>,
}

/// Answer to `/version`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    pub version: String,
    /// Version of the objects' shapes.
    pub schema: u16,
}

/// Answer to `/healthz` and `/readyz` when all is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    pub status: String,
}

/// Why a request was refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemDocument {
    /// For people: the status in words.
    pub title: String,
    pub status: u16,
    /// For programs: stable.
    pub reason: Reason,
    pub detail: String,
    /// All that is wrong with a manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<StaleCursor>,
}

/// What can be watched instead of a stale cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaleCursor {
    pub oldest_available_cursor: Cursor,
    pub head_cursor: Cursor,
    pub replay_complete: bool,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $status:literal,)*) => {
        /// Stable reasons of refusals, each with its status.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Reason {
            $($(#[$doc])* $reason,)*
            /// One that a newer server gives.
            #[serde(other)]
            Unknown,
        }

        impl Reason {
            pub fn status(self) -> u16 {
                match self { $(Reason::$reason => $status,)* Reason::Unknown => 500 }
            }
        }
    };
}

reasons! {
    BadPath = 400,
    BadQuery = 400,
    BadHeader = 400,
    BadBody = 400,
    InvalidManifest = 400,
    InvalidImage = 400,
    NotAdmitted = 400,
    Unsupported = 400,
    ForeignHost = 403,
    ForeignOrigin = 403,
    DerivedObject = 403,
    NotFound = 404,
    WrongMethod = 405,
    Timeout = 408,
    /// An endpoint is already another deployment's.
    Clash = 409,
    Conflict = 409,
    Deleting = 409,
    StaleCursor = 410,
    RevisionMismatch = 412,
    TooLarge = 413,
    UnsupportedMediaType = 415,
    Internal = 500,
    Busy = 503,
    NotReady = 503,
    Unavailable = 503,
    DiskFull = 507,
}

impl fmt::Display for ProblemDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
