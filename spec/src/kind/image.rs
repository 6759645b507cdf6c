//! An image on this node, by digest.
//!
//! Spec: controller `image`. Status: the node's edge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::units::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Manifest digest, `sha256:…`.
    pub digest: String,
    /// A reference by which a registry gives it, without tag or digest: `docker.io/library/nginx`.
    pub repository: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Unpacked and ready to run.
    pub config: Option<Config>,
    pub failure: Option<Failure>,
}

/// What an image says about running it: the part of the OCI image configuration (image-spec, `config.md`) that Stead honours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub entrypoint: Vec<String>,
    pub cmd: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub workdir: String,
    pub user: String,
    pub stop_signal: Option<String>,
}

/// A failed attempt, and how many there were in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub message: String,
    pub attempts: u64,
    pub at: Timestamp,
    /// Trying again will not help until something else changes: no such image, access denied, a hostile layer.
    pub permanent: bool,
}
