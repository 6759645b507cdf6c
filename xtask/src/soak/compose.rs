//! Texts as compose files, made from those that reached something new.

use std::time::Duration;

use super::{Soak, build_target};

pub(super) const COMPOSE: Soak = Soak {
    name: "compose",
    unit: "texts",
    // Some twenty seconds.
    round: 100_000,
    timeout: Duration::from_secs(1800),
    build: || build_target("compose"),
    set_up: |tool, _, count| tool.arg(format!("-runs={count}")),
};
