//! The daemon is killed, and nothing is lost, doubled or dropped. Needs root.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tests::server::Server;
use tests::simulator::Random;
use tests::{http, until};

const HELLO: &str = include_str!("../../examples/hello.yaml");

fn twenty(version: usize) -> String {
    format!(
        "version: v1\ndeployment: many\nservices:\n  web:\n    image: {{name: 'hello:latest'}}\n    command: {{args: [greeter]}}\n    \
         env: {{VERSION: 'v{version}'}}\n    endpoints: [{{name: e, protocol: http, port: 8080, expose: public}}]\n    \
         scale: {{mode: fixed, replicas: 20}}\n"
    )
}

/// `STEAD_KILLS` says how many times; a soak says more than a test.
fn kills() -> usize {
    std::env::var("STEAD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10)
}

#[test]
fn killed_at_any_moment_of_an_apply_it_ends_in_the_desired_state_with_nothing_restarted_or_orphaned() {
    let mut server = Server::new();
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    println!("seed {seed}");
    let mut random = Random::new(seed);
    for round in 0..kills() {
        let manifest = server.manifest(&twenty(round));
        server.stead(&["apply", &manifest]).good();
        std::thread::sleep(Duration::from_millis(random.below(1500)));
        let before = server.pids();
        server.kill();
        let running: BTreeSet<u32> = before.values().copied().filter(|pid| is_alive(*pid)).collect();
        server.start();
        server.stead(&["up", "--timeout", "60s", &manifest]).good();

        let replicas = server.objects("replica");
        assert_eq!(replicas.len(), 20, "round {round}");
        let containers = server.objects("container");
        assert!(
            containers.values().all(|object| object["status"]["exits"].as_array().is_some_and(Vec::is_empty)),
            "round {round}: {containers:#?}"
        );
        let pids = server.pids();
        assert_eq!(pids.len(), 20);
        assert_eq!(server.traces().links.len(), 20, "no link is orphaned");
        let shims = server.traces().processes.iter().filter(|line| line.contains("__shim")).count();
        assert_eq!(shims, 20, "no shim is orphaned");
        // Those of the new version that ran at the kill still run.
        for (replica, pid) in &before {
            if running.contains(pid) && containers.contains_key(replica) && pids.get(replica) != Some(pid) {
                assert!(!is_alive(*pid), "round {round}: {replica} runs twice");
            }
        }
        if round % 4 == 3 {
            server.stead(&["delete", "many"]).good();
        }
    }
}

fn is_alive(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn traffic_goes_on_without_the_daemon_and_no_request_fails() {
    let mut server = Server::new();
    server.up(HELLO).good();
    let pids = server.pids();
    let load = Load::start(&server, 4);
    for _ in 0..3 {
        server.kill();
        load.for_another(50);
        server.start();
        load.for_another(50);
    }
    let (served, failures) = load.stop();
    assert!(failures.is_empty(), "{} of {served} requests failed: {failures:?}", failures.len());
    assert_eq!(server.pids(), pids, "no container was restarted");
    // The new daemon drives, too.
    server.up(&HELLO.replacen("replicas: 2", "replicas: 3", 1)).good();
    assert_eq!(server.pids().len(), 5);
}

/// Clients that ask without a pause.
struct Load {
    served: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
    clients: Vec<std::thread::JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(server: &Server, clients: usize) -> Load {
        let (served, ending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let client = |_| {
            let (namespace, served, ending) = (server.namespace.clone(), served.clone(), ending.clone());
            std::thread::spawn(move || namespace.run(move || ask(&served, &ending)))
        };
        Load { clients: (0..clients).map(client).collect(), served, ending }
    }

    /// Waits until that many more requests were served.
    fn for_another(&self, count: u64) {
        let goal = self.served.load(Ordering::SeqCst) + count;
        until("requests are served", || self.served.load(Ordering::SeqCst) >= goal);
    }

    fn stop(self) -> (u64, Vec<String>) {
        self.ending.store(true, Ordering::SeqCst);
        let failures = self.clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect();
        (self.served.load(Ordering::SeqCst), failures)
    }
}

fn ask(served: &AtomicU64, ending: &AtomicBool) -> Vec<String> {
    let mut failures = Vec::new();
    let started = Instant::now();
    while !ending.load(Ordering::SeqCst) && started.elapsed() < tests::PATIENCE * 2 {
        match http::get(([127, 0, 0, 1], 8080).into(), "/") {
            Ok((200, _)) => {
                served.fetch_add(1, Ordering::SeqCst);
            }
            Ok((status, body)) => failures.push(format!("{status}: {body}")),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}
