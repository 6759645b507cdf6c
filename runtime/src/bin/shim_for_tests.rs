//! What this crate's tests start as processes of their own: a shim, and a daemon to be killed.
//!
//! In production the one binary re-executes itself.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use runtime::container::{Config, Containers, Launch, Shim, shim_main};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|arg| arg == "daemon").is_some() {
        return daemon(&args.collect::<Vec<_>>());
    }
    shim_main(args)
}

/// Starts the container of a launch file below a directory of the tests, prints its process id, and does nothing more.
fn daemon(args: &[OsString]) -> ExitCode {
    let [dir, cgroup_parent, launch] = args else { return ExitCode::from(2) };
    let path = |name: &str| PathBuf::from(dir).join(name);
    let config = Config {
        state_dir: path("state"),
        run_dir: path("run"),
        log_dir: path("logs"),
        netns_dir: path("netns"),
        cgroup_parent: cgroup_parent.to_string_lossy().into_owned(),
        shim: Shim { program: "/proc/self/exe".into(), args: vec![] },
    };
    let launch: Launch = serde_json::from_slice(&std::fs::read(launch).expect("a launch file")).expect("a launch");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let running = Containers::open(config).expect("a host for containers").start(launch).await.expect("a container");
        println!("{}", running.pid);
        std::io::stdout().flush().expect("somebody who reads");
        std::future::pending::<()>().await;
    });
    ExitCode::SUCCESS
}
