//! The one binary. Re-executed by itself it is a shim or the data plane; otherwise it is the command line.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The other kinds of process come first: a shim must not have had a second thread, nor the data plane any runtime.
    let mut args = std::env::args_os().skip(1);
    match args.next().as_deref().and_then(|role| role.to_str()) {
        Some(stead::cli::SHIM) => runtime::container::shim_main(args),
        Some(stead::cli::DATA_PLANE) => data_plane(args),
        _ => stead::cli::main(),
    }
}

fn data_plane(args: impl Iterator<Item = OsString>) -> ExitCode {
    // The kernel named it after the descriptor it was executed from; without a better name it works as well.
    let _ = rustix::thread::set_name(c"stead-data-plane");
    stead::cli::log_to_stderr("info");
    proxy::data_plane_main(args)
}
