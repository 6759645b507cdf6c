//! An overlay network: of a whole deployment (`<deployment>`) or of one service (`<deployment>/<service>`).
//!
//! Spec: controller `overlay`. No status yet: an overlay of one node is only addresses.

use serde::{Deserialize, Serialize};

use crate::net::Block;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    pub block: Block,
}

pub use super::NoStatus as Status;
