//! The wiring of Stead: the daemon that drives a node, and the command line.

pub mod cli;
pub mod clock;
pub mod driver;
mod edge;
mod node;
pub mod report;
