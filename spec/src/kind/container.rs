//! A container on its node: everything needed to run it, and what became of it.
//!
//! Spec: controller `container`. Status: the node's edge.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::image::Failure;
use crate::manifest::Resources;
use crate::net::Link;
use crate::units::{Duration, Timestamp};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Name of everything the container has on the host (control group, state directory, network namespace); unique on the host.
    pub id: String,
    /// Manifest digest of the image, `sha256:…`.
    pub image: String,
    pub process: Process,
    pub resources: Resources,
    pub link: Link,
    pub host_name: String,
    pub probe: Option<Probe>,
    pub stop: Stop,
    /// Where its log files are, below the node's log directory: `<deployment>/<service>/<replica>`.
    pub log: String,
}

/// What runs: arguments complete, with the image's own defaults already filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub args: Vec<String>,
    pub env: BTreeMap<String, Variable>,
    pub workdir: String,
    /// User of the image's configuration: `name`, `uid`, `name:group` or `uid:gid`; empty for root.
    pub user: String,
}

/// Value of an environment variable. Its JSON says which kind it is, so that no text an image brings can pass for a reference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variable {
    Text(String),
    /// The variable of the node by this name, read at each start.
    Node(String),
    /// The secret of the deployment by this name.
    Secret(String),
}

/// How to find out whether the container can serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    pub check: Check,
    /// The replica's own address, on which the check is made from inside its network namespace.
    pub address: Ipv4Addr,
    pub interval: Duration,
    pub timeout: Duration,
    /// Failures in a row that make a container that was healthy unhealthy.
    pub retries: u32,
    /// Time after a start in which failures do not count, unless it has passed before.
    pub start_grace: Duration,
    /// Whether an unhealthy container is restarted, or only gets no traffic.
    pub restart: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    Tcp { port: u16 },
    Http { port: u16, path: String, expect_status: Option<u16> },
}

/// How it is asked to end: a signal, and after `grace` a kill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub signal: String,
    pub grace: Duration,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Whether its link was complete when last looked at.
    pub linked: bool,
    pub state: State,
    /// The latest ends, oldest first; at most [`EXITS_KEPT`].
    pub exits: Vec<Exit>,
    /// Ends that are no longer in `exits`.
    pub exits_forgotten: u64,
    pub health: Health,
    /// Why its link could not be made.
    pub link_failure: Option<Failure>,
    /// Nothing of it is left on the host.
    pub released: bool,
}

/// How many ends a status remembers: enough to see a crash loop.
pub const EXITS_KEPT: usize = 6;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not started yet, or its end is the last of `exits`.
    #[default]
    Down,
    Running { attempt: u64, pid: u32, since: Timestamp },
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    pub attempt: u64,
    pub started: Timestamp,
    pub ended: Timestamp,
    pub cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Code(i32),
    Signal(String),
    OutOfMemory,
    /// It never ran; says why.
    NotStarted(String),
    /// An init step failed, so it was not started.
    InitFailed { step: String, message: String },
    /// Its shim vanished without a word, as after a reboot.
    Lost,
    /// It was stopped because its probe kept failing.
    Unhealthy(String),
}

/// What the probe found since the last start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Health {
    /// It passed at least once.
    pub passed: bool,
    /// Failures in a row; the count stops at the probe's `retries`.
    pub failures: u32,
    /// What the last failure was.
    pub message: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Code(code) => write!(f, "it exited with code {code}"),
            Cause::Signal(signal) => write!(f, "it was ended by {signal}"),
            Cause::OutOfMemory => f.write_str("it was killed for using more memory than its limit"),
            Cause::NotStarted(why) => write!(f, "it could not start: {why}"),
            Cause::InitFailed { step, message } => write!(f, "init step `{step}` failed: {message}"),
            Cause::Lost => f.write_str("it vanished while nobody watched, as in a reboot"),
            Cause::Unhealthy(message) => write!(f, "it was stopped because its health check kept failing: {message}"),
        }
    }
}

impl Status {
    /// Returns the number of the last attempt that ended, 0 before the first.
    pub fn last_attempt(&self) -> u64 {
        self.exits.last().map_or(0, |exit| exit.attempt)
    }

    /// Notes the end of an attempt, once; an attempt whose end is known does not run, whatever was said of it since.
    pub fn ended_once(&mut self, exit: Exit) {
        if self.last_attempt() < exit.attempt {
            self.ended(exit);
        } else if matches!(self.state, State::Running { attempt, .. } if attempt <= exit.attempt) {
            self.state = State::Down;
            self.health = Health::default();
        }
    }

    /// Adds an end and forgets the oldest beyond [`EXITS_KEPT`].
    pub fn ended(&mut self, exit: Exit) {
        self.state = State::Down;
        self.health = Health::default();
        self.exits.push(exit);
        while self.exits.len() > EXITS_KEPT {
            self.exits.remove(0);
            self.exits_forgotten += 1;
        }
    }
}
