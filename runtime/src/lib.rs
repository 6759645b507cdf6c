//! What runs on a node: images, containers and their shims, init actions, probes and logs.
//!
//! This crate acts and reports; it decides nothing.

pub mod container;
pub mod image;
pub mod init;
pub mod logs;
mod names;
pub mod netns;
pub mod probe;
