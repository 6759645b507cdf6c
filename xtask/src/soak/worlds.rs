//! Random worlds that the controllers must bring to rest, new ones every time.

use std::time::Duration;

use super::{Soak, build};

pub(super) const WORLDS: Soak = Soak {
    name: "worlds",
    unit: "worlds",
    // Some ten seconds without optimization.
    round: 100,
    timeout: Duration::from_secs(1800),
    build: || build("controllers", "random"),
    set_up: |tool, _, count| tool.env("PROPTEST_CASES", &count.to_string()),
};
