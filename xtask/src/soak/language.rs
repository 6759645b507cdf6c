//! Texts as manifests, made from those that reached something new.

use std::time::Duration;

use super::{Soak, build_target};

pub(super) const LANGUAGE: Soak = Soak {
    name: "language",
    unit: "texts",
    // Some twenty seconds.
    round: 100_000,
    timeout: Duration::from_secs(1800),
    build: || build_target("manifest"),
    set_up: |tool, _, count| tool.arg(format!("-runs={count}")),
};
