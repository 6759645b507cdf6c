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
//! - [`manifest`]: the YAML file a person writes, and its checks; [`yaml`]: what it is read from; [`problem`]: what is wrong with it.
//! - [`shape`]: the language as data, from which [`schema`], [`explain`], [`reference`] and [`format`](mod@format) are made.
//! - [`difference`]: what another manifest would change; [`compose`]: what becomes of a file for Docker Compose.
//! - [`object`]: the envelope all objects share; [`kind`]: one file for each kind of object.
//! - [`view`]: the set of all objects, and how a controller looks at it.
//! - [`plan`]: what a controller answers: writes, effects and when to be asked again.

pub mod compose;
pub mod difference;
pub mod explain;
pub mod format;
pub mod hash;
pub mod kind;
pub mod manifest;
pub mod net;
pub mod object;
pub mod plan;
pub mod problem;
pub mod reference;
pub mod schema;
#[macro_use]
pub mod shape;
pub mod units;
pub mod view;
mod words;
pub mod yaml;

pub use kind::{Kind, Spec, Status};
pub use object::{Half, Key, Name, Object, Resource, Uid};
pub use plan::{Effect, Plan, Write};
pub use units::Timestamp;
pub use view::{Change, Item, View, World};
