//! Something worth telling a person, counted rather than repeated.
//!
//! Spec: the driver. No status.

use serde::{Deserialize, Serialize};

use crate::object::Key;
use crate::units::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub about: Key,
    /// Stable word for programs, such as `quarantined`.
    pub reason: String,
    pub message: String,
    pub count: u64,
    pub first: Timestamp,
    pub last: Timestamp,
}

pub use super::NoStatus as Status;
