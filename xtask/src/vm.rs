//! Virtual machines: Debian's kernel, a file system in memory made here, QEMU, and our own first process inside.
//!
//! ```text
//!  kernel ── package, downloaded and unpacked once ──┐
//!  archive ─ initramfs: xtask as /init, modules, … ──┼─▶ machine (QEMU) ── serial port ──▶ lines of the scenario
//!  scenario name on the kernel's command line ───────┘      └ guest: mounts, modules, the scenario's inner half
//! ```

pub mod archive;
pub mod guest;
pub mod kernel;
pub mod machine;
pub mod report;
