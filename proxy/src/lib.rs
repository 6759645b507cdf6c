//! The data path: HTTP proxy and DNS, in a process of their own that goes on when the daemon is gone.
//!
//! ```text
//!  daemon (privileged)                        data plane (no privileges)
//!  ┌───────────────────────────┐  tables as    ┌──────────────────────────────┐
//!  │ DataPlane ── Keeper ──────┼─ JSON frames ▶│ control ──▶ Table            │
//!  │    binds every socket ────┼─ SCM_RIGHTS ─▶│ http: Gate ▶ hyper ▶ Backend │
//!  │    restarts the process   │               │ dns: answer, or relay        │
//!  └───────────────────────────┘               └──────────────────────────────┘
//! ```
//!
//! - [`DataPlane`] is the daemon's handle. It starts the process, or finds the one that is alive, and tells it what differs.
//! - [`data_plane_main`] is the process. It decides nothing: it carries traffic as its last table says.
//!
//! Deliberately absent so far: TLS, HTTP/2, virtual hosts, tcp and udp (those belong to the packet filter), seccomp and
//! landlock (the process has no privileges, but may still make any system call).

mod channel;
mod daemon;
mod dns;
mod http;
mod plane;
mod wire;

pub use daemon::{Applied, Config, DataPlane, Error, Status};
pub use plane::data_plane_main;
pub use plane::metrics::{DnsFigures, Figures, RouteFigures};
