//! Lives of a server, each seed once.

use std::time::Duration;

use super::{Soak, build};

pub(super) const SIMULATOR: Soak = Soak {
    name: "simulator",
    unit: "seeds",
    // The test replays one seed at a time.
    round: 1,
    timeout: Duration::from_secs(600),
    build: || build("tests", "simulator"),
    set_up: |tool, done, _| tool.env("STEAD_SEED", &(done + 1).to_string()),
};
