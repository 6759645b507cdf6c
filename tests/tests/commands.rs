//! The command line as people use it. Needs root.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tests::server::Server;
use tests::{eventually, host, images, program, until};

const HELLO: &str = include_str!("../../examples/hello.yaml");

/// Runs the program where no node is needed; returns what it printed.
#[track_caller]
fn stead(args: &[&str]) -> String {
    let output = Command::new(program::stead()).args(args).env_remove("STEAD_SOCKET").output().expect("stead runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "stead {args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// The commands that a help lists.
fn listed(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What is indented further goes on with what stands above it.
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !matches!(*name, "" | "help")).map(str::to_owned).collect()
}

/// The commands of a command.
fn parts(command: &str) -> Vec<String> {
    listed(&stead(&[command, "--help"])).iter().map(|name| format!("{command} {name}")).collect()
}

#[test]
fn every_command_is_listed_and_explained_with_examples_of_itself() {
    let help = stead(&["--help"]);
    let commands = listed(&help);
    let expected = [
        "up",
        "plan",
        "apply",
        "delete",
        "get",
        "logs",
        "image",
        "validate",
        "fmt",
        "explain",
        "schema",
        "import",
        "doctor",
        "daemon",
        "install",
        "uninstall",
    ];
    assert_eq!(commands.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected.into());
    assert!(help.contains("Examples:\n  stead up hello.yaml"), "{help}");
    for command in commands.into_iter().chain(parts("image")).chain(parts("import")) {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.push("--help");
        let help = stead(&args);
        let (usage, examples) = help.split_once("Examples:\n").unwrap_or_else(|| panic!("stead {command}: {help}"));
        assert!(usage.contains(&format!("Usage: stead {command}")), "{usage}");
        let commands: Vec<_> = examples.lines().filter(|line| line.contains("stead ")).collect();
        assert!(!commands.is_empty() && commands.iter().all(|line| line.contains(&format!("stead {command}"))), "{examples}");
    }
    assert_eq!(stead(&["--version"]).trim(), concat!("stead ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn installing_again_writes_nothing_and_uninstalling_leaves_nothing() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().to_str().unwrap();
    // A root that a distribution made, with something of somebody else's in each place.
    for file in ["usr/local/bin/other", "etc/systemd/system/other.service", "var/lib/other/state", "run/other", "etc/hostname"] {
        let file = root.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "other").unwrap();
    }
    let before = host::files(root.path());

    let said = stead(&["install", "--root", dir]);
    let files = ["usr/local/bin/stead", "etc/stead/env", "etc/systemd/system/stead.service"];
    for file in files {
        assert!(said.contains(&format!("wrote {dir}/{file}")), "{said}");
    }
    let expected: BTreeSet<PathBuf> = files.into_iter().chain(["var/lib/stead"]).map(PathBuf::from).collect();
    assert_eq!(&host::files(root.path()) - &before, expected);
    assert!(fs::read(root.path().join(files[0])).unwrap() == fs::read(program::stead()).unwrap());
    let unit = fs::read_to_string(root.path().join(files[2])).unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/stead daemon ") && !unit.contains(dir), "{unit}");

    fs::write(root.path().join("etc/stead/env"), "SECRET=1\n").unwrap();
    let times = |files: &[&str]| -> Vec<_> {
        files.iter().map(|file| fs::metadata(root.path().join(file)).unwrap().modified().unwrap()).collect()
    };
    let written = times(&files);
    assert_eq!(stead(&["install", "--root", dir]), "");
    assert_eq!(times(&files), written);
    fs::write(root.path().join(files[2]), "an older unit").unwrap();
    assert_eq!(stead(&["install", "--root", dir]), format!("wrote {dir}/{}\n", files[2]));
    assert_eq!(fs::read_to_string(root.path().join("etc/stead/env")).unwrap(), "SECRET=1\n", "what the user wrote stays");

    stead(&["uninstall", "--root", dir]);
    assert_eq!(host::files(root.path()), before);
    stead(&["uninstall", "--root", dir]);
    assert_eq!(host::files(root.path()), before, "there is nothing to do twice");
}

#[test]
fn the_doctor_finds_what_this_host_has_and_lacks() {
    let server = Server::new();
    let findings: Vec<Value> = serde_json::from_str(&server.stead(&["doctor", "--json"]).good()).unwrap();
    let of = |name: &str| {
        let found = findings.iter().find(|finding| finding["name"] == name);
        found.unwrap_or_else(|| panic!("nothing about {name}: {findings:#?}"))
    };
    for name in ["root", "kernel", "overlayfs", "network-namespaces", "veth", "packet-filter", "forwarding", "other-firewalls"] {
        assert_eq!(of(name)["level"], "fine", "{}", of(name));
    }
    let version = if Path::new("/sys/fs/cgroup/cgroup.procs").exists() { "version 2" } else { "version 1" };
    assert!(of("control groups")["detail"].as_str().unwrap().starts_with(version), "{}", of("control groups"));
    assert_eq!(of("systemd")["level"] == "fine", Path::new("/run/systemd/system").exists());
    assert_eq!(of("port 80")["level"], "fine");
    // Whatever is not as it should be comes with what to do about it.
    for finding in findings.iter().filter(|finding| finding["level"] != "fine") {
        assert!(finding["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{finding}");
    }

    let text = server.stead(&["doctor"]).good();
    assert!(findings.iter().all(|finding| text.contains(finding["detail"].as_str().unwrap())), "{text}");

    server.namespace.shell(
        "nft add table ip filter && nft add chain ip filter FORWARD '{ type filter hook forward priority 0; policy drop; }'",
    );
    let said = server.stead(&["doctor"]).bad();
    assert!(said.contains("missing  other-firewalls") && said.contains("iptables -I FORWARD -i st+ -j ACCEPT"), "{said}");
}

/// A command that goes on by itself. Dropped, it is ended.
struct Running {
    process: Child,
    said: tempfile::NamedTempFile,
}

impl Running {
    fn start(server: &Server, args: &[&str]) -> Running {
        let said = tempfile::NamedTempFile::new().unwrap();
        let mut command = server.command(&program::stead());
        command.arg("--socket").arg(server.run().join("stead.sock")).args(args).stdin(Stdio::null());
        command.stdout(said.reopen().unwrap()).stderr(Stdio::piped());
        Running { process: command.spawn().unwrap(), said }
    }

    fn said(&self) -> String {
        fs::read_to_string(self.said.path()).unwrap()
    }

    /// Waits until it ends by itself; returns how, and what it complained of.
    fn end(&mut self) -> (ExitStatus, String) {
        let status = eventually("it ends", || self.process.try_wait().unwrap());
        let mut complaint = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        (status, complaint)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn logs_are_followed_over_restarts_of_the_container_and_end_with_the_daemon() {
    let mut server = Server::new();
    server.load(images::busybox());
    let manifest = "version: v1\ndeployment: d\nservices:\n  web:\n    image: {name: 'busybox:latest'}\n    \
                    command: {entrypoint: [sh, -c, 'echo begun as $$ in $HOSTNAME; echo and complained >&2; while sleep 1; do :; done']}\n";
    server.up(manifest).good();
    let mut follower = Running::start(&server, &["logs", "-f", "web"]);
    until("the first start is told", || follower.said().contains("web/0 begun as 1 in web-0"));
    let kill = |server: &Server| {
        let pid = server.pid("d/web/0");
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL)
            .unwrap();
    };
    kill(&server);
    until("the second start is told", || follower.said().matches("begun as").count() == 2);
    until("and what it said on the other stream", || follower.said().matches("web/0 err and complained").count() == 2);

    server.kill();
    let (status, complaint) = follower.end();
    assert_eq!(status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("the logs of d/web/0 ended early"), "{complaint}");
    server.start();
    let follower = Running::start(&server, &["logs", "--follow", "d/web/0", "--tail", "1"]);
    until("the last line is told", || follower.said().lines().count() == 1);
    kill(&server);
    until("the third start is told", || follower.said().contains("begun as"));
    assert_eq!(server.stead(&["logs", "web"]).good().matches("begun as").count(), 3, "nothing is lost and nothing comes twice");
}

#[test]
fn what_is_there_can_be_had_as_a_table_as_json_and_as_yaml() {
    let server = Server::new();
    server.up(HELLO).good();
    let get = |args: &[&str]| server.stead(&[&["get"], args].concat()).good();

    let table = get(&["replica"]);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 5, "{table}");
    assert_eq!(lines[0].split_whitespace().collect::<Vec<_>>(), ["NAME", "PHASE", "RESTARTS", "MESSAGE"]);
    assert!(lines[1..].iter().all(|line| line.starts_with("hello/") && line.contains(" ready ")), "{table}");
    let wide = get(&["replicas", "hello/web", "-o", "wide"]);
    assert_eq!(wide.lines().count(), 3, "{wide}");
    let address = server.addresses("hello/web/0")[0].to_string();
    assert!(wide.contains("ADDRESSES") && wide.contains(&address), "{wide}");

    let list: Vec<Value> = serde_json::from_str(&get(&["service", "-o", "json"])).unwrap();
    assert_eq!(list.iter().map(|object| object["name"].as_str().unwrap()).collect::<Vec<_>>(), ["hello/greeter", "hello/web"]);
    let one: Value = serde_json::from_str(&get(&["service", "hello/web", "-o", "json"])).unwrap();
    assert_eq!(one, list[1]);
    let yaml = get(&["service", "hello/web", "-o", "yaml"]);
    assert!(yaml.contains("kind: service\nname: hello/web\n") && yaml.contains("settled: true"), "{yaml}");
    assert_eq!(get(&["service", "-o", "yaml"]).matches("---\n").count(), 2);
    for kind in ["deployment", "container", "endpoint", "image", "node", "overlay", "resolution", "revision"] {
        let (table, wide) = (get(&[kind]), get(&[kind, "-o", "wide"]));
        assert!(table.lines().count() >= 2 && wide.lines().count() == table.lines().count(), "{kind}: {table}{wide}");
    }
}

#[test]
fn a_watch_shows_what_comes_and_goes_and_ends_with_the_daemon() {
    let mut server = Server::new();
    let (table, mut json) = (
        Running::start(&server, &["get", "replica", "--watch"]),
        Running::start(&server, &["get", "service", "--watch", "-o", "json"]),
    );
    server.up(HELLO).good();
    for replica in ["hello/web/0", "hello/web/1", "hello/greeter/0", "hello/greeter/1"] {
        let is_ready = |line: &str| line.starts_with(replica) && line.contains(" ready ");
        until(&format!("{replica} is shown as ready"), || table.said().lines().any(is_ready));
    }
    server.stead(&["delete", "hello"]).good();
    until("the end of a replica is shown", || table.said().contains("replica hello/web/0 is gone"));

    let objects: Vec<Value> = json.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(objects.iter().any(|object| object["name"] == "hello/web" && object["status"]["settled"] == true));
    server.kill();
    let (status, complaint) = json.end();
    assert_eq!(status.code(), Some(1), "{complaint}");
    assert!(complaint.starts_with("error: "), "{complaint}");
    server.start();
}
