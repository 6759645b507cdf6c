//! What the cross-crate tests share.
//!
//! - [`simulator`]: the real driver, controllers and store, on a node that is made up and fails when its seed says so.

pub mod simulator;
