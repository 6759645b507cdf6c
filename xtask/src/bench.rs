//! Measures of Stead as its users have it, beside what others and the machine itself can do.
//!
//! ```text
//!  language   a manifest of a thousand services, and texts made to cost much
//!  start/     from an accepted manifest to an answer: one replica, many at once, and what they cost at rest
//!  place      the node that is measured, in a network of its own
//!  timeline   what became of a deployment when, by the node's own watch
//!  memory     what the kernel says of a process
//!  peer       starts the same program with crun and runc
//!  limits     what the machine takes for the steps nobody gets around
//!  report     figures, their statistics and their aims
//! ```
//!
//! A bench says how fast something is. It fails only when something does not work: nothing here is a test.

pub mod language;
mod limits;
mod memory;
mod peer;
mod place;
mod report;
pub mod start;
mod timeline;

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}
