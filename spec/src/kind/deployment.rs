//! A deployment: a whole manifest, as its user wrote it.
//!
//! Spec: users. Status: controller `service`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use crate::manifest::Manifest as Spec;

/// Label with the time, in milliseconds since the Unix epoch, up to which failures are forgiven: what failed before is tried again
/// at once. A manifest that is applied again while it does not serve leaves it.
pub const RETRY_AT: &str = "stead/retry-at";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Every service serves with all the replicas asked for, at this spec.
    pub ready: bool,
    /// One line for each service that is not there yet: what it waits for.
    pub waiting: BTreeMap<String, String>,
}
