//! What people get wrong, and what they are told. Needs root.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use api::Client;
use api::wire::{Query, Reason};
use tests::host::Traces;
use tests::server::Server;
use tests::{images, program, until};

/// A deployment of one service, `web`, of the busybox image.
fn busybox(fields: &str) -> String {
    format!("version: v1\ndeployment: d\nservices:\n  web:\n    image: {{name: 'busybox:latest'}}\n{fields}\n")
}

fn with_busybox() -> Server {
    let server = Server::new();
    server.load(images::busybox());
    server
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is not said:\n{said}");
    }
}

#[test]
fn all_mistakes_of_a_manifest_are_told_at_once_with_their_places_and_nothing_is_applied() {
    let server = Server::new();
    let good = "version: v1\ndeployment: d\nservices:\n  web:\n    image: {name: 'hello:latest'}\n";
    let bad = format!(
        "{good}    scale: {{mode: fixed, replicas: 1000}}\n    command: {{workdir: srv}}\n    endpoints:\n      \
         - {{name: e, protocol: tcp, port: 0, expose: public}}\n"
    );
    let file = server.manifest(&bad);
    for command in ["up", "apply", "plan"] {
        let said = server.stead(&[command, &file]).bad();
        let at = |place: &str| format!("--> {file}:{place}\n");
        assert_says(
            &said,
            &[
                "error[limit]: 1000 replicas are more than the 400 that one service may have",
                &at("6:36"),
                "error[bad_value]: `srv` is not an absolute path",
                &at("7:24"),
                "error[bad_value]: `0` is not a port from 1 to 65535",
                &at("9:40"),
                &format!("error: {file}: 3 errors; nothing was applied\n"),
            ],
        );
        assert_eq!(said.matches("--> ").count(), 3, "{said}");
    }
    for (line, mistake) in [
        ("6:5", "    imge: {name: x}"),
        ("6:5", "    image: {name: y}"),
        ("6:22", "    command: {args: [8080]}"),
        ("6:25", "    resources: {memory: lots}"),
    ] {
        let file = server.manifest(&format!("{good}{mistake}\n"));
        let said = server.stead(&["up", &file]).bad();
        assert_says(&said, &[&format!("--> {file}:{line}\n"), &format!("error: {file}: 1 error; nothing was applied\n")]);
    }
    assert!(server.objects("deployment").is_empty());
    let said = server.stead(&["up", "/no/such/file.yaml"]).bad();
    assert_says(&said, &["/no/such/file.yaml cannot be read", "No such file"]);
}

#[test]
fn an_image_that_cannot_be_had_is_named_with_the_reason() {
    let server = Server::new();
    let of = |image: &str| format!("version: v1\ndeployment: d\nservices:\n  web:\n    image: {image}\n");
    let said = server.up(&of("{name: 'nowhere:1', pull_policy: never}")).bad();
    assert_says(&said, &["d failed:", "no image \"nowhere:1\" on this node, and its pull policy forbids to ask a registry"]);
    assert!(!said.contains("stead logs"), "there are none: {said}");

    // A registry may come back, so this is no verdict yet: the wait ends, and says what it waited for.
    let manifest = server.manifest(&of("{name: '127.0.0.1:5000/app:1'}"));
    let said = server.stead(&["up", "--timeout", "2s", &manifest]).bad();
    assert_says(&said, &["d is not up after 2s", "127.0.0.1:5000", "Connection refused"]);
    let last = said.lines().skip_while(|line| !line.contains("is not up after")).collect::<String>();
    assert_says(&last, &["Connection refused"]);
}

/// A program of the host's that listens. Dropped, it is ended.
struct Squatter(Child);

impl Squatter {
    fn on(server: &Server, port: u16) -> Squatter {
        let mut command = server.command(images::busybox_program());
        command.args(["nc", "-ll", "-p", &port.to_string(), "-e", "/bin/true"]).stdin(Stdio::null());
        let squatter = Squatter(command.spawn().expect("busybox runs"));
        until("it listens", || server.namespace.shell("ss -Hltn").contains(&format!(":{port} ")));
        squatter
    }
}

impl Drop for Squatter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_port_that_another_program_holds_is_told_with_its_holder_and_opened_once_it_is_free() {
    let server = Server::new();
    let squatter = Squatter::on(&server, 8080);
    let service = |name: &str, port: u16| {
        format!(
            "  {name}:\n    image: {{name: 'hello:latest'}}\n    command: {{args: [greeter]}}\n    \
             endpoints: [{{name: http, protocol: http, port: {port}, target: 8080, expose: public}}]\n"
        )
    };
    let manifest = format!("version: v1\ndeployment: d\nservices:\n{}{}", service("blocked", 8080), service("free", 8081));
    let said = server.up(&manifest).bad();
    let holder = format!("port 8080 is in use by busybox (process {})", squatter.0.id());
    assert_says(&said, &["d failed:", &holder]);
    let endpoints = server.stead(&["get", "endpoint", "-o", "wide"]).good();
    assert_says(&endpoints, &["d/blocked/http", &holder]);
    assert!(server.page(8081, "/").contains("free-0"), "the other service is up");
    let pids = server.pids();

    drop(squatter);
    assert!(server.page(8080, "/").contains("blocked-0"));
    until("it is known that it serves", || server.objects("deployment")["d"]["status"]["ready"] == true);
    assert!(!server.stead(&["get", "endpoint", "-o", "wide"]).good().contains("in use"));
    server.up(&manifest).good();
    assert_eq!(server.pids(), pids, "nothing was restarted for it");
}

#[test]
fn a_variable_that_the_node_lacks_is_named_with_the_file_to_put_it_in_and_read_at_the_next_start() {
    let server = with_busybox();
    let file = server.data().parent().unwrap().join("env");
    let manifest = server.manifest(&busybox(
        "    env: {SECRET: '$E:E2E_SECRET'}\n    command: {entrypoint: [sh, -c, 'echo got $SECRET; sleep 1000']}",
    ));
    server.stead(&["apply", &manifest]).good();
    let wanted = format!(
        "it could not start: env SECRET asks for $E:E2E_SECRET, which this node does not have: add `E2E_SECRET=…` to {}",
        file.display()
    );
    until("the replica says what it lacks", || server.stead(&["get", "replica"]).good().contains(&wanted));
    server.env_file("E2E_SECRET=seventeen\n");
    server.stead(&["up", "--timeout", "60s", &manifest]).good();
    until("it has the value", || server.stead(&["logs", "web"]).good().contains("got seventeen"));
    let objects = server.stead(&["get", "container", "-o", "json"]).good();
    assert!(objects.contains("E2E_SECRET") && !objects.contains("seventeen"), "values stay on the node: {objects}");
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let server = with_busybox();
    let said = server.up(&busybox("    command: {entrypoint: [/usr/bin/no-such-program]}")).bad();
    assert_says(&said, &["d failed:", "it could not start: ", "no such file: /usr/bin/no-such-program"]);
}

#[test]
fn a_crash_loop_is_left_alone_and_up_fails_with_the_exit_code_and_where_to_look() {
    let server = with_busybox();
    let endpoint = "    endpoints: [{name: http, protocol: http, port: 8080, expose: public}]\n";
    let crashing = format!("{endpoint}    command: {{entrypoint: [sh, -c, 'echo broken on purpose >&2; exit 7']}}");
    let said = server.up(&busybox(&crashing));
    assert_eq!(said.output.status.code(), Some(1));
    let said = said.bad();
    let reason = "it exited with code 7; it ended 6 times within a minute and is left alone for a while";
    assert_says(&said, &["d failed:", reason, "stead logs d/web"]);
    assert_says(&server.stead(&["get", "replica"]).good(), &["d/web/0", "failed", reason]);
    assert_eq!(server.objects("replica")["d/web/0"]["status"]["restarts"], 5);
    assert_eq!(server.stead(&["logs", "d/web"]).good().matches("broken on purpose").count(), 6);
    assert!(server.pids().is_empty());

    // A manifest that puts it right does not wait until it may start again.
    server.up(&busybox("    command: {entrypoint: [sleep, '1000']}")).good();
    assert!(server.objects("replica").values().all(|replica| replica["status"]["restarts"] == 0));
}

#[test]
fn memory_that_runs_out_is_told_as_such() {
    let server = with_busybox();
    let manifest = server.manifest(&busybox("    resources: {memory: 16Mi}\n    command: {entrypoint: [tail, /dev/zero]}"));
    server.stead(&["apply", &manifest]).good();
    let reason = "it was killed for using more memory than its limit";
    until("the replica says so", || server.stead(&["get", "replica"]).good().contains(reason));
    assert_eq!(server.objects("container")["d/web/0"]["status"]["exits"][0]["cause"], "out_of_memory");
}

#[test]
fn an_init_step_that_fails_is_named_with_what_it_said() {
    let server = with_busybox();
    let steps = "    init:\n      steps:\n        - {id: first, uses: init.run, with: {command: 'echo prepared'}}\n        \
                 - {id: migrate, uses: init.run, with: {command: 'echo no table >&2; exit 3'}}\n";
    let said = server.up(&busybox(&format!("{steps}    command: {{entrypoint: [sleep, '1000']}}"))).bad();
    assert_says(&said, &["d failed:", "init step `migrate` failed: it exited with code 3"]);
    let logs = server.stead(&["logs", "d/web"]).good();
    assert_says(&logs, &["init:first prepared", "init:migrate no table"]);
    assert!(server.pids().is_empty(), "what the steps are for was never started");
}

#[test]
fn a_delete_in_the_middle_of_a_long_init_is_prompt_and_leaves_nothing() {
    let server = with_busybox();
    let before = (server.traces(), server.state_files());
    for step in [
        "{id: wait, uses: init.wait_tcp, with: {host: nobody.invalid, port: 1}, timeout: 1h}",
        "{id: wait, uses: init.run, with: {command: 'trap \"\" TERM; while true; do sleep 1000; done'}, timeout: 1h}",
    ] {
        let manifest = busybox(&format!("    init: {{steps: [{step}]}}\n    command: {{entrypoint: [sleep, '1000']}}"));
        server.stead(&["apply", &server.manifest(&manifest)]).good();
        until("the step runs", || server.stead(&["get", "replica"]).good().contains("runs init step `wait`"));
        let asked = Instant::now();
        server.stead(&["delete", "d"]).good();
        assert!(asked.elapsed() < Duration::from_secs(10), "{step}: {:?}", asked.elapsed());
        let traces = Traces { control_groups: before.0.control_groups.clone(), ..server.traces() };
        assert_eq!((traces, server.state_files()), before, "{step}");
        for kind in ["replica", "container", "init", "overlay", "service"] {
            assert!(server.objects(kind).is_empty(), "{kind} after {step}");
        }
    }
}

#[test]
fn a_watch_from_a_place_that_is_not_known_any_more_is_refused_with_the_places_that_are() {
    let server = Server::new();
    let client = Client::new(server.run().join("stead.sock"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let head = client.list(&Query::default()).await.unwrap().cursor;
        let text = head.to_string();
        let (epoch, revision) = text.split_once('-').unwrap();
        assert!(client.watch(&Query::default(), Some(head)).await.is_ok(), "from here one can go on");
        let foreign = if epoch.starts_with('0') { epoch.replacen('0', "1", 1) } else { format!("0{}", &epoch[1..]) };
        for stale in [format!("{foreign}-{revision}"), format!("{epoch}-ffffffff")] {
            let error = client.watch(&Query::default(), Some(stale.parse().unwrap())).await.err().expect("it is refused");
            let problem = error.problem().expect("a reason");
            assert_eq!((problem.status, problem.reason), (410, Reason::StaleCursor), "{stale}");
            let known = problem.stale.as_ref().expect("the places that are known");
            assert!(known.head_cursor >= head && !known.replay_complete, "{stale}");
        }
    });
}

#[test]
fn names_and_kinds_that_do_not_exist_are_told_with_those_that_do() {
    let server = Server::new();
    let said = server.stead(&["get", "nonsense"]).bad();
    assert_says(&said, &["nonsense", "deployment", "replica", "--help"]);
    assert_says(&server.stead(&["get", "replica", "nobody"]).bad(), &["there is no replica nobody"]);
    assert_says(&server.stead(&["get", "replica"]).all(), &["there is none"]);
    assert_says(&server.stead(&["logs", "nobody"]).bad(), &["no replica of `nobody` is here", "stead get replica"]);
    assert_says(&server.stead(&["delete", "nobody"]).bad(), &["nobody was not deleted", "there is no deployment nobody"]);
    assert_says(&server.stead(&["image", "load", "/etc/hostname"]).bad(), &["/etc/hostname was not loaded"]);
}

#[test]
fn without_a_node_every_command_says_so_and_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("stead.sock");
    let manifest = dir.path().join("hello.yaml");
    std::fs::write(&manifest, include_str!("../../examples/hello.yaml")).unwrap();
    let manifest = manifest.to_str().unwrap();
    let commands: [&[&str]; 7] = [
        &["up", manifest],
        &["apply", manifest],
        &["plan", manifest],
        &["get", "replica"],
        &["logs", "web"],
        &["delete", "d"],
        &["image", "ls"],
    ];
    for args in commands {
        let mut command = std::process::Command::new(program::stead());
        let output = command.arg("--socket").arg(&socket).args(args).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert_says(&said, &["no node runs here: nobody listens on", socket.to_str().unwrap(), "sudo stead install"]);
    }
}
