//! Tests against the real kernel, as root. Each has a network and a mount namespace of its own, on a thread of its own.

mod doctor;
mod filter;
mod link;
mod netns;
mod node;
mod traffic;
mod world;
