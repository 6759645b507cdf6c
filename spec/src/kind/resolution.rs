//! A service's image reference, resolved once to a digest, so that all nodes run the same image.
//!
//! Spec: controller `image`. Status: the server's edge.

use serde::{Deserialize, Serialize};

use super::image::Failure;
use crate::manifest::PullPolicy;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// As written: `nginx:alpine`, `ghcr.io/org/api@sha256:…`.
    pub reference: String,
    pub pull_policy: PullPolicy,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub resolved: Option<Resolved>,
    pub failure: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The reference this is the answer to.
    pub reference: String,
    /// Manifest digest for this platform, `sha256:…`.
    pub digest: String,
    /// Registry and repository, complete: `docker.io/library/nginx`.
    pub repository: String,
}
