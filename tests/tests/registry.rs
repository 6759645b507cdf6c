//! A real program from a real registry: Debian's nginx, by Debian's docker-registry. Needs root, and for the first run apt's mirror.

use std::collections::BTreeSet;

use tests::registry::Registry;
use tests::server::Server;
use tests::{eventually, images, until};

fn manifest(deployment: &str, image: &str, policy: &str, port: u16) -> String {
    format!(
        "version: v1\ndeployment: {deployment}\nservices:\n  web:\n    image: {{name: '{image}', pull_policy: {policy}}}\n    \
         endpoints: [{{name: http, protocol: http, port: {port}, target: 80, expose: public}}]\n    \
         scale: {{mode: fixed, replicas: 2}}\n"
    )
}

/// Applies a manifest and waits until it serves: a whole Debian takes an unoptimised build its time to unpack.
fn up(server: &Server, text: &str) -> String {
    server.stead(&["up", "--timeout", "3m", &server.manifest(text)]).good()
}

/// The names that the replicas behind a port answer with.
fn names(server: &Server, port: u16) -> BTreeSet<String> {
    (0..8).map(|_| server.page(port, "/").trim().to_owned()).collect()
}

#[test]
fn nginx_from_a_registry_serves_from_both_replicas_and_needs_the_registry_once() {
    let server = Server::new();
    let registry = Registry::start(&server);
    let image = registry.push(&server, images::nginx(), "debian/nginx:1");
    let before = registry.asked(&server).len();

    up(&server, &manifest("shop", &image, "if_not_present", 8080));
    assert_eq!(names(&server, 8080), ["web-0", "web-1"].map(str::to_owned).into());
    let logs = server.stead(&["logs", "shop/web"]).good();
    assert!(logs.contains("\"GET / HTTP/1.1\" 200") && logs.contains("start worker process"), "{logs}");
    let pulled = registry.asked(&server).split_off(before);
    let blobs: Vec<_> = pulled.iter().filter(|path| path.contains("/blobs/")).collect();
    let layers = blobs.iter().collect::<BTreeSet<_>>().len();
    assert_eq!((layers, blobs.len()), (2, 2), "configuration and layer, each once for both replicas: {pulled:?}");

    // The same image again: nothing is asked for. When told to ask, it asks which image the name means, and fetches none.
    up(&server, &manifest("again", &image, "if_not_present", 8081));
    assert_eq!(names(&server, 8081).len(), 2);
    assert_eq!(registry.asked(&server).split_off(before), pulled);
    up(&server, &manifest("always", &image, "always", 8082));
    let asked = registry.asked(&server).split_off(before + pulled.len());
    assert!(!asked.is_empty() && asked.iter().all(|path| path.contains("/manifests/")), "{asked:?}");

    drop(registry);
    assert!(server.get(5000, "/v2/").is_err(), "the registry is gone");
    let replica = "shop/web/0";
    let pid = server.pids()[replica];
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
    eventually("it starts again without the registry", || server.pids().get(replica).copied().filter(|new| *new != pid));
    until("both serve again", || names(&server, 8080).len() == 2);
    up(&server, &manifest("shop", &image, "if_not_present", 8080).replace("replicas: 2", "replicas: 3"));
    assert_eq!(names(&server, 8080).len(), 3, "there is a third without the registry");
}

#[test]
fn a_tag_that_the_registry_does_not_have_fails_at_once_with_its_answer() {
    let server = Server::new();
    let registry = Registry::start(&server);
    let image = registry.push(&server, images::nginx(), "debian/nginx:1").replace(":1", ":none");
    let said = server.up(&manifest("shop", &image, "if_not_present", 8080)).bad();
    assert!(said.contains("no such image") && said.contains("/v2/debian/nginx/manifests/none"), "{said}");
}
