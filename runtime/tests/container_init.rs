//! Init steps, in a real root and network namespace. Needs root.

mod container_support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use container_support::{Host, eventually, is_alive, processes, within};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata};
use runtime::init::{Context, Failure, Outcome, run_steps};
use runtime::netns;
use spec::manifest::Step;

/// Reads a step as a manifest has it, and runs it.
async fn run(host: &Host, steps: &[serde_json::Value]) -> Outcome {
    let steps: Vec<Step> = steps.iter().map(|step| serde_json::from_value(step.clone()).unwrap()).collect();
    let context = Context { containers: host.containers.clone(), launch: host.script("replica", "true") };
    within(run_steps(&context, &steps, |_, _| {})).await
}

fn step(id: &str, uses: &str, with: serde_json::Value) -> serde_json::Value {
    let mut step = serde_json::json!({ "id": id, "uses": uses, "timeout": "2s" });
    step["with"] = with;
    step
}

fn shell(id: &str, script: &str) -> serde_json::Value {
    step(id, "init.run", serde_json::json!({ "command": script }))
}

fn failure(outcome: &Outcome) -> String {
    outcome.failure.as_ref().map(|Failure { id, message }| format!("{id}: {message}")).unwrap_or_default()
}

/// Answers each connection in the namespace with `answer`, without end; returns the port.
fn serve(host: &Host, answer: &'static str) -> u16 {
    let listener = netns::enter(&host.netns(), || TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

/// Makes the gateway an address of the namespace itself, and answers for names there: `db.global` has an address from the
/// second question on, `slow.global` when its first question was lost.
fn name_server(host: &Host) {
    let add = ["addr", "add", "169.254.1.1/32", "dev", "lo"];
    let netns = format!("--net={}", host.netns().display());
    assert!(Command::new("nsenter").arg(netns).arg("ip").args(add).status().unwrap().success());
    let socket = netns::enter(&host.netns(), || UdpSocket::bind(("169.254.1.1", 53))).unwrap();
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        for count in 0.. {
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            let question = Message::from_vec(&packet[..length]).unwrap();
            let name = question.queries[0].name().clone();
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.add_query(question.queries[0].clone());
            match name.to_ascii().as_str() {
                "slow.global." if count == 0 => continue,
                "db.global." | "slow.global." if count > 0 => {
                    answer.add_answer(Record::from_rdata(name, 1, RData::A(rdata::A(Ipv4Addr::LOCALHOST))));
                }
                _ => answer.metadata.response_code = ResponseCode::NXDomain,
            }
            // One that is for another question comes first: it must be passed over.
            let mut forged = answer.clone();
            forged.metadata.id = forged.metadata.id.wrapping_add(1);
            forged.answers.clear();
            socket.send_to(&forged.to_vec().unwrap(), from).unwrap();
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
}

#[tokio::test]
async fn steps_run_in_order_in_the_replicas_own_root() {
    let host = Host::new();
    let mut begun = Vec::new();
    let steps = [
        shell("text", "echo one > /file; echo made"),
        step("list", "init.run", serde_json::json!({ "command": ["cat", "/file"] })),
    ];
    let steps: Vec<Step> = steps.into_iter().map(|step| serde_json::from_value(step).unwrap()).collect();
    let context = Context { containers: host.containers.clone(), launch: host.script("replica", "cat /file") };
    let outcome = within(run_steps(&context, &steps, |index, id| begun.push((index, id.to_owned())))).await;
    assert_eq!(outcome, Outcome::default());
    assert_eq!(begun, [(0, "text".to_owned()), (1, "list".to_owned())]);
    let said: Vec<String> = host.lines("replica").await.iter().map(|line| format!("{} {}", line.source, line.text)).collect();
    assert_eq!(said, ["init:text made", "init:list one"]);
}

#[tokio::test]
async fn a_step_that_fails_ends_it_unless_it_was_told_otherwise() {
    let host = Host::new();
    let mut warn = shell("warned", "exit 3");
    warn["on_failure"] = "warn".into();
    let mut go_on = shell("passed-over", "exit 4");
    go_on["on_failure"] = "continue".into();
    let outcome = run(&host, &[warn, go_on, shell("fatal", "exit 5"), shell("never", "touch /never")]).await;
    assert_eq!(outcome.warnings, ["warned: it exited with code 3", "passed-over: it exited with code 4"]);
    assert_eq!(failure(&outcome), "fatal: it exited with code 5");
    assert!(!host.config.state_dir.join("replica/upper/never").exists());
}

#[tokio::test]
async fn a_step_is_tried_again_as_often_as_it_says() {
    let host = Host::new();
    let mut twice = shell("twice", "echo try >> /tries; test $(wc -l < /tries) -ge 2");
    twice["retry"] = 1.into();
    assert_eq!(run(&host, &[twice]).await, Outcome::default());
    assert_eq!(fs::read_to_string(host.config.state_dir.join("replica/upper/tries")).unwrap(), "try\ntry\n");
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_killed() {
    let host = Host::new();
    let mut slow = shell("slow", "sleep 1000");
    slow["timeout"] = "200ms".into();
    assert_eq!(failure(&run(&host, &[slow]).await), "slow: not done within 200ms");
    assert_eq!(run(&host, &[shell("next", "true")]).await, Outcome::default(), "its place is free at once");
}

#[tokio::test]
async fn giving_up_ends_the_step_that_runs() {
    let host = Host::new();
    let steps: [Step; 1] = [serde_json::from_value(shell("long", "echo begun; exec sleep 12345")).unwrap()];
    let context = Context { containers: host.containers.clone(), launch: host.script("replica", "true") };
    let task = tokio::spawn(async move { run_steps(&context, &steps, |_, _| {}).await });
    host.heard("replica", "begun").await;
    let groups = host.cgroups("replica");
    let procs = fs::read_to_string(groups[0].join("cgroup.procs")).unwrap();
    let pids: Vec<u32> = procs.lines().map(|pid| pid.parse().unwrap()).collect();
    assert!(!pids.is_empty() && pids.iter().all(|pid| processes().contains(pid)));
    task.abort();
    eventually("the step is gone", async || !pids.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test]
async fn a_text_needs_a_shell_and_a_list_does_not() {
    let host = Host::new();
    fs::remove_file(host.image().join("bin/sh")).unwrap();
    insta::assert_snapshot!(failure(&run(&host, &[shell("text", "true")]).await), @"text: the image has no /bin/sh to run a text with; give the command as a list: exec: no such file: /bin/sh");
    let list = step("list", "init.run", serde_json::json!({ "command": ["true"] }));
    assert_eq!(run(&host, &[list]).await, Outcome::default());
}

#[tokio::test]
async fn a_port_is_waited_for() {
    let host = Host::new();
    let port = serve(&host, "");
    let wait = |port: u16| step("db", "init.wait_tcp", serde_json::json!({ "host": "localhost", "port": port }));
    assert_eq!(run(&host, &[wait(port)]).await, Outcome::default());
    let begin = Instant::now();
    insta::assert_snapshot!(failure(&run(&host, &[wait(1)]).await), @"db: localhost:1 does not answer: not within 2s: connect to 127.0.0.1:1: Connection refused (os error 111)");
    assert!(begin.elapsed() >= Duration::from_secs(2));
    // One that is opened later.
    let netns = host.netns();
    let opened = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        netns::enter(&netns, || TcpListener::bind((Ipv4Addr::LOCALHOST, 7777))).unwrap()
    });
    assert_eq!(run(&host, &[wait(7777)]).await, Outcome::default());
    opened.join().unwrap();
}

#[tokio::test]
async fn names_are_asked_of_the_nodes_own_server() {
    let host = Host::new();
    name_server(&host);
    let port = serve(&host, "");
    let wait = |name: &str| step("db", "init.wait_tcp", serde_json::json!({ "host": name, "port": port }));
    assert_eq!(run(&host, &[wait("db.global")]).await, Outcome::default());
    insta::assert_snapshot!(failure(&run(&host, &[wait("nobody.global")]).await).replace(&port.to_string(), "PORT"), @"db: nobody.global:PORT does not answer: not within 2s: look up nobody.global: it has no address");
}

#[tokio::test]
async fn a_lost_question_is_asked_again() {
    let host = Host::new();
    name_server(&host);
    let port = serve(&host, "");
    let mut wait = step("db", "init.wait_tcp", serde_json::json!({ "host": "slow.global", "port": port }));
    wait["timeout"] = "20s".into();
    assert_eq!(run(&host, &[wait]).await, Outcome::default());
}

#[tokio::test]
async fn a_url_is_waited_for() {
    let host = Host::new();
    let good = serve(&host, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let bad = serve(&host, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    let wait = |port: u16, expect: Option<u16>| {
        let url = format!("http://127.0.0.1:{port}/ready");
        step("web", "init.wait_http", serde_json::json!({ "url": url, "expect_status": expect }))
    };
    assert_eq!(run(&host, &[wait(good, None), wait(bad, Some(503))]).await, Outcome::default());
    insta::assert_snapshot!(failure(&run(&host, &[wait(bad, None)]).await).replace(&bad.to_string(), "PORT"), @"web: http://127.0.0.1:PORT/ready does not answer as it should: not within 2s: GET /ready: status 503");
}
