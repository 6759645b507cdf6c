//! A real node in a network namespace of its own, driven by the real command line.

mod namespace;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::{eventually, host, http, program, until};

pub use namespace::Namespace;

/// A node that runs. Dropped, it is ended with all it has.
pub struct Server {
    pub namespace: Namespace,
    dir: tempfile::TempDir,
    daemon: Option<Child>,
    id: String,
}

impl Server {
    /// Starts a node in a fresh place, with the hello image loaded as `hello:latest`.
    pub fn new() -> Server {
        assert!(rustix::process::geteuid().is_root(), "this test starts containers: run it as root");
        let dir = tempfile::Builder::new().prefix("stead-e2e-").tempdir().expect("a directory");
        let mut server = Server { namespace: Namespace::new(dir.path()), dir, daemon: None, id: String::new() };
        server.start();
        let identity = fs::read_to_string(server.data().join("node.json")).expect("the node wrote down who it is");
        let identity: Value = serde_json::from_str(&identity).expect("its identity is JSON");
        identity["id"].as_str().expect("it has an id").clone_into(&mut server.id);
        server.load(program::hello_archive());
        server
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn run(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Starts the daemon, and waits until it answers.
    pub fn start(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let log = fs::File::options().create(true).append(true).open(self.dir.path().join("daemon.log")).expect("a log");
        let mut command = self.command(&program::stead());
        command.arg("daemon").arg("--data").arg(self.data()).arg("--run").arg(self.run());
        command.arg("--env-file").arg(self.dir.path().join("env")).args(["--log", "debug"]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a log")).stderr(log);
        self.daemon = Some(command.spawn().expect("the daemon starts"));
        let socket = self.run().join("stead.sock");
        until("the daemon answers", || {
            if let Some(status) = self.daemon.as_mut().and_then(|daemon| daemon.try_wait().ok().flatten()) {
                panic!("the daemon ended ({status}):\n{}", self.log());
            }
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        });
    }

    /// Kills the daemon as hard as can be; containers and data plane stay.
    pub fn kill(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        daemon.kill().expect("it can be killed");
        daemon.wait().expect("it is reaped");
    }

    /// Asks the daemon to end, and waits for it.
    pub fn stop(&mut self) {
        let mut daemon = self.daemon.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&daemon);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it can be asked");
        let status = daemon.wait().expect("it is reaped");
        assert!(status.success(), "the daemon ended with {status}:\n{}", self.log());
    }

    /// Brings an image in, from an OCI archive.
    pub fn load(&self, archive: &Path) {
        self.stead(&["image", "load", archive.to_str().expect("a plain path")]).good();
    }

    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("daemon.log")).unwrap_or_default()
    }

    /// Writes the node's environment file.
    pub fn env_file(&self, text: &str) {
        fs::write(self.dir.path().join("env"), text).expect("it can be written");
    }

    /// Runs the command line against this node.
    pub fn stead(&self, args: &[&str]) -> Answer {
        let mut command = self.command(&program::stead());
        command.arg("--socket").arg(self.run().join("stead.sock")).args(args).stdin(Stdio::null());
        Answer { args: args.join(" "), output: command.output().expect("stead runs"), log: self.dir.path().join("daemon.log") }
    }

    /// Writes a manifest to a file and returns its path.
    pub fn manifest(&self, text: &str) -> String {
        let path = self.dir.path().join(format!("{}.yaml", spec::hash::hex(&[text], 8)));
        fs::write(&path, text).expect("it can be written");
        path.to_str().expect("a plain path").to_owned()
    }

    /// Applies a manifest and waits until it serves.
    pub fn up(&self, text: &str) -> Answer {
        self.stead(&["up", "--timeout", "60s", &self.manifest(text)])
    }

    /// Returns the objects of a kind, by name.
    pub fn objects(&self, kind: &str) -> BTreeMap<String, Value> {
        let answer = self.stead(&["get", kind, "-o", "json"]).good();
        let objects: Vec<Value> = serde_json::from_str(&answer).expect("a list of objects");
        objects.into_iter().map(|object| (object["name"].as_str().expect("a name").to_owned(), object)).collect()
    }

    /// Returns the process of each container that runs, by replica.
    pub fn pids(&self) -> BTreeMap<String, u32> {
        let containers = self.objects("container");
        let pid = |object: &Value| object["status"]["state"]["running"]["pid"].as_u64().map(|pid| pid as u32);
        containers.iter().filter_map(|(name, object)| Some((name.clone(), pid(object)?))).collect()
    }

    /// Returns a replica's addresses: in its deployment's network, and in its service's.
    pub fn addresses(&self, replica: &str) -> Vec<Ipv4Addr> {
        let replicas = self.objects("replica");
        let addresses = replicas[replica]["spec"]["addresses"].as_array().expect("it has addresses");
        addresses
            .iter()
            .map(|address| address["address"].as_str().and_then(|text| text.parse().ok()).expect("an address"))
            .collect()
    }

    /// Returns the process of a replica's container, once it runs.
    pub fn pid(&self, replica: &str) -> u32 {
        eventually(&format!("{replica} runs"), || self.pids().get(replica).copied())
    }

    /// Fetches from this node's own loopback address.
    pub fn get(&self, port: u16, path: &str) -> std::io::Result<(u16, String)> {
        let (address, path) = (SocketAddr::from(([127, 0, 0, 1], port)), path.to_owned());
        self.namespace.run(move || http::get(address, &path))
    }

    /// Waits until a page is served, and returns its body.
    pub fn page(&self, port: u16, path: &str) -> String {
        eventually(&format!(":{port}{path} answers 200"), || match self.get(port, path) {
            Ok((200, body)) => Some(body),
            _ => None,
        })
    }

    /// Returns everything of this node that is on the host, but its data.
    pub fn traces(&self) -> host::Traces {
        let (links, tables) = self.namespace.links_and_tables();
        host::Traces {
            links,
            tables,
            mounts: host::mounts(&self.run()),
            control_groups: host::control_groups(&self.id),
            processes: self.processes(),
            files: host::files(&self.run()),
        }
    }

    /// Returns the processes in this node's network: daemon, data plane and shims. Containers have networks of their own.
    pub fn processes(&self) -> BTreeSet<String> {
        host::processes(&self.namespace.link())
    }

    /// Returns the state that is kept below the data directory, but images.
    pub fn state_files(&self) -> BTreeSet<PathBuf> {
        host::files(&self.data()).into_iter().filter(|path| !path.starts_with("images")).collect()
    }

    /// Returns a command that runs in this node's network.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        let namespace = self.namespace.descriptor();
        command.env_remove("STEAD_SOCKET");
        // SAFETY: setns(2) is all that runs between fork and exec; it allocates nothing.
        unsafe {
            command.pre_exec(move || {
                use std::os::fd::AsFd as _;
                let kind = Some(rustix::thread::LinkNameSpaceType::Network);
                rustix::thread::move_into_link_name_space(namespace.as_fd(), kind).map_err(Into::into)
            });
        }
        command
    }
}

impl Default for Server {
    fn default() -> Server {
        Server::new()
    }
}

impl Drop for Server {
    /// Leaves nothing, also after a failure in the middle of a test.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(60).collect();
            eprintln!("the daemon's last words:\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
        if self.daemon.is_none() && !self.processes().is_empty() {
            self.start();
        }
        if self.daemon.is_none() {
            return;
        }
        for deployment in serde_json::from_slice::<Vec<Value>>(&self.stead(&["get", "deployment", "-o", "json"]).output.stdout)
            .unwrap_or_default()
        {
            let _ = self.stead(&["delete", deployment["name"].as_str().unwrap_or_default()]);
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&daemon), rustix::process::Signal::TERM);
            let _ = daemon.wait();
        }
    }
}

/// What a command said.
pub struct Answer {
    args: String,
    pub output: Output,
    log: PathBuf,
}

impl Answer {
    /// Returns standard output of a command that must succeed.
    #[track_caller]
    pub fn good(self) -> String {
        assert!(
            self.output.status.success(),
            "stead {}: {}\n{}",
            self.args,
            self.all(),
            fs::read_to_string(&self.log).unwrap_or_default()
        );
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// Returns both outputs of a command that must fail.
    #[track_caller]
    pub fn bad(self) -> String {
        assert!(!self.output.status.success(), "stead {} did not fail: {}", self.args, self.all());
        self.all()
    }

    /// Returns both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", String::from_utf8_lossy(&self.output.stdout), String::from_utf8_lossy(&self.output.stderr))
    }
}
