//! The process outlives the daemon, and the tables outlive the process.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use proxy::{DataPlane, Error};
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{Backend, Client, Load, PORT, Rig, config, eventually, helper, tables, web};

fn kill(pid: u32) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_has_no_privileges_and_a_session_of_its_own() {
    let rig = Rig::start().await;
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", rig.pid())).unwrap();
    let status = read("status");
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let none = "0000000000000000";
    for (name, value) in [
        ("Uid", "65534 65534 65534 65534"),
        ("Gid", "65534 65534 65534 65534"),
        ("Groups", ""),
        ("CapEff", none),
        ("CapPrm", none),
        ("CapInh", none),
        ("CapBnd", none),
        ("CapAmb", none),
        ("NoNewPrivs", "1"),
        ("Umask", "0077"),
    ] {
        assert_eq!(field(name), value, "{name}");
    }
    let files = read("limits").lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    let files: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(files[3], files[4]);
    let stat = read("stat");
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    assert_eq!(session, rig.pid().to_string());
    assert_eq!(std::fs::read_link(format!("/proc/{}/cwd", rig.pid())).unwrap().to_str(), Some("/"));
    assert_eq!(read("environ"), "");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_goes_and_comes_back_costs_no_request() {
    let backend = Backend::echo("web").await;
    let mut rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let (pid, generation) = (rig.pid(), rig.plane().status().borrow().generation);
    let load = Load::start(rig.address(PORT), 4, 20);
    for _ in 0..10 {
        rig.reopen().await;
        assert_eq!(rig.pid(), pid);
        rig.plane().set(&web(&[backend.address])).await.unwrap();
        // The same tables are not sent again.
        assert_eq!(rig.plane().status().borrow().generation, generation);
        load.more(20).await;
    }
    let other = Backend::echo("other").await;
    rig.reopen().await;
    rig.plane().set(&web(&[other.address])).await.unwrap();
    assert_eq!(rig.plane().status().borrow().generation, generation + 1);
    assert_eq!(rig.client().await.get("/").await.first_line(), "other GET / 0");
    load.stop().await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_daemon_leaves_the_data_plane_serving_and_the_next_one_finds_it() {
    let backend = Backend::echo("web").await;
    let (host, directory) = (crate::kit::own_address(), tempfile::tempdir().unwrap());
    let config = config(host, directory.path().join("run"));
    let start = || {
        let mut daemon = Command::new(helper())
            .arg("daemon")
            .arg(&config.control)
            .args([PORT.to_string(), backend.address.to_string(), config.dns.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid: u32 = line.trim().strip_prefix("serving ").unwrap().parse().unwrap();
        (daemon, pid)
    };
    let (mut daemon, pid) = start();
    let load = Load::start((host, PORT).into(), 4, 20);
    for _ in 0..5 {
        daemon.kill().unwrap();
        daemon.wait().unwrap();
        load.more(20).await;
        let next = start();
        daemon = next.0;
        assert_eq!(next.1, pid);
    }
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    load.stop().await;
    let plane = DataPlane::open(config).await.unwrap();
    assert_eq!(plane.status().borrow().pid, Some(pid));
    plane.shut_down().await.unwrap();
    assert!(!std::path::Path::new(&format!("/proc/{pid}/exe")).exists() || is_zombie(pid));
}

fn is_zombie(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_data_plane_comes_back_with_its_last_tables_and_refuses_no_connection() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    for restarts in 1..=3 {
        let pid = rig.pid();
        kill(pid);
        // The daemon holds the listening socket too: this connection waits until the next process accepts it.
        let mut client = rig.client().await;
        assert_eq!(client.get("/").await.first_line(), "web GET / 0");
        eventually("the new process is known", async || rig.plane().status().borrow().restarts == restarts).await;
        assert_ne!(rig.pid(), pid);
    }
    rig.plane().set(&web(&[])).await.unwrap();
    assert_eq!(rig.client().await.get("/").await.status, 503);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_data_plane_comes_back_under_a_daemon_that_only_found_it() {
    let backend = Backend::echo("web").await;
    let mut rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    rig.reopen().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    kill(rig.pid());
    assert_eq!(rig.client().await.get("/").await.first_line(), "web GET / 0");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_another_program_holds_is_reported_and_taken_once_it_is_free() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    let holder = std::net::TcpListener::bind(rig.address(8082)).unwrap();
    let wanted = tables(&[("shop/web/http", PORT, "/", &[backend.address]), ("shop/web/admin", 8082, "/", &[backend.address])]);
    let applied = rig.plane().set(&wanted).await.unwrap();
    let reason = &applied.failed[&8082];
    assert_eq!(applied.failed.len(), 1);
    let me = format!("(process {})", std::process::id());
    assert!(reason.starts_with("tcp port 8082 is in use by ") && reason.ends_with(&me), "{reason}");
    assert_eq!(rig.client().await.get("/").await.status, 200);

    drop(holder);
    let mut status = rig.plane().status();
    tokio::time::timeout(crate::kit::PATIENCE, status.wait_for(|status| status.failed.is_empty())).await.unwrap().unwrap();
    assert_eq!(Client::connect(rig.address(8082)).await.get("/").await.status, 200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_is_free_again_once_its_last_route_is_gone() {
    let backend = Backend::echo("web").await;
    let rig = Rig::start().await;
    for _ in 0..5 {
        rig.plane().set(&web(&[backend.address])).await.unwrap();
        assert_eq!(rig.client().await.get("/").await.status, 200);
        rig.plane().set(&tables(&[])).await.unwrap();
        drop(std::net::TcpListener::bind(rig.address(PORT)).unwrap());
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_table_fail_no_request() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await, Backend::echo("c").await];
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let rig = Rig::start().await;
    rig.plane().set(&web(&addresses)).await.unwrap();
    let load = Load::start(rig.address(PORT), 8, 50);
    for round in 0..150 {
        let mut some = addresses.clone();
        some.remove(round % 3);
        let mut wanted = web(&some);
        // Other ports come and go beside it.
        if round % 2 == 0 {
            wanted.routes.extend(tables(&[("shop/other/http", 8083, "/", &addresses)]).routes);
        }
        rig.plane().set(&wanted).await.unwrap();
        load.more(4).await;
    }
    let answered = load.stop().await;
    let figures = rig.plane().figures().await.unwrap();
    assert_eq!(figures.routes["shop/web/http"].requests, answered);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_ports_are_served_and_handed_back() {
    let backend = Backend::echo("web").await;
    let mut rig = Rig::start().await;
    let names: Vec<String> = (0..300).map(|number| format!("shop/s{number}/http")).collect();
    let backends = [backend.address];
    let routes: Vec<_> = names.iter().zip(9000..).map(|(name, port)| (name.as_str(), port, "/", &backends[..])).collect();
    let wanted = tables(&routes);
    assert!(rig.plane().set(&wanted).await.unwrap().failed.is_empty());
    rig.reopen().await;
    assert!(rig.plane().set(&wanted).await.unwrap().failed.is_empty());
    kill(rig.pid());
    for port in [9000, 9128, 9256, 9299] {
        assert_eq!(Client::connect(rig.address(port)).await.get("/").await.status, 200);
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_lets_requests_in_flight_finish() {
    let (release, gate) = tokio::sync::watch::channel(false);
    let backend = Backend::start(move |_| {
        let mut gate = gate.clone();
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            hyper::Response::new(http_body_util::Full::new(bytes::Bytes::from("done\n")))
        }
    })
    .await;
    let rig = Rig::start().await;
    rig.plane().set(&web(&[backend.address])).await.unwrap();
    let (mut idle, mut client) = (rig.client().await, rig.client().await);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    eventually("the request is in flight", async || rig.plane().figures().await.unwrap().routes["shop/web/http"].requests == 1)
        .await;
    let plane = rig.plane().clone();
    let ending = tokio::spawn(async move { plane.shut_down().await });
    assert_eq!(idle.rest().await, "");
    release.send(true).unwrap();
    let reply = client.reply().await;
    assert_eq!((reply.body.as_str(), reply.header("connection")), ("done\n", "close"));
    ending.await.unwrap().unwrap();
    assert!(matches!(rig.plane().set(&web(&[])).await, Err(Error::ShutDown)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_data_plane_is_an_error_that_names_it() {
    let (host, directory) = (crate::kit::own_address(), tempfile::tempdir().unwrap());
    let mut config = config(host, directory.path().join("run"));
    config.args = vec!["nonsense".into()];
    let error = DataPlane::open(config.clone()).await.unwrap_err();
    assert!(matches!(&error, Error::Stillborn { program } if *program == config.program), "{error}");
    config.program = "/nonexistent".into();
    let error = DataPlane::open(config).await.unwrap_err();
    assert_eq!(error.to_string(), "starting the data plane /nonexistent");
}
