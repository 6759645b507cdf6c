//! The init steps of one replica, run before each start of its container.
//!
//! Spec: controller `init`. Status: the node's edge.

use serde::{Deserialize, Serialize};

use super::container;
use crate::manifest::Step;
use crate::units::Timestamp;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The start these steps are for.
    pub attempt: u64,
    pub steps: Vec<Step>,
    /// The container whose root, network, environment and limits the steps run in.
    pub container: container::Spec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub attempt: u64,
    pub outcome: Outcome,
    /// Steps that failed and were told to `warn` or `continue`: their id and why.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    #[default]
    Pending,
    /// On this step, by its index and id.
    Running { index: usize, id: String, since: Timestamp },
    Succeeded,
    Failed { id: String, message: String, started: Timestamp, at: Timestamp },
}
