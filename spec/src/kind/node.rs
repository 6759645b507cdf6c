//! A machine.
//!
//! Spec: users. Status: the node's edge.

use serde::{Deserialize, Serialize};

use super::image::Failure;
use crate::net::Block;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spec {}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Short random word that keeps this node's names on the host apart from another's.
    pub id: String,
    /// Where overlay blocks are taken from; free of the host's own routes.
    pub pool: Option<Block>,
    /// The kernel's packet filter was found as it should be.
    pub filter_intact: bool,
    /// Why the packet filter could not be put right.
    pub filter_failure: Option<Failure>,
}
