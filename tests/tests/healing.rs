//! What is broken by hand is put right, and nothing else is touched. Needs root.

use tests::server::Server;
use tests::{eventually, host, until};

const HELLO: &str = include_str!("../../examples/hello.yaml");

/// Pids of all containers but `replica`'s.
fn others(server: &Server, replica: &str) -> Vec<(String, u32)> {
    server.pids().into_iter().filter(|(name, _)| name != replica).collect()
}

#[test]
fn a_killed_process_a_removed_veth_and_a_deleted_table_are_put_right_alone() {
    let server = Server::new();
    server.up(HELLO).good();
    let web = "hello/web/0";
    let neighbours = others(&server, web);
    let pid = server.pids()[web];

    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
    let fresh = eventually("the killed container runs again", || server.pids().get(web).copied().filter(|new| *new != pid));
    assert_eq!(others(&server, web), neighbours, "its neighbours run on");
    let containers = server.objects("container");
    assert_eq!(containers[web]["status"]["exits"][0]["cause"]["signal"], "SIGKILL");

    let all = server.pids();
    assert_eq!(all[web], fresh);
    let link = containers[web]["spec"]["link"]["host_name"].as_str().unwrap().to_owned();
    server.namespace.shell(&format!("ip link delete {link}"));
    until("the veth is back", || server.namespace.links_and_tables().0.contains(&link));
    let address = containers[web]["spec"]["link"]["addresses"][0]["address"].as_str().unwrap().to_owned();
    until("its replica answers by its address again", || {
        let address = format!("{address}:8080").parse().unwrap();
        server.namespace.run(move || tests::http::get(address, "/healthz")).is_ok_and(|(status, _)| status == 200)
    });
    assert_eq!(server.pids(), all, "no process was restarted for it");

    let before = server.namespace.shell("nft list ruleset");
    let (_, tables) = server.namespace.links_and_tables();
    let table = tables.iter().find(|table| table.contains("stead-")).expect("the node's table");
    server.namespace.shell(&format!("nft delete {table}"));
    until("the packet filter is back", || {
        let now = server.namespace.shell("nft list ruleset");
        now.matches("@links").count() == before.matches("@links").count() && now.contains(&link)
    });
    assert_eq!(server.pids(), all);
    server.page(8080, "/");
}

#[test]
fn a_root_unmounted_by_hand_harms_nobody_and_is_there_again_at_the_next_start() {
    let server = Server::new();
    server.up(HELLO).good();
    let web = "hello/web/0";
    let neighbours = others(&server, web);
    let pid = server.pids()[web];
    let shim = host::parent(pid);
    // The root is mounted nowhere but in the namespace of its shim and in the container itself.
    let mounts = std::fs::read_to_string(format!("/proc/{shim}/mountinfo")).unwrap();
    let roots: Vec<_> =
        mounts.lines().filter(|line| line.contains(" - overlay ")).filter_map(|line| line.split(' ').nth(4)).collect();
    for root in &roots {
        server.namespace.shell(&format!("nsenter --mount --target {shim} umount --lazy {root}"));
    }
    server.page(8080, "/");
    assert_eq!(server.pids()[web], pid, "the container runs on");

    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
    eventually("it starts again, from its root", || server.pids().get(web).copied().filter(|new| *new != pid));
    assert_eq!(others(&server, web), neighbours);
    until("it serves again", || (0..4).any(|_| server.page(8080, "/").contains("web-0")));
}

#[test]
fn a_shim_killed_takes_its_container_along_and_both_come_back() {
    let server = Server::new();
    server.up(HELLO).good();
    let web = "hello/web/0";
    let pid = server.pids()[web];
    let neighbours = others(&server, web);
    let shim = rustix::process::Pid::from_raw(host::parent(pid) as i32).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::KILL).unwrap();
    until("the container is gone", || !std::path::Path::new(&format!("/proc/{pid}/root/hello")).exists());
    eventually("it runs again", || server.pids().get(web).copied().filter(|new| *new != pid));
    assert_eq!(others(&server, web), neighbours);
}

#[test]
fn a_data_plane_killed_is_back_at_once_with_its_table() {
    let server = Server::new();
    server.up(HELLO).good();
    let all = server.pids();
    let old = data_plane(&server);
    rustix::process::kill_process(rustix::process::Pid::from_raw(old as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
    server.page(8080, "/");
    assert_ne!(data_plane(&server), old);
    assert_eq!(server.pids(), all);
}

fn data_plane(server: &Server) -> u32 {
    eventually("there is a data plane", || {
        let processes = server.processes();
        let line = processes.iter().find(|line| line.contains("__data-plane"))?;
        line.split(' ').next()?.parse().ok()
    })
}
