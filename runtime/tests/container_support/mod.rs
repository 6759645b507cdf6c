//! A host for containers of one test: directories, a network namespace and an image of busybox. Needs root.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use runtime::container::{Config, Containers, Error, ExitRecord, Launch, Role, Running, Shim};
use runtime::logs::{Line, Logs};
use runtime::netns;
use spec::kind::container::{Cause, Process, Spec, Stop};
use spec::manifest::Resources;
use spec::net::Link;

/// Bound on every wait of a test.
pub const PATIENCE: Duration = Duration::from_secs(30);

static NEXT: AtomicU32 = AtomicU32::new(0);

pub struct Host {
    pub dir: tempfile::TempDir,
    pub config: Config,
    pub containers: Containers,
}

impl Host {
    pub fn new() -> Host {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let config = Config {
            state_dir: path("state"),
            run_dir: path("run"),
            log_dir: path("logs"),
            netns_dir: path("netns"),
            cgroup_parent: format!("/stead-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)),
            shim: Shim { program: env!("CARGO_BIN_EXE_shim_for_tests").into(), args: vec![] },
        };
        fs::create_dir(&config.netns_dir).unwrap();
        netns::create(&config.netns_dir.join("net")).unwrap();
        busybox(&path("image"));
        let containers = Containers::open(config.clone()).unwrap();
        Host { dir, config, containers }
    }

    pub fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    pub fn netns(&self) -> PathBuf {
        self.config.netns_dir.join("net")
    }

    /// A handle as a daemon has it that was started later.
    pub fn another(&self) -> Containers {
        Containers::open(self.config.clone()).unwrap()
    }

    pub fn launch(&self, id: &str, args: &[&str]) -> Launch {
        Launch { spec: spec(id, args), layers: vec![self.image()], env: BTreeMap::new(), attempt: 1, role: Role::Main }
    }

    /// A container that runs a shell script.
    pub fn script(&self, id: &str, script: &str) -> Launch {
        self.launch(id, &["/bin/sh", "-c", script])
    }

    pub async fn start(&self, launch: Launch) -> Running {
        within(self.containers.start(launch)).await.unwrap()
    }

    /// Runs a script to its end; returns how it ended and what it said.
    pub async fn run(&self, script: &str) -> (Cause, String) {
        let launch = self.script("one", script);
        let record = self.run_launch(launch).await.unwrap();
        let said = self.said("one").await;
        fs::remove_dir_all(self.config.log_dir.join("test")).ok();
        (record.cause, said)
    }

    pub async fn run_launch(&self, launch: Launch) -> Result<ExitRecord, Error> {
        let mut running = within(self.containers.start(launch)).await?;
        Ok(within(running.wait()).await)
    }

    pub async fn lines(&self, id: &str) -> Vec<Line> {
        Logs::new(&self.config.log_dir.join("test").join(id)).tail(10_000).await.unwrap()
    }

    pub async fn said(&self, id: &str) -> String {
        self.lines(id).await.into_iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
    }

    /// Waits until the container has said `text`.
    pub async fn heard(&self, id: &str, text: &str) {
        eventually(&format!("{id} says {text}"), async || self.said(id).await.contains(text)).await;
    }

    /// The control group's directories that exist.
    pub fn cgroups(&self, id: &str) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let groups = mounts.lines().filter(|line| line.contains(" - cgroup"));
        let dirs =
            groups.map(|line| PathBuf::from(format!("{}{}/{id}", line.split(' ').nth(4).unwrap(), self.config.cgroup_parent)));
        dirs.filter(|dir| dir.exists()).collect()
    }

    /// The process that holds the container.
    pub fn shim(&self, id: &str) -> u32 {
        let launch = format!("{}/", self.config.run_dir.join("shims").join(id).display());
        let found = processes().into_iter().find(|pid| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command.starts_with(b"stead-shim") && String::from_utf8_lossy(&command).contains(&launch)
        });
        found.unwrap_or_else(|| panic!("no shim of {id}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let containers = self.containers.clone();
        let cleaned = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for id in containers.list().await.unwrap() {
                    containers.release(&id).await.unwrap();
                }
            });
        });
        cleaned.join().unwrap();
        for pin in fs::read_dir(&self.config.netns_dir).unwrap() {
            netns::delete(&pin.unwrap().path()).unwrap();
        }
        for group in self.cgroups("") {
            fs::remove_dir(group).unwrap();
        }
    }
}

pub fn spec(id: &str, args: &[&str]) -> Spec {
    Spec {
        id: id.to_owned(),
        image: "sha256:test".to_owned(),
        process: Process {
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
            env: BTreeMap::new(),
            workdir: String::new(),
            user: String::new(),
        },
        resources: Resources::default(),
        link: Link { host_name: "st0".to_owned(), netns: "net".to_owned(), addresses: vec![] },
        host_name: "replica".to_owned(),
        probe: None,
        stop: Stop { signal: "SIGTERM".to_owned(), grace: spec::units::Duration::seconds(10) },
        log: format!("test/{id}"),
    }
}

/// Makes a root directory with busybox and a link for each of its programs.
fn busybox(root: &Path) {
    for dir in ["bin", "etc", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/bin/sh\n").unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\nweb:x:33:\nextra:x:50:web\n").unwrap();
    let programs = std::process::Command::new("/bin/busybox").arg("--list").output().unwrap().stdout;
    for program in String::from_utf8(programs).unwrap().lines().filter(|program| *program != "busybox") {
        symlink("busybox", root.join("bin").join(program)).unwrap();
    }
}

pub fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a process runs: a zombie does not.
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub fn kill(pid: u32) {
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid as i32).unwrap(), rustix::process::Signal::KILL).unwrap();
}

pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
