//! A deployment from its manifest to its end, on a real node. Needs root.

use std::collections::BTreeSet;

use tests::host::Traces;
use tests::server::Server;

const HELLO: &str = include_str!("../../examples/hello.yaml");

#[test]
fn hello_comes_up_serves_from_every_replica_and_leaves_nothing_behind() {
    let mut server = Server::new();
    let before = server.traces();
    let state_before = server.state_files();

    let said = server.up(HELLO).good();
    assert!(said.contains("hello is up after"), "{said}");
    let pages: BTreeSet<String> = (0..8).map(|_| server.page(8080, "/")).collect();
    for replica in ["web-0", "web-1"] {
        assert!(pages.iter().any(|page| page.contains(&format!("Hello from {replica}, greeted by greeter-"))), "{pages:?}");
    }
    assert_eq!(server.get(8080, "/healthz").unwrap().0, 200);
    let logs = server.stead(&["logs", "web"]).good();
    assert!(logs.contains("web/0") && logs.contains("listens on port 8080"), "{logs}");
    let there = server.traces();
    assert_eq!(there.links.len(), before.links.len() + 4);
    assert!(
        there.mounts.iter().all(|mount| mount.contains("/netns")),
        "no container's root is mounted on the host: {:?}",
        there.mounts
    );

    let again = server.up(HELLO).good();
    assert!(again.contains("hello is up after"), "{again}");
    assert!(server.stead(&["apply", &server.manifest(HELLO)]).good().contains("unchanged"));

    server.stead(&["delete", "hello"]).good();
    assert!(server.get(8080, "/").is_err(), "the port is closed");
    // What all containers share stays until the daemon ends.
    let shared = server.traces().control_groups;
    assert_eq!(server.traces(), Traces { control_groups: shared.clone(), ..before }, "after the delete");
    assert!(shared.iter().all(|group| tests::host::children(group).is_empty()), "{shared:?}");
    assert_eq!(server.state_files(), state_before);

    server.stop();
    assert_eq!(server.traces(), Traces::default(), "after the stop");
}

#[test]
fn an_update_replaces_replicas_one_by_one_and_scaling_restarts_none() {
    let server = Server::new();
    server.up(HELLO).good();
    let before = server.pids();
    let larger = HELLO.replacen("replicas: 2", "replicas: 3", 1);
    server.up(&larger).good();
    let scaled = server.pids();
    assert_eq!(scaled.len(), 5);
    assert!(before.iter().all(|(replica, pid)| scaled.get(replica) == Some(pid)), "{before:?} became {scaled:?}");

    let changed = larger.replace("args: [web]", "args: [web]\n    env: {NEW: \"1\"}");
    server.up(&changed).good();
    let updated = server.pids();
    assert_eq!(updated.len(), 5);
    assert!(updated.iter().all(|(replica, pid)| !replica.contains("/web/") || !scaled.values().any(|old| old == pid)));
    assert!(updated.iter().all(|(replica, pid)| replica.contains("/web/") || scaled.get(replica) == Some(pid)), "greeters stay");
    server.page(8080, "/");
}

#[test]
fn two_deployments_share_a_port_by_path_and_a_clash_is_told_before_anything_changes() {
    let server = Server::new();
    let one = |name: &str, path: &str| {
        format!(
            "version: v1\ndeployment: {name}\nservices:\n  web:\n    image: {{name: 'hello:latest'}}\n    command: {{args: [greeter]}}\n    \
             endpoints: [{{name: e, protocol: http, port: 8080, path: {path}, expose: public}}]\n"
        )
    };
    server.up(&one("a", "/healthz")).good();
    assert_eq!(server.get(8080, "/").unwrap().0, 404, "nothing has this path yet");
    server.up(&one("b", "/")).good();
    assert!(server.page(8080, "/").contains("web-0"));
    let refused = server.up(&one("c", "/healthz/")).bad();
    let named = "port 8080 with path /healthz is already taken by endpoint `e` of service `web` in deployment `a`";
    assert!(refused.contains(named), "{refused}");
    assert_eq!(server.objects("deployment").len(), 2);
    server.stead(&["delete", "b"]).good();
    server.page(8080, "/healthz");
    assert_eq!(server.get(8080, "/").unwrap().0, 404);
}
