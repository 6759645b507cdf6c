//! The daemon is killed at random moments while twenty replicas are deployed. Needs root.

use std::time::Duration;

use super::{Soak, build};
use crate::{packages, workspace};

pub(super) const CRASHES: Soak = Soak {
    name: "crashes",
    unit: "kills",
    // Each takes a few seconds on two cores.
    round: 10,
    timeout: Duration::from_secs(1800),
    build: || {
        packages::ensure(&[packages::BUILD, packages::TESTS])?;
        workspace::build(&["stead", "hello", "xtask"])?;
        build("tests", "crashes")
    },
    set_up: |tool, _, count| tool.arg("killed_at").env("STEAD_KILLS", &count.to_string()),
};
