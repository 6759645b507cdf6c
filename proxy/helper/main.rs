//! The program that the tests start: `data-plane …` is the process itself, `daemon …` is a daemon that can be killed.

use std::ffi::OsString;
use std::process::ExitCode;

mod daemon;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    match args.next().as_ref().and_then(|mode| mode.to_str()) {
        Some("data-plane") => proxy::data_plane_main(args),
        Some("daemon") => daemon::run(&args.collect::<Vec<OsString>>()),
        _ => ExitCode::FAILURE,
    }
}
