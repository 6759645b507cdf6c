//! The commands of the language, as people use them. Those that ask a node need root.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use api::Client;
use api::client::PutOptions;
use api::wire::{ManifestType, Planned};
use serde_json::Value;
use tests::program;
use tests::server::{Answer, Server};

const HELLO: &str = include_str!("../../examples/hello.yaml");

/// What a command said, and how it ended.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Runs the program in a folder, where no node is, with a standard input.
fn stead_in(folder: &Path, args: &[&str], input: &str) -> Said {
    let socket = folder.join("no.sock");
    let mut command = Command::new(program::stead());
    command.args(args).current_dir(folder).env("STEAD_SOCKET", socket);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("stead runs");
    // It may end without reading all of it.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("what it says is text");
    Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A folder with files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("it can be written");
    }
    dir
}

fn code(answer: &Answer) -> Option<i32> {
    answer.output.status.code()
}

#[track_caller]
fn assert_says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "`{part}` is not said:\n{said}");
    }
}

/// A deployment of one service, `web`, that takes a port.
fn on_port(deployment: &str, port: u16) -> String {
    format!(
        "version: v1\ndeployment: {deployment}\nservices:\n  web:\n    image:\n      name: hello:latest\n      pull_policy: never\n    \
         command:\n      args: [greeter]\n    endpoints:\n      - name: http\n        protocol: http\n        port: {port}\n        \
         target: 8080\n        expose: public\n    scale: {{mode: fixed, replicas: 2}}\n"
    )
}

/// It has a mistake in line 5, and a doubt.
const WRONG: &str = "version: v1\ndeployment: shop\nservices:\n  web:\n    imag: {name: nginx}\n";

#[test]
fn validate_tells_every_mistake_with_its_line_and_ends_with_1() {
    let dir = folder(&[("good.yaml", &on_port("shop", 8080)), ("wrong.yaml", WRONG)]);
    let said = stead_in(dir.path(), &["validate", "good.yaml"], "");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "good.yaml: valid\n"), "{}", said.err);
    assert_says(&said.err, &["note: the node was not asked: no node runs here"]);
    let said = stead_in(dir.path(), &["validate", "--offline", "wrong.yaml"], "");
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    assert_says(&said.out, &["--> wrong.yaml:5:5", "5 |     imag: {name: nginx}", "^^^^", "wrong.yaml: not valid, "]);
    for (args, reason) in [(["validate", "."], ". is a folder"), (["validate", "none.yaml"], "none.yaml cannot be read")] {
        let said = stead_in(dir.path(), &args, "");
        assert_eq!(said.code, Some(1));
        assert_says(&said.err, &[reason]);
    }
}

#[test]
fn validate_reads_standard_input_and_speaks_json() {
    let dir = folder(&[("good.yaml", &on_port("blog", 8080))]);
    let said = stead_in(dir.path(), &["validate", "--offline", "--format", "json", "-", "good.yaml"], WRONG);
    assert_eq!((said.code, said.err.as_str()), (Some(1), ""));
    let report: Value = serde_json::from_str(&said.out).expect("one JSON document");
    let verdicts: Vec<_> =
        report["files"].as_array().unwrap().iter().map(|file| (file["file"].as_str().unwrap(), file["valid"] == true)).collect();
    assert_eq!(verdicts, [("<stdin>", false), ("good.yaml", true)]);
    let problem = &report["files"][0]["problems"][0];
    assert_eq!((&problem["severity"], &problem["file"], &problem["line"]), (&"error".into(), &"<stdin>".into(), &5.into()));
    assert!(problem["message"].is_string() && problem["code"].is_string() && problem["column"] == 5, "{problem}");
}

#[test]
fn manifests_that_are_checked_together_may_not_clash() {
    let dir = folder(&[("a.yaml", &on_port("a", 8080)), ("b.yaml", &on_port("b", 8080)), ("c.yaml", &on_port("a", 8081))]);
    for file in ["a.yaml", "b.yaml", "c.yaml"] {
        assert_eq!(stead_in(dir.path(), &["validate", "--offline", file], "").code, Some(0), "{file}");
    }
    let said = stead_in(dir.path(), &["validate", "--offline", "a.yaml", "b.yaml"], "");
    assert_eq!(said.code, Some(1));
    assert_says(&said.out, &["port 8080", "--> b.yaml:13:15", "a.yaml:13:15", "a.yaml: valid\n", "b.yaml: not valid, 1 error\n"]);
    let said = stead_in(dir.path(), &["validate", "--offline", "a.yaml", "c.yaml"], "");
    assert_eq!(said.code, Some(1));
    assert_says(&said.out, &["c.yaml:2:13", "a.yaml:2:13"]);
    assert_eq!(stead_in(dir.path(), &["validate", "--offline", "a.yaml", "a.yaml"], "").code, Some(0), "it is one file");
}

#[test]
fn what_this_version_cannot_run_is_a_warning_that_strict_does_not_let_pass() {
    let tcp = on_port("shop", 8080).replace("protocol: http", "protocol: tcp");
    let dir = folder(&[("tcp.yaml", &tcp)]);
    let said = stead_in(dir.path(), &["validate", "--offline", "tcp.yaml"], "");
    assert_eq!(said.code, Some(0), "{}", said.out);
    assert_says(&said.out, &["warning[unbuilt]", "--> tcp.yaml:12:19", "tcp.yaml: valid, 1 warning"]);
    let said = stead_in(dir.path(), &["validate", "--offline", "--strict", "tcp.yaml"], "");
    assert_eq!(said.code, Some(1));
    for command in ["up", "apply", "plan"] {
        let said = stead_in(dir.path(), &[command, "tcp.yaml"], "");
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
        assert_says(
            &said.err,
            &["error[unbuilt]", "`protocol: tcp`", "--> tcp.yaml:12:19", "protocol: tcp", "nothing was applied"],
        );
        assert!(!said.err.contains("no node runs"), "it is told without one: {}", said.err);
    }
}

#[test]
fn fmt_rewrites_what_differs_keeps_mode_and_links_and_check_changes_nothing() {
    let messy = "deployment: shop\nversion: v1\n# of a shop\nservices:\n    web:\n        image:   {name: nginx} # the usual\n";
    let dir = folder(&[("messy.yaml", messy), ("broken.yaml", "services: [\n")]);
    let (file, link) = (dir.path().join("messy.yaml"), dir.path().join("link.yaml"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("messy.yaml", &link).unwrap();

    let said = stead_in(dir.path(), &["fmt", "--check", "messy.yaml"], "");
    assert_eq!((said.code, fs::read_to_string(&file).unwrap().as_str()), (Some(1), messy));
    assert_says(&said.out, &["--- messy.yaml", "-version: v1", "+version: v1", "@@"]);
    let printed = stead_in(dir.path(), &["fmt", "-"], messy);
    assert_eq!(printed.code, Some(0), "{}", printed.err);
    assert_says(
        &printed.out,
        &["version: v1\ndeployment: shop\n# of a shop\nservices:\n  web:\n    image: {name: nginx} # the usual\n"],
    );

    let said = stead_in(dir.path(), &["fmt", "link.yaml"], "");
    assert_eq!((said.code, said.out.as_str()), (Some(0), "link.yaml\n"), "{}", said.err);
    assert_eq!(fs::read_to_string(&file).unwrap(), printed.out);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let said = stead_in(dir.path(), &["fmt", "messy.yaml"], "");
    assert_eq!((said.code, said.out.as_str()), (Some(0), ""), "there is nothing to do twice");
    assert_eq!(stead_in(dir.path(), &["fmt", "--check", "messy.yaml"], "").code, Some(0));

    let said = stead_in(dir.path(), &["fmt", "broken.yaml", "messy.yaml"], "");
    assert_eq!(said.code, Some(1));
    assert_says(&said.err, &["error[syntax]", "--> broken.yaml:", "it stays as it is"]);
    assert_eq!(fs::read_to_string(dir.path().join("broken.yaml")).unwrap(), "services: [\n");
}

#[test]
fn fields_are_explained_and_the_schema_is_one() {
    let dir = folder(&[]);
    let said = stead_in(dir.path(), &["explain", "endpoints.protocol"], "");
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert_says(&said.out, &["endpoints", "protocol", "websocket"]);
    assert_says(&stead_in(dir.path(), &["explain"], "").out, &["deployment", "services"]);
    let said = stead_in(dir.path(), &["explain", "endpoints.protocoll"], "");
    assert_eq!(said.code, Some(1));
    assert_says(&said.err, &["protocoll", "did you mean `endpoints.protocol`"]);
    let schema: Value = serde_json::from_str(&stead_in(dir.path(), &["schema"], "").out).expect("JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["services"].is_object());
}

const COMPOSE: &str = "services:\n  web:\n    image: nginx:alpine\n    ports: ['8080:80']\n    privileged: true\n  \
                       db:\n    image: postgres:16\n    environment: {POSTGRES_PASSWORD: secret}\n";

#[test]
fn a_compose_file_becomes_a_manifest_and_what_is_lost_is_told() {
    let dir = folder(&[("docker-compose.yml", COMPOSE)]);
    let said = stead_in(dir.path(), &["import", "compose", "--name", "shop"], "");
    assert_eq!(said.code, Some(0), "{}", said.err);
    let manifest = spec::manifest::parse(&said.out).unwrap_or_else(|problems| panic!("{problems:?}: {}", said.out));
    assert_eq!(manifest.deployment, "shop");
    assert_eq!(manifest.services["web"].image.name.to_string(), "nginx:alpine");
    assert_says(&said.err, &["warning", "--> docker-compose.yml:5:", "privileged", "docker-compose.yml: 2 services; "]);

    let args = ["import", "compose", "docker-compose.yml", "-o", "shop.yaml"];
    assert_eq!(stead_in(dir.path(), &args, "").code, Some(0));
    assert_eq!(stead_in(dir.path(), &["validate", "--offline", "shop.yaml"], "").code, Some(0));
    let said = stead_in(dir.path(), &args, "");
    assert_eq!(said.code, Some(1));
    assert_says(&said.err, &["shop.yaml is there already", "--force"]);
    assert_eq!(stead_in(dir.path(), &[&args[..], &["--force"]].concat(), "").code, Some(0));
    assert_eq!(stead_in(dir.path(), &["import", "compose", "-"], COMPOSE).code, Some(0));
    let said = stead_in(dir.path(), &["import", "compose", "-"], "services: 7\n");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    let empty = folder(&[]);
    let said = stead_in(empty.path(), &["import", "compose"], "");
    assert_eq!(said.code, Some(1));
    assert_says(&said.err, &["there is no compose.yaml", "docker-compose.yml"]);
}

#[test]
fn a_plan_says_what_then_happens() {
    let server = Server::new();
    let plan = |text: &str| server.stead(&["plan", &server.manifest(text)]);
    let first = plan(HELLO);
    assert_eq!(code(&first), Some(2));
    assert_says(&first.all(), &["+ service hello/greeter  2 replicas started", "+ service hello/web      2 replicas started"]);
    assert_says(&first.all(), &["hello: 2 services would change"]);
    assert!(server.objects("deployment").is_empty(), "nothing was changed");
    server.up(HELLO).good();
    let same = plan(HELLO);
    assert_eq!(code(&same), Some(0));
    assert_says(&same.all(), &["2 services unchanged", "hello: nothing would change"]);

    let before = server.pids();
    let replaced = HELLO.replace("args: [web]", "args: [web]\n    env: {MODE: b}");
    let said = plan(&replaced);
    assert_eq!(code(&said), Some(2));
    assert_says(&said.all(), &["~ service hello/web  2 replicas replaced", "MODE", "1 service unchanged"]);
    assert_eq!(server.pids(), before);
    server.up(&replaced).good();
    let after = server.pids();
    let kept = |replica: &str| after.get(replica) == before.get(replica);
    assert!(!kept("hello/web/0") && !kept("hello/web/1") && kept("hello/greeter/0") && kept("hello/greeter/1"), "{after:?}");

    let moved = replaced.replace("port: 8080\n        expose", "port: 8080\n        path: /moved\n        expose");
    let said = plan(&moved);
    assert_eq!(code(&said), Some(2));
    assert_says(&said.all(), &["~ service hello/web  nothing restarts", "+ endpoints[0].path: \"/moved\""]);
    server.up(&moved).good();
    assert_eq!(server.pids(), after);

    let dry = server.stead(&["apply", "--dry-run", &server.manifest(&replaced)]);
    assert_eq!(code(&dry), Some(0));
    assert_says(&dry.all(), &["~ service hello/web  nothing restarts", "- endpoints[0].path: \"/moved\""]);
    let mistaken = plan(WRONG);
    assert_eq!(code(&mistaken), Some(1));
    assert_says(&mistaken.all(), &["imag"]);
}

#[test]
fn the_api_says_the_same_as_the_command() {
    let server = Server::new();
    server.up(&on_port("shop", 8080)).good();
    let pids = server.pids();
    let text = on_port("shop", 8081).replace("  web:", "  www:");
    let answer = server.stead(&["plan", "--format", "json", &server.manifest(&text)]);
    assert_eq!(code(&answer), Some(2));
    let printed: Planned = serde_json::from_slice(&answer.output.stdout).expect("the node's answer");
    let client = Client::new(server.run().join("stead.sock"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = runtime.block_on(client.plan_manifest(&text, ManifestType::Yaml, PutOptions::default())).unwrap();
    assert_eq!((&printed.services, printed.revision, printed.dry_run), (&asked.services, asked.revision, true));
    assert_eq!((printed.services["web"].consequence.stopped, printed.services["www"].consequence.started), (2, 2));

    server.up(&text).good();
    let after = server.pids();
    assert_eq!(after.keys().collect::<Vec<_>>(), ["shop/www/0", "shop/www/1"]);
    assert!(after.values().all(|pid| !pids.values().any(|old| old == pid)));
}

#[test]
fn a_node_that_runs_adds_what_it_lacks_and_what_is_taken() {
    let server = Server::new();
    let asks = on_port("shop", 8080).replace("    endpoints:", "    env: {KEY: '$E:SHOP_KEY'}\n    endpoints:");
    let file = server.manifest(&asks);
    let unset = "this node has no variable `SHOP_KEY`";
    let said = server.stead(&["validate", &file]);
    assert_eq!(code(&said), Some(0));
    assert_says(&said.all(), &["warning[unset_variable]", unset, &format!("--> {file}:10:"), "valid, 1 warning"]);
    assert!(!server.stead(&["validate", "--offline", &file]).all().contains(unset));
    assert_eq!(code(&server.stead(&["validate", "--strict", &file])), Some(1));
    for command in ["plan", "apply"] {
        let said = server.stead(&[command, &file]).all();
        assert_eq!(said.matches(unset).count(), 1, "{said}");
    }
    server.env_file("SHOP_KEY=1\n");
    assert!(!server.stead(&["validate", &file]).good().contains(unset));

    let other = server.manifest(&on_port("blog", 8080));
    let taken = "port 8080 with path / is already taken by endpoint `http` of service `web` in deployment `shop`";
    let said = server.stead(&["validate", &other]);
    assert_eq!(code(&said), Some(0), "it is valid, if not here");
    assert_says(&said.all(), &["warning[clash]", taken, &format!("--> {other}:13:15")]);
    for command in ["plan", "apply", "up"] {
        let said = server.stead(&[command, &other]).bad();
        assert_says(&said, &["error[clash]", taken, &format!("--> {other}:13:15"), "nothing was applied"]);
    }
    assert_eq!(server.objects("deployment").len(), 1);
}
