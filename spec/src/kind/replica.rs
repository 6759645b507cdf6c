//! One instance of a service.
//!
//! Spec: controller `replica`. Status: controller `container`.

use serde::{Deserialize, Serialize};

use crate::net::Address;
use crate::object::Name;
use crate::units::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// The revision it runs.
    pub revision: Name,
    /// The node it runs on.
    pub node: Name,
    /// One address in each overlay, the deployment's first.
    pub addresses: Vec<Address>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    pub phase: Phase,
    /// What it waits for or why it failed, for a person.
    pub message: String,
    /// Since when it is in this phase.
    pub since: Timestamp,
    /// Starts after the first.
    pub restarts: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    #[default]
    Pending,
    /// Its image is on the way.
    Pulling,
    /// Its init steps run.
    Init,
    Starting,
    /// Runs, and does not serve yet or any more.
    Running,
    /// Runs and serves.
    Ready,
    /// Ended or failed to start; another try follows.
    Backoff,
    /// Will not run without a change or a long wait.
    Failed,
    Stopping,
}
