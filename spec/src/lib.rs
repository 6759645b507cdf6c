//! The language of Stead: what users write, what controllers decide on, what nodes report.
//!
//! Everything here is plain data and functions over it: no I/O, no clock, no randomness.
//!
//! ```text
//!  manifest ──validate──▶ Deployment object ─┐
//!                                            ▼
//!                          World ──View──▶ controllers ──▶ Plan { writes, effects, recheck }
//! ```
//!
//! - [`manifest`]: the YAML file a person writes, and its checks.
//! - [`object`]: the envelope all objects share; [`kind`]: one file for each kind of object.
//! - [`view`]: the set of all objects, and how a controller looks at it.
//! - [`plan`]: what a controller answers: writes, effects and when to be asked again.

pub mod hash;
pub mod kind;
pub mod manifest;
pub mod net;
pub mod object;
pub mod plan;
pub mod problem;
pub mod units;
pub mod view;

pub use kind::{Kind, Spec, Status};
pub use object::{Half, Key, Name, Object, Resource, Uid};
pub use plan::{Effect, Plan, Write};
pub use units::Timestamp;
pub use view::{Change, Item, View, World};
