//! The controllers: pure functions that decide what should change, and [`settle`], which runs them to agreement.
//!
//! A controller is asked about one key at a time. It looks at a [`View`] and answers a [`Plan`]: never what changed, only what
//! is. Writes of one controller wake those that read what it writes, inside the same settlement, so a whole hand-off
//! from manifest to effects is one commit.
//!
//! ```text
//!  deployment ─▶ service ─▶ image ─▶ service ─▶ replica ─▶ init ─▶ container ─▶ endpoint
//!  (manifest)    (split)   (digest) (revision) (how many) (steps) (start, stop) (traffic)
//! ```
//!
//! How to add a controller: one file in `controller/`, and its name in [`ALL`].

pub mod controller;
mod rules;
mod settle;

use std::panic::RefUnwindSafe;

use spec::object::Half;
use spec::plan::{OUTSIDE_WRITERS, Writer};
use spec::{Change, Key, Kind, Plan, Timestamp, View};

pub use settle::{Aside, Authored, PLANS_MAX, Settled, Task, dirty_all, dirty_by, settle};

use controller::{collect, container, endpoint, image, init, node, overlay, replica, service};

/// All controllers, sorted by name.
pub const ALL: &[Controller] = &[
    collect::CONTROLLER,
    container::CONTROLLER,
    endpoint::CONTROLLER,
    image::CONTROLLER,
    init::CONTROLLER,
    node::CONTROLLER,
    overlay::CONTROLLER,
    replica::CONTROLLER,
    service::CONTROLLER,
];

/// One controller: what wakes it, what it may write, and how it decides.
pub struct Controller {
    pub name: &'static str,
    /// For a change of each kind, which keys are to be planned again.
    pub reads: &'static [(Kind, Wake)],
    /// The halves it is the only writer of.
    pub writes: &'static [(Kind, Half)],
    pub plan: fn(&View<'_>, &Key, Timestamp) -> Plan,
}

/// Maps a change to the keys it concerns. It may look around, and must not depend on anything but its arguments.
pub type Wake = fn(&View<'_>, &Change) -> Vec<Key>;

const _: () = {
    const fn shared<T: RefUnwindSafe + Sync>() {}
    shared::<Controller>();
};

impl Controller {
    /// Returns whether it may write this half of this kind.
    pub fn writes_half(&self, kind: Kind, half: Half) -> bool {
        self.writes.contains(&(kind, half))
    }
}

/// Returns every half with its one writer: the controllers' and those outside.
pub fn writers() -> impl Iterator<Item = (Kind, Half, Writer)> {
    let own = ALL.iter().flat_map(|c| c.writes.iter().map(|(kind, half)| (*kind, *half, Writer::Controller(c.name))));
    own.chain(OUTSIDE_WRITERS.iter().copied())
}
