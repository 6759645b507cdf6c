//! Any text as a manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| spec_fuzz::manifest(text));
