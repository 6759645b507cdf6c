//! A deployment that changes: what `up` and `apply` wait for, and what a node finds again. Needs root.

use std::net::{Ipv4Addr, TcpListener};

use tests::server::Server;
use tests::until;

fn web(port: u16) -> String {
    format!(
        "version: v1\ndeployment: d\nservices:\n  web:\n    image: {{name: hello, pull_policy: never}}\n    command: {{args: [greeter]}}\n    \
         endpoints: [{{name: http, protocol: http, port: {port}, target: 8080, expose: public}}]\n"
    )
}

#[test]
fn a_port_that_changes_is_up_only_once_it_is_served() {
    let server = Server::new();
    server.up(&web(8080)).good();
    let pids = server.pids();
    let other = server.namespace.run(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 9090)).expect("the port is free"));
    let answer = server.up(&web(9090)).bad();
    assert!(answer.contains("port 9090 cannot be used"), "{answer}");
    drop(other);
    server.page(9090, "/");
    server.up(&web(9091)).good();
    assert_eq!(server.get(9091, "/").expect("it is served at once").0, 200);
    assert_eq!(server.pids(), pids, "no container was restarted for it");
}

#[test]
fn what_is_said_right_after_a_delete_waits_for_it() {
    let server = Server::new();
    server.up(&web(8080)).good();
    let old = server.pids();
    server.stead(&["delete", "d", "--detach"]).good();
    let answer = server.stead(&["apply", &server.manifest(&web(8080))]).good();
    assert!(answer.contains("applied"), "{answer}");
    server.up(&web(8080)).good();
    assert_ne!(server.pids(), old);
}

#[test]
fn an_image_that_was_lost_while_the_node_was_down_is_fetched_again() {
    let mut server = Server::new();
    server.up(&web(8080)).good();
    let pids = server.pids();
    server.kill();
    std::fs::remove_dir_all(server.data().join("images")).expect("it can be removed");
    server.start();
    let present = |server: &Server| server.objects("image").values().all(|image| !image["status"]["config"].is_null());
    assert!(!present(&server), "it is known to be missing");
    assert_eq!(server.pids(), pids, "what runs goes on");
    server.load(tests::program::hello_archive());
    until("the image is there again", || present(&server));
}
