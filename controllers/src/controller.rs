//! One file for each controller.

pub mod collect;
pub mod container;
pub mod endpoint;
pub mod image;
pub mod init;
pub mod node;
pub mod overlay;
pub mod replica;
pub mod service;
