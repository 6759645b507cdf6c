//! The life of a container, from start to release, on the real kernel. Needs root.

mod container_support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use container_support::{Host, eventually, is_alive, processes, within};
use runtime::container::{Error, Role};
use runtime::logs::Source;
use spec::kind::container::Cause;

#[tokio::test]
async fn a_program_runs_and_its_exit_code_is_recorded() {
    let host = Host::new();
    let mut running = host.start(host.script("a", "echo hello; echo oops >&2; exit 7")).await;
    let record = within(running.wait()).await;
    assert_eq!((record.cause.clone(), record.attempt), (Cause::Code(7), 1));
    assert!(record.started <= record.ended && record.started.0 > 1_600_000_000_000);
    assert_eq!(within(running.wait()).await, record, "the end stays the end");
    assert_eq!(host.containers.exit_record("a").unwrap(), Some(record));
    let mut said: Vec<_> = host.lines("a").await.into_iter().map(|line| (line.source, line.text)).collect();
    said.sort();
    assert_eq!(said, [(Source::Out, "hello".to_owned()), (Source::Err, "oops".to_owned())]);
}

#[tokio::test]
async fn a_program_that_kills_itself_is_recorded_with_its_signal() {
    let host = Host::new();
    // The first process of a namespace is spared by signals without a handler, but not by those of its own faults.
    let (cause, _) = host.run("sh -c 'kill -USR1 $$'; exit $?").await;
    assert_eq!(cause, Cause::Code(128 + libc::SIGUSR1));
    let mut running = host.start(host.script("b", "sleep 1000")).await;
    running.stop("SIGKILL", Duration::from_secs(60)).await.unwrap();
    assert_eq!(within(running.wait()).await.cause, Cause::Signal("SIGKILL".to_owned()));
}

#[tokio::test]
async fn what_cannot_run_says_why() {
    let host = Host::new();
    let why = async |args: &[&str]| match host.containers.start(host.launch("x", args)).await {
        Err(Error::NotStarted(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it runs"),
    };
    fs::write(host.image().join("bin/script"), "#!/missing/interpreter\n").unwrap();
    fs::write(host.image().join("bin/text"), "no program").unwrap();
    fs::write(host.image().join("bin/plain"), "no program").unwrap();
    for name in ["script", "text"] {
        fs::set_permissions(host.image().join("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    insta::assert_snapshot!(why(&["/x"]).await, @"exec: no such file: /x");
    insta::assert_snapshot!(why(&["nothing"]).await, @"exec: no program nothing in PATH (/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)");
    insta::assert_snapshot!(why(&["/bin"]).await, @"exec: /bin: is not a file");
    insta::assert_snapshot!(why(&["plain"]).await, @"exec: /bin/plain: is not executable for this user");
    insta::assert_snapshot!(why(&["script"]).await, @"exec: /bin/script: the interpreter or loader it names is missing in the image");
    insta::assert_snapshot!(why(&["text"]).await, @"exec: /bin/text: no program for this machine, and no script with a #! line");
    insta::assert_snapshot!(why(&[]).await, @"exec: nothing to run");
    insta::assert_snapshot!(why(&["/proc/self/exe"]).await, @"exec: /proc/self/exe: is not of the image; refused");

    let mut launch = host.launch("x", &["true"]);
    launch.spec.process.user = "nobody".to_owned();
    insta::assert_snapshot!(host.run_launch(launch).await.unwrap_err(), @"user `nobody`: the image's /etc/passwd has none of that name");
    let mut launch = host.launch("x", &["true"]);
    launch.layers.clear();
    insta::assert_snapshot!(host.run_launch(launch).await.unwrap_err(), @"the image has no layer");
    assert_eq!(host.cgroups("x"), [] as [std::path::PathBuf; 0]);
    assert_eq!(host.run_launch(host.launch("x", &["true"])).await.unwrap().cause, Cause::Code(0), "a failure leaves no mark");
}

#[tokio::test]
async fn ids_and_paths_that_lead_elsewhere_are_refused() {
    let host = Host::new();
    for id in ["../x", "", "a/b", &"x".repeat(4096)] {
        assert!(matches!(host.containers.start(host.launch(id, &["true"])).await, Err(Error::Id(_))), "{id}");
        assert!(matches!(host.containers.release(id).await, Err(Error::Id(_))), "{id}");
        assert!(matches!(host.containers.exit_record(id), Err(Error::Id(_))), "{id}");
    }
    let mut launch = host.launch("x", &["true"]);
    launch.spec.log = "../../etc".to_owned();
    assert!(matches!(host.containers.start(launch).await, Err(Error::Refused { what: "log path", .. })));
    let mut launch = host.launch("x", &["true"]);
    launch.spec.link.netns = "../net".to_owned();
    assert!(matches!(host.containers.start(launch).await, Err(Error::Refused { what: "network namespace", .. })));
    let mut launch = host.launch("x", &["true"]);
    launch.env = BTreeMap::from([("A=B".to_owned(), "c".to_owned())]);
    assert!(matches!(host.containers.start(launch).await, Err(Error::Refused { what: "variable", .. })));
}

#[tokio::test]
async fn a_program_sees_its_environment_user_directory_and_names() {
    let host = Host::new();
    let mut launch = host.script("env", "env | sort; id -u; id -g; id -G; pwd; hostname; cat /etc/hosts /etc/resolv.conf");
    launch.env = BTreeMap::from([("GREETING".to_owned(), "two words\tand a tab".to_owned())]);
    launch.spec.process.user = "web".to_owned();
    launch.spec.process.workdir = "/srv/app".to_owned();
    launch.spec.link.addresses =
        vec![spec::net::Address { address: "10.192.0.7".parse().unwrap(), block: "10.192.0.0/16".parse().unwrap() }];
    assert_eq!(host.run_launch(launch).await.unwrap().cause, Cause::Code(0));
    insta::assert_snapshot!(host.said("env").await.replace('\t', "<tab>"), @r"
    GREETING=two words<tab>and a tab
    HOME=/var/www
    HOSTNAME=replica
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    PWD=/srv/app
    SHLVL=1
    33
    33
    33 50
    /srv/app
    replica
    127.0.0.1<tab>localhost
    ::1<tab>localhost ip6-localhost ip6-loopback
    10.192.0.7<tab>replica
    nameserver 169.254.1.1
    options ndots:0 timeout:2 attempts:3
    ");
}

#[tokio::test]
async fn a_program_without_roots_rights_may_open_its_output_by_name() {
    let host = Host::new();
    let mut launch = host.script("out", "echo by name > /dev/stdout");
    launch.spec.process.user = "33".to_owned();
    assert_eq!(host.run_launch(launch).await.unwrap().cause, Cause::Code(0));
    assert_eq!(host.said("out").await, "by name");
}

#[tokio::test]
async fn a_stop_gives_time_and_then_kills() {
    let host = Host::new();
    let polite = host.script("polite", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done");
    let mut polite = host.start(polite).await;
    host.heard("polite", "ready").await;
    polite.stop("SIGTERM", Duration::from_secs(60)).await.unwrap();
    assert_eq!(within(polite.wait()).await.cause, Cause::Code(3));
    assert_eq!(host.said("polite").await, "ready\nbye");

    let mut deaf = host.start(host.script("deaf", "trap '' TERM; echo ready; while :; do sleep 0.01; done")).await;
    host.heard("deaf", "ready").await;
    let asked = Instant::now();
    deaf.stop("SIGTERM", Duration::from_millis(300)).await.unwrap();
    assert_eq!(within(deaf.wait()).await.cause, Cause::Signal("SIGKILL".to_owned()));
    assert!(asked.elapsed() >= Duration::from_millis(300));
    deaf.stop("SIGTERM", Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_stop_by_a_signal_that_is_none_is_an_error_and_kills_all_the_same() {
    let host = Host::new();
    let mut running = host.start(host.script("one", "sleep 1000")).await;
    assert!(matches!(running.stop("SIGKILL\n", Duration::ZERO).await, Err(Error::Signal(_))));
    assert_eq!(within(running.wait()).await.cause, Cause::Signal("SIGKILL".to_owned()));
}

#[tokio::test]
async fn signals_have_their_usual_effect_inside() {
    let host = Host::new();
    let (cause, said) = host.run("grep -E 'SigBlk|SigIgn' /proc/self/status; yes | head -n 1").await;
    assert_eq!(cause, Cause::Code(0));
    insta::assert_snapshot!(said.replace('\t', " "), @r"
    SigBlk: 0000000000000000
    SigIgn: 0000000000000000
    y
    ");
}

#[tokio::test]
async fn a_restart_keeps_what_was_written_and_a_release_removes_it() {
    let host = Host::new();
    let script = "cat /data 2>/dev/null; echo again >> /data; echo; ls /etc/resolv.conf";
    for attempt in 1..=2 {
        let mut launch = host.script("keep", script);
        launch.attempt = attempt;
        let record = host.run_launch(launch).await.unwrap();
        assert_eq!((record.cause, record.attempt), (Cause::Code(0), attempt));
    }
    assert_eq!(host.said("keep").await, "\n/etc/resolv.conf\nagain\n\n/etc/resolv.conf");
    assert!(!host.image().join("data").exists(), "the image stays as it is");
    host.containers.release("keep").await.unwrap();
    assert_eq!(host.containers.exit_record("keep").unwrap(), None);
    assert_eq!(host.run_launch(host.script("keep", "test ! -e /data")).await.unwrap().cause, Cause::Code(0));
}

#[tokio::test]
async fn a_release_leaves_nothing_on_the_host() {
    let host = Host::new();
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap().lines().filter(|line| line.contains("overlay")).count();
    let before = mounts();
    let running = host.start(host.script("gone", "sleep 1000 & echo $! ; wait")).await;
    assert_eq!(mounts(), before, "the root is mounted in the container's own namespace only");
    let shim = host.shim("gone");
    assert!(is_alive(shim) && is_alive(running.pid));
    assert_eq!(host.containers.list().await.unwrap(), ["gone"]);
    assert!(!host.cgroups("gone").is_empty());

    within(host.containers.release("gone")).await.unwrap();
    assert!(!is_alive(shim) && !is_alive(running.pid));
    assert_eq!(host.containers.list().await.unwrap(), [] as [&str; 0]);
    assert_eq!(host.cgroups("gone"), [] as [std::path::PathBuf; 0]);
    for dir in [host.config.run_dir.join("shims"), host.config.state_dir.clone()] {
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "{}", dir.display());
    }
    let root = host.dir.path().to_str().unwrap().to_owned();
    eventually("no process is left that knows the directory", async || {
        !processes().iter().any(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains(&root))
    })
    .await;
    within(host.containers.release("gone")).await.unwrap();
}

#[tokio::test]
async fn a_second_start_of_a_running_container_is_refused() {
    let host = Host::new();
    let mut running = host.start(host.script("once", "sleep 1000")).await;
    let again = host.containers.start(host.script("once", "true")).await;
    assert!(matches!(again, Err(Error::AlreadyRunning(id)) if id == "once"));
    running.stop("KILL", Duration::ZERO).await.unwrap();
    within(running.wait()).await;
    host.start(host.script("once", "true")).await;
}

#[tokio::test]
async fn a_step_runs_in_the_containers_root_and_ends_with_its_owner() {
    let host = Host::new();
    let step = |args: &[&str]| {
        let role = Role::Step { index: 0, id: "seed".to_owned(), args: args.iter().map(|&arg| arg.to_owned()).collect() };
        runtime::container::Launch { role, ..host.script("stepped", "cat /seeded") }
    };
    let record = host.run_launch(step(&["sh", "-c", "echo seeds; echo wheat > /seeded"])).await.unwrap();
    assert_eq!(record.cause, Cause::Code(0));
    assert_eq!(host.containers.exit_record("stepped").unwrap(), None, "a step is not the container");
    assert_eq!(host.run_launch(host.script("stepped", "cat /seeded")).await.unwrap().cause, Cause::Code(0));
    let said: Vec<_> = host.lines("stepped").await.into_iter().map(|line| (line.source.to_string(), line.text)).collect();
    assert_eq!(said, [("init:seed".to_owned(), "seeds".to_owned()), ("out".to_owned(), "wheat".to_owned())]);

    let running = host.start(step(&["sleep", "1000"])).await;
    let pid = running.pid;
    drop(running);
    eventually("a step without an owner is killed", async || !is_alive(pid)).await;
}
