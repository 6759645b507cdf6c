//! The HTTP API of a Stead daemon on its Unix socket, and the client that every tool uses.
//!
//! ```text
//!  tool ── client ──▶ Unix socket ──▶ serve ──▶ guard ──▶ routes ──▶ store
//!                     peer's user      limits    Host, Origin, paths   └▶ hooks: logs, images, admission (the daemon's)
//! ```
//!
//! - [`wire`]: what crosses the socket, shared by both ends.
//! - [`server`]: the routes and their limits; what the daemon supplies are the traits in [`server::hooks`].
//! - [`client`]: typed requests.

pub mod client;
pub mod server;
pub mod wire;

pub use client::Client;
pub use server::{ApiState, Limits, bind, router, serve};
