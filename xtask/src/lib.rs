//! The project's only script language: everything that is done to Stead rather than by it.
//!
//! ```text
//!  commands/    one file per `cargo xtask` command
//!  scenarios/   one file per end-to-end scenario, its half on the host and its half in the VM
//!  tidy/        one file per rule about the sources
//!  vm/          kernel, initramfs, QEMU, and the first process inside
//!  bench/       what is measured, and how
//!  soak/        one file per thing that is tried for hours
//!  fuzz         tries texts that nobody would write
//!  tally        what a soak has done so far
//!  node         drives a `stead daemon` and its command line, on this machine or in a VM
//!  leftovers    finds what a node left behind
//!  oci          packs a program as an image
//! ```
//!
//! Every external command has a timeout, and its error shows the command and the end of its output.

pub mod bench;
pub mod commands;
pub mod fuzz;
pub mod http;
pub mod leftovers;
pub mod netfilter;
pub mod network;
pub mod node;
pub mod oci;
pub mod packages;
pub mod process;
pub mod scenarios;
pub mod signal;
pub mod soak;
pub(crate) mod tally;
pub mod tidy;
pub mod vm;
pub mod workspace;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the command that the arguments name; as the first process of a VM, the scenario it was booted for.
pub fn main() -> ExitCode {
    if vm::guest::is_init() {
        vm::guest::main();
    }
    let outcome = match vm::guest::scenario_argument() {
        Some(name) => vm::guest::play(&name),
        None => commands::Xtask::parse().run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
