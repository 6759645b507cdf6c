//! An endpoint: where traffic enters, and the replicas that take it.
//!
//! Spec: controller `endpoint`. Status: the node's edge.

use std::net::SocketAddrV4;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub protocol: Protocol,
    /// Port of the node on which the proxy listens.
    pub port: u16,
    /// Path prefix of whole segments, starting with `/`.
    pub path: String,
    /// Ready replicas, sorted.
    pub backends: Vec<SocketAddrV4>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Http,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The proxy listens on the port and knows the route, with the backends of the generation observed.
    pub serving: bool,
    /// Why it does not, such as a port that another program holds.
    pub error: Option<String>,
}
