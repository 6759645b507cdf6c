//! End-to-end scenarios: what is put into a virtual machine, and what is checked inside.
//!
//! To add one: its file in `scenarios/`, and its line in [`ALL`].

mod hello;
mod machine;

use std::time::Duration;

use anyhow::{Context, Result};

use crate::vm::archive::Archive;
use crate::vm::report::Report;

/// One scenario: its half on the host, and its half in the VM.
pub struct Scenario {
    pub name: &'static str,
    pub memory_mib: u32,
    /// Bound on the whole of it, emulated.
    pub timeout: Duration,
    /// Loaded before it starts.
    pub modules: &'static [&'static str],
    /// On the host: builds what it needs and puts it into the initramfs.
    pub fill: fn(&mut Archive) -> Result<()>,
    /// In the machine: does and checks everything.
    pub play: fn(&mut Report),
}

/// All scenarios, sorted.
pub const ALL: &[&Scenario] = &[&hello::HELLO, &machine::MACHINE];

pub fn find(name: &str) -> Result<&'static Scenario> {
    let names = || ALL.iter().map(|scenario| scenario.name).collect::<Vec<_>>().join(", ");
    let scenario = ALL.iter().find(|scenario| scenario.name == name);
    scenario.copied().with_context(|| format!("there is no scenario `{name}`; there are {}", names()))
}

/// What a server that runs Stead has loaded, or loads by itself when it is first used.
const SERVER_MODULES: &[&str] = &[
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_limit",
    "nft_log",
    "nft_masq",
    "nft_nat",
    "nft_numgen",
    "nft_redir",
    "nft_reject",
    "nft_reject_inet",
    "overlay",
    "veth",
    "wireguard",
];
