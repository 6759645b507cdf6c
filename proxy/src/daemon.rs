//! The daemon's side: keeps one data plane alive and tells it what to serve.

mod holder;
mod keeper;
mod process;
mod sockets;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::plane::metrics::Figures;
use crate::wire::Tables;
use keeper::{Command, Keeper};

/// The user that owns nothing, on every distribution.
const NOBODY: u32 = 65_534;

/// Where containers send their queries: the gateway's link-local address, on every link.
const DNS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 1, 1), 53);

/// How long a command may take, restarts of the process included.
const PATIENCE: Duration = Duration::from_secs(30);

/// Commands that wait for their turn: callers wait for the rest.
const COMMANDS: usize = 16;

/// Where and how the data plane runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the control socket; made with mode 0700 if it is missing.
    pub control: PathBuf,
    /// The program whose main calls [`crate::data_plane_main`].
    pub program: PathBuf,
    /// Arguments that come first, such as `data-plane`.
    pub args: Vec<OsString>,
    /// Servers for names that are not ours, in order of preference.
    pub upstream_dns: Vec<SocketAddr>,
    pub uid: u32,
    pub gid: u32,
    /// Address on which containers are answered.
    pub dns: SocketAddrV4,
    /// Address on which endpoints are served; all of the machine's if `None`.
    pub bind: Option<IpAddr>,
}

impl Config {
    /// Returns the usual configuration: user nobody, all addresses, no upstream servers.
    pub fn new(control: PathBuf, program: PathBuf, args: Vec<OsString>) -> Config {
        Config { control, program, args, upstream_dns: Vec::new(), uid: NOBODY, gid: NOBODY, dns: DNS, bind: None }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the control directory {path}")]
    Directory { path: PathBuf, source: io::Error },
    #[error("the control socket {path}")]
    Control { path: PathBuf, source: io::Error },
    #[error("starting the data plane {program}")]
    Start { program: PathBuf, source: io::Error },
    #[error("the data plane {program} ended before it could be reached")]
    Stillborn { program: PathBuf },
    #[error("talking to the data plane")]
    Talk(#[source] io::Error),
    #[error("another daemon holds the data plane, process {pid}")]
    Busy { pid: u32 },
    #[error("the data plane speaks version {version} of its protocol, and not {ours}")]
    Version { version: u32, ours: u32 },
    #[error("ending the data plane, process {pid}")]
    End { pid: u32, source: io::Error },
    #[error("the data plane did not get ready within {} s", PATIENCE.as_secs())]
    Timeout,
    #[error("the data plane was shut down")]
    ShutDown,
}

/// What came of setting the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Ports that could not be bound, each with the reason. All others are served; these are tried again every few seconds,
    /// and leave [`Status::failed`] when that succeeds.
    pub failed: BTreeMap<u16, String>,
}

/// What is known of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// `None` while there is no process.
    pub pid: Option<u32>,
    /// Counts changes of the tables it has acknowledged, over restarts of the daemon too.
    pub generation: u64,
    /// How often it had to be started again since this daemon has it.
    pub restarts: u64,
    /// Ports that are not bound, each with the reason.
    pub failed: BTreeMap<u16, String>,
}

/// A handle on the node's data plane. The process goes on when all handles are gone.
#[derive(Clone, Debug)]
pub struct DataPlane {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<Status>,
    upstream_dns: Vec<SocketAddr>,
}

impl DataPlane {
    /// Re-attaches to the process that is alive, or else starts one; starts it again whenever it dies, with its last tables.
    pub async fn open(config: Config) -> Result<DataPlane, Error> {
        let upstream_dns = config.upstream_dns.clone();
        let keeper = tokio::time::timeout(PATIENCE, Keeper::open(config)).await.map_err(|_| Error::Timeout)??;
        let status = keeper.status();
        let (commands, queue) = mpsc::channel(COMMANDS);
        tokio::spawn(keeper.run(queue));
        Ok(DataPlane { commands, status, upstream_dns })
    }

    /// Serves `tables`, all of them and nothing else; returns once the process does.
    ///
    /// After an error they are still what is wanted, and are served as soon as that is possible.
    pub async fn set(&self, tables: &spec::plan::Tables) -> Result<Applied, Error> {
        let tables = Tables::new(tables, self.upstream_dns.clone());
        self.ask(|reply| Command::Set(Box::new(tables), reply)).await
    }

    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Returns the counters of the process.
    pub async fn figures(&self) -> Result<Figures, Error> {
        self.ask(Command::Figures).await
    }

    /// Ends the process: it stops accepting, and what is in flight gets a few seconds.
    pub async fn shut_down(&self) -> Result<(), Error> {
        self.ask(Command::ShutDown).await?
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.commands.send(command(reply)).await.map_err(|_| Error::ShutDown)?;
            answer.await.map_err(|_| Error::ShutDown)
        };
        tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| Error::Timeout)?
    }
}
