//! A service of a deployment.
//!
//! Spec: controller `service`. Status: controller `replica`.

use serde::{Deserialize, Serialize};

use crate::object::Name;

pub use crate::manifest::Service as Spec;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The revision its replicas should be of, once its image is resolved.
    pub revision: Option<Name>,
    pub desired: u32,
    /// Replicas that serve, of any revision.
    pub ready: u32,
    /// Replicas of the current revision.
    pub updated: u32,
    /// Nothing is left to do: the right number of ready replicas, all of the current revision, and none other.
    pub settled: bool,
    /// A replica or the image has failed for good; `message` says why.
    pub failed: bool,
    /// What it waits for, for a person; empty when settled.
    pub message: String,
}
