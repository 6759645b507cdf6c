//! One immutable template of a service: what its containers are made from.
//!
//! Named `<deployment>/<service>/<hash>`; the hash covers what would change a container and nothing else, so scaling, labels
//! and fields that a newer Stead adds restart nothing. Spec: controller `service`. No status.

use serde::{Deserialize, Serialize};

use crate::manifest;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Manifest digest, `sha256:…`.
    pub digest: String,
    /// Registry and repository that have it.
    pub repository: String,
    /// The parts of the service that its containers are made from.
    pub template: manifest::Template,
}

pub use super::NoStatus as Status;
