//! What the cross-crate tests share.
//!
//! - [`simulator`]: the real driver, controllers and store, on a node that is made up and fails when its seed says so.
//! - [`server`]: a real node in a network namespace of its own, driven by the real command line. Needs root.
//! - [`host`]: what is on the host, to see that nothing is left.
//! - [`http`]: the smallest client, from inside such a namespace.
//! - [`images`]: images of real programs, made of Debian's packages; [`registry`]: a real one, to pull them from.
//! - [`shell`]: a way into a container, as one of its own processes.
//! - [`outside`]: a network beyond the node's, in place of the internet.

pub mod host;
pub mod http;
pub mod images;
pub mod outside;
pub mod program;
pub mod registry;
pub mod server;
pub mod shell;
pub mod simulator;

use std::time::{Duration, Instant};

/// Longest wait for anything: generous, since a test that waits in vain fails anyway.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` gives something; fails with `what` when it never does.
#[track_caller]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until `condition` holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    eventually(what, || condition().then_some(()));
}
