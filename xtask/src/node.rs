//! One `stead daemon` and the command line that talks to it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::http;
use crate::process::{self, Tool};

/// How long a daemon may take to be ready, also in an emulated VM.
const START: Duration = Duration::from_secs(60);
/// How long it may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// How long `up` waits; when that is too short it says what it waits for.
const UP: &str = "2m";
/// Bound on one call of the command line.
const COMMAND: Duration = Duration::from_secs(180);
/// How often something is asked that is not there yet.
const PAUSE: Duration = Duration::from_millis(20);

/// A running daemon, with everything it keeps below one directory.
pub struct Node {
    stead: PathBuf,
    dir: PathBuf,
    daemon: Child,
}

impl Node {
    /// Starts a daemon and waits until it is ready.
    pub fn start(stead: &Path, dir: &Path) -> Result<Node> {
        let log = File::create(dir.join("daemon.log"))?;
        let mut command = Command::new(stead);
        command.arg("daemon").arg("--data").arg(dir.join("data")).arg("--run").arg(dir.join("run"));
        // Colours are for people at a terminal, not for logs.
        command.env("NO_COLOR", "1").stdout(log.try_clone()?).stderr(log);
        let daemon = process::spawn_dependent(&mut command)?;
        let mut node = Node { stead: stead.to_owned(), dir: dir.to_owned(), daemon };
        node.wait_until_ready().with_context(|| node.log())?;
        Ok(node)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let socket = self.socket();
        let answer = until(START, || {
            if let Some(status) = self.daemon.try_wait()? {
                return Ok(Err(format!("stead daemon ended ({status})")));
            }
            match http::get_unix(&socket, "/readyz")? {
                answer if answer.status == 200 => Ok(Ok(())),
                answer => bail!("/readyz says {} {}", answer.status, answer.body),
            }
        });
        answer.context("stead daemon is not ready")?.map_err(anyhow::Error::msg)
    }

    /// Returns what tells this node's names on the machine from another's.
    pub fn id(&self) -> Result<String> {
        let path = self.dir.join("data/node.json");
        let identity: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
        identity["id"].as_str().map(str::to_owned).with_context(|| format!("{} has no id", path.display()))
    }

    pub fn pid(&self) -> u32 {
        self.daemon.id()
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/stead.sock")
    }

    pub fn load(&self, archive: &Path) -> Result<()> {
        self.call(|tool| tool.args(["image", "load"]).arg(archive)).map(drop)
    }

    /// Applies a manifest and waits until it runs.
    pub fn up(&self, manifest: &Path) -> Result<()> {
        self.call(|tool| tool.arg("up").arg(manifest).args(["--timeout", UP])).map(drop)
    }

    /// Applies a manifest and does not wait.
    pub fn up_detached(&self, manifest: &Path) -> Result<()> {
        self.call(|tool| tool.arg("up").arg(manifest).arg("--detach")).map(drop)
    }

    pub fn delete(&self, deployment: &str) -> Result<()> {
        self.call(|tool| tool.args(["delete", deployment])).map(drop)
    }

    pub fn get(&self, kind: &str) -> Result<Value> {
        let text = self.call(|tool| tool.args(["get", kind, "-o", "json"]))?;
        serde_json::from_str(&text).with_context(|| format!("stead get {kind}"))
    }

    fn call(&self, with: impl FnOnce(Tool) -> Tool) -> Result<String> {
        with(Tool::new(&self.stead).arg("--socket").arg(self.socket()).timeout(COMMAND)).run()
    }

    /// Returns the end of what the daemon wrote.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("daemon.log")).unwrap_or_default();
        format!("the daemon's last lines:\n{}", process::tail(&text))
    }

    /// Stops the daemon, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        let status = process::stop(&mut self.daemon, STOP).context("stead daemon")?;
        if !status.success() {
            bail!("stead daemon ended with {status}; {}", self.log());
        }
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // After `stop` there is nobody left, and otherwise an error is on its way already.
        if matches!(self.daemon.try_wait(), Ok(None)) {
            let _ = process::stop(&mut self.daemon, STOP);
        }
    }
}

/// Calls `attempt` until it succeeds; returns the last error after `patience`.
pub fn until<T>(patience: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match attempt() {
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("after {} s", patience.as_secs())));
            }
            Err(_) => std::thread::sleep(PAUSE),
            done => return done,
        }
    }
}
