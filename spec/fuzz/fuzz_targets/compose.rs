//! Any text as a compose file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| spec_fuzz::compose(text));
