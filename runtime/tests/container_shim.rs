//! Shims outlive daemons, and containers never outlive shims. Needs root.

mod container_support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use container_support::{Host, eventually, is_alive, kill, within};
use runtime::container::Role;
use runtime::logs::Logs;
use spec::kind::container::Cause;

#[tokio::test]
async fn another_daemon_finds_the_container_again() {
    let host = Host::new();
    let mut launch = host.script("stay", "echo ready; trap 'exit 4' TERM; while :; do sleep 0.01; done");
    launch.attempt = 5;
    let mut first = host.start(launch).await;
    host.heard("stay", "ready").await;
    let later = host.another();
    let mut again = within(later.attach("stay")).await.unwrap().expect("it runs");
    assert_eq!((again.pid, again.attempt, again.started), (first.pid, 5, first.started));
    again.stop("SIGTERM", Duration::from_secs(60)).await.unwrap();
    assert_eq!(within(again.wait()).await, within(first.wait()).await);
    assert_eq!(later.exit_record("stay").unwrap().unwrap().cause, Cause::Code(4));
    assert!(within(later.attach("stay")).await.unwrap().is_none());
    assert!(within(later.attach("never")).await.unwrap().is_none());
}

#[tokio::test]
async fn a_container_outlives_a_killed_daemon_and_ends_while_nobody_looks() {
    let host = Host::new();
    let launch = host.script("stay", "trap 'echo last words; exit 6' TERM; echo ready; while :; do sleep 0.01; done");
    let file = host.dir.path().join("launch.json");
    fs::write(&file, serde_json::to_vec(&launch).unwrap()).unwrap();
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_shim_for_tests"))
        .arg("daemon")
        .args([host.dir.path(), Path::new(&host.config.cgroup_parent), &file])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let pid: u32 = line.trim().parse().unwrap();
    daemon.kill().unwrap();
    daemon.wait().unwrap();

    let found = within(host.containers.attach("stay")).await.unwrap().expect("it outlives the daemon");
    assert_eq!(found.pid, pid);
    host.heard("stay", "ready").await;
    assert!(is_alive(pid));
    found.stop("SIGTERM", Duration::from_secs(60)).await.unwrap();
    drop(found);
    eventually("it ends", async || host.containers.exit_record("stay").unwrap().is_some()).await;
    assert_eq!(host.containers.exit_record("stay").unwrap().unwrap().cause, Cause::Code(6));
    eventually("its shim leaves", async || host.containers.attach("stay").await.unwrap().is_none()).await;
    assert_eq!(host.said("stay").await, "ready\nlast words");
}

#[tokio::test]
async fn a_killed_shim_takes_its_container_along() {
    let host = Host::new();
    let mut running = host.start(host.script("both", "sleep 1000 & wait")).await;
    let pid = running.pid;
    kill(host.shim("both"));
    eventually("it dies though nobody looks", async || !is_alive(pid)).await;
    let record = within(running.wait()).await;
    assert_eq!((record.cause, record.started, record.attempt), (Cause::Lost, running.started, 1));
    assert!(within(host.containers.attach("both")).await.unwrap().is_none());
    assert_eq!(host.containers.exit_record("both").unwrap(), None);
    assert_eq!(host.run_launch(host.script("both", "true")).await.unwrap().cause, Cause::Code(0), "the next start works");
}

#[tokio::test]
async fn a_container_that_got_rid_of_the_tie_to_its_shim_is_ended_when_it_is_noticed() {
    let host = Host::new();
    // A change of the user clears the signal that a process gets at the death of its parent.
    let mut running = host.start(host.launch("loose", &["su", "web", "-c", "echo ready; sleep 1000"])).await;
    host.heard("loose", "ready").await;
    let shim = host.shim("loose");
    kill(shim);
    eventually("the shim is gone", async || !is_alive(shim)).await;
    assert!(within(host.another().attach("loose")).await.unwrap().is_none());
    assert!(!is_alive(running.pid));
    assert_eq!(within(running.wait()).await.cause, Cause::Lost);
}

#[tokio::test]
async fn a_step_of_a_daemon_that_is_gone_is_ended() {
    let host = Host::new();
    let role = Role::Step { index: 0, id: "slow".to_owned(), args: vec!["sleep".to_owned(), "1000".to_owned()] };
    let running = host.start(runtime::container::Launch { role, ..host.script("step", "true") }).await;
    assert!(within(host.another().attach("step")).await.unwrap().is_none());
    assert!(!is_alive(running.pid));
    drop(running);
    host.start(host.script("step", "true")).await;
}

#[tokio::test]
async fn the_shim_ignores_the_signals_of_a_terminal_and_of_an_init() {
    let host = Host::new();
    let running = host.start(host.script("firm", "sleep 1000")).await;
    let shim = rustix::process::Pid::from_raw(host.shim("firm") as i32).unwrap();
    for signal in [rustix::process::Signal::HUP, rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        rustix::process::kill_process(shim, signal).unwrap();
    }
    assert!(within(host.another().attach("firm")).await.unwrap().is_some());
    assert!(is_alive(running.pid));
}

#[tokio::test]
async fn a_shim_pins_no_mount_of_others_and_keeps_no_secrets_on_disk() {
    let host = Host::new();
    let mut launch = host.script("clean", "sleep 1000");
    launch.env.insert("PASSWORD".to_owned(), "hunter2-secret".to_owned());
    let running = host.start(launch).await;
    let namespace = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap();
    assert_eq!(namespace(host.shim("clean")), namespace(std::process::id()));
    assert_ne!(namespace(running.pid), namespace(std::process::id()));
    let inside = fs::read_to_string(format!("/proc/{}/mountinfo", running.pid)).unwrap();
    assert!(!inside.contains("nsfs"), "{inside}");

    let mut dirs = vec![host.config.run_dir.clone(), host.config.state_dir.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => dirs.push(entry.path()),
                kind if kind.is_file() => {
                    let content = fs::read(entry.path()).unwrap();
                    assert!(!String::from_utf8_lossy(&content).contains("hunter2"), "{}", entry.path().display());
                }
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn nobody_but_root_may_look_into_the_directories() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new();
    host.start(host.script("shut", "echo hi; sleep 1000")).await;
    host.heard("shut", "hi").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let config = &host.config;
    for dir in [
        &config.run_dir,
        &config.state_dir,
        &config.log_dir,
        &config.run_dir.join("shims/shut"),
        &config.log_dir.join("test/shut"),
    ] {
        assert_eq!(mode(dir), 0o700, "{}", dir.display());
    }
    for file in [
        config.run_dir.join("shims/shut/sock"),
        config.run_dir.join("shims/shut/lock"),
        config.log_dir.join("test/shut/current.log"),
    ] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[tokio::test]
async fn output_comes_in_order_and_a_flood_is_bounded() {
    let host = Host::new();
    let mut running = host.start(host.script("order", "seq 1 5000")).await;
    within(running.wait()).await;
    let expected: Vec<String> = (1..=5000).map(|number| number.to_string()).collect();
    assert_eq!(host.said("order").await, expected.join("\n"));

    let mut flood =
        host.start(host.script("flood", "yes 'a line of a flood that never ends' | head -c 30000000; echo; echo end")).await;
    let mut follow = Logs::new(&host.config.log_dir.join("test/flood")).follow(0).await.unwrap();
    assert_eq!(within(flood.wait()).await.cause, Cause::Code(0));
    assert_eq!(host.lines("flood").await.last().unwrap().text, "end", "the last words are there when the end is told");
    let files = fs::read_dir(host.config.log_dir.join("test/flood")).unwrap();
    let sizes: Vec<u64> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
    assert!(sizes.len() == 4 && sizes.iter().all(|size| *size <= 8 << 20), "{sizes:?}");
    within(async { while follow.next().await.unwrap().text != "end" {} }).await;
}

#[tokio::test]
async fn twenty_containers_start_at_once() {
    let host = Host::new();
    let begin = std::time::Instant::now();
    let starts = (0..20).map(|number| {
        let (containers, launch) = (host.containers.clone(), host.script(&format!("many-{number}"), "exec sleep 1000"));
        tokio::spawn(async move { containers.start(launch).await })
    });
    let mut pids = Vec::new();
    for start in starts.collect::<Vec<_>>() {
        pids.push(within(start).await.unwrap().unwrap().pid);
    }
    eprintln!("20 starts at once took {:?}", begin.elapsed());
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    assert_eq!(host.containers.list().await.unwrap().len(), 20);
}
