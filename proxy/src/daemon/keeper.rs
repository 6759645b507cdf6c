//! The task behind a [`super::DataPlane`]: holds the sockets, the tables that are wanted, and the process that serves them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::process::{Process, Sockets, unexpected};
use super::{Applied, Config, Error, Status, sockets};
use crate::plane::metrics::Figures;
use crate::wire::{Reply, Request, Socket, Tables};

/// First pause before the process is started again after an early death; doubled each time.
const BACKOFF: Duration = Duration::from_millis(100);

const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// A process that lived this long died for a new reason: the next start is at once.
const SETTLED: Duration = Duration::from_secs(10);

/// How often ports that could not be bound are tried again.
const RETRY_BIND: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) enum Command {
    Set(Box<Tables>, oneshot::Sender<Applied>),
    Figures(oneshot::Sender<Figures>),
    ShutDown(oneshot::Sender<Result<(), Error>>),
}

pub(super) struct Keeper {
    config: Config,
    process: Option<Process>,
    sockets: Sockets,
    /// Sockets that the process has.
    given: BTreeSet<Socket>,
    /// What is to be served; `None` until the first set.
    wanted: Option<Tables>,
    /// What the process has acknowledged; `None` if it is not known.
    served: Option<Tables>,
    generation: u64,
    failed: BTreeMap<Socket, String>,
    /// Callers whose tables the process does not have yet.
    waiting: Vec<oneshot::Sender<Applied>>,
    restarts: u64,
    started: Instant,
    next_start: Instant,
    backoff: Duration,
    status: watch::Sender<Status>,
}

impl Keeper {
    pub(super) async fn open(config: Config) -> Result<Keeper, Error> {
        let (process, sockets, given) = match Process::attach(&config).await? {
            Some((process, sockets)) if process.is_of_our_version() => {
                info!(pid = process.pid, generation = process.hello.generation, "data plane found alive");
                let given = sockets.keys().copied().collect();
                (process, sockets, given)
            }
            // Connections wait in its sockets until its successor has them.
            Some((process, sockets)) => {
                info!(pid = process.pid, version = process.hello.version, "data plane of another version replaced");
                process.end().await?;
                (Process::start(&config).await?, sockets, BTreeSet::new())
            }
            None => (Process::start(&config).await?, Sockets::new(), BTreeSet::new()),
        };
        let now = Instant::now();
        let mut keeper = Keeper {
            config,
            given,
            generation: process.hello.generation,
            process: Some(process),
            sockets,
            wanted: None,
            served: None,
            failed: BTreeMap::new(),
            waiting: Vec::new(),
            restarts: 0,
            started: now,
            next_start: now,
            backoff: BACKOFF,
            status: watch::Sender::default(),
        };
        keeper.report();
        Ok(keeper)
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Works until the last handle is gone or the process was shut down.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::ShutDown(reply)) => {
                        let _ = reply.send(self.shut_down().await);
                        return;
                    }
                    Some(command) => self.obey(command).await,
                    None => return,
                },
                () = lost(self.process.as_ref()) => self.mourn().await,
                () = tokio::time::sleep_until(self.next_start), if self.process.is_none() => self.start_again().await,
                () = tokio::time::sleep(RETRY_BIND), if self.process.is_some() && !self.failed.is_empty() => self.serve().await,
            }
            self.report();
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Set(tables, reply) => {
                self.wanted = Some(*tables);
                self.waiting.push(reply);
                self.serve().await;
            }
            Command::Figures(reply) => {
                if let Some(figures) = self.figures().await {
                    // A caller that gave up wants no answer.
                    let _ = reply.send(figures);
                }
            }
            Command::ShutDown(_) => {}
        }
    }

    async fn figures(&mut self) -> Option<Figures> {
        match self.process.as_mut()?.ask(&Request::Figures).await {
            Ok(Reply::Figures(figures)) => Some(figures),
            Ok(other) => {
                self.give_up(unexpected(&other)).await;
                None
            }
            Err(error) => {
                self.give_up(error).await;
                None
            }
        }
    }

    /// Makes the process serve what is wanted, and answers those who wait for that.
    async fn serve(&mut self) {
        if let Err(error) = self.try_serve().await {
            self.give_up(error).await;
        }
    }

    async fn try_serve(&mut self) -> Result<(), Error> {
        let (Some(process), Some(wanted)) = (&mut self.process, &self.wanted) else { return Ok(()) };
        let needed: BTreeSet<Socket> = wanted.ports().map(Socket::Http).chain([Socket::DnsUdp, Socket::DnsTcp]).collect();
        self.failed.clear();
        for &socket in needed.iter().filter(|socket| !self.sockets.contains_key(socket)).collect::<Vec<_>>() {
            match sockets::open(socket, self.config.bind, self.config.dns) {
                Ok(file) => drop(self.sockets.insert(socket, file)),
                Err(reason) => drop(self.failed.insert(socket, reason)),
            }
        }
        let new: Vec<_> = self
            .sockets
            .iter()
            .filter(|(socket, _)| !self.given.contains(socket))
            .map(|(&socket, file)| (socket, file))
            .collect();
        process.send_sockets(&new).await?;

        // A process that was found says what it serves by a hash; if that is what is wanted, nothing is sent.
        let (reset, present) = match &self.served {
            Some(served) => (false, served.clone()),
            None if process.hello.hash == wanted.hash() => (false, wanted.clone()),
            None => (true, Tables::default()),
        };
        let change = present.difference(wanted);
        if reset || !new.is_empty() || !change.is_empty() {
            let generation = self.generation + 1;
            match process.ask(&Request::Update { generation, reset, change }).await? {
                Reply::Done => self.generation = generation,
                other => return Err(unexpected(&other)),
            }
        }
        // The process has closed its own by now, so this frees the ports.
        self.sockets.retain(|socket, _| needed.contains(socket));
        self.given = self.sockets.keys().copied().collect();
        self.served = Some(wanted.clone());
        self.answer_waiting();
        Ok(())
    }

    /// Tells those who wait that their tables are served, and the rest of the world before them.
    fn answer_waiting(&mut self) {
        self.report();
        let applied = Applied { failed: self.failures() };
        for waiting in self.waiting.drain(..) {
            // A caller that gave up wants no answer.
            let _ = waiting.send(applied.clone());
        }
    }

    fn failures(&self) -> BTreeMap<u16, String> {
        let port = |socket: &Socket| match socket {
            Socket::Http(port) => *port,
            Socket::DnsUdp | Socket::DnsTcp => self.config.dns.port(),
        };
        self.failed.iter().map(|(socket, reason)| (port(socket), reason.clone())).collect()
    }

    /// Ends a process that does not do as it is told; the next one gets a fresh start.
    async fn give_up(&mut self, error: Error) {
        warn!(error = &error as &dyn std::error::Error, "data plane given up");
        self.mourn().await;
    }

    /// Sees the process off; a start is due at once, or after a pause if it lived shortly.
    async fn mourn(&mut self) {
        let Some(process) = self.process.take() else { return };
        // It may be alive with its connection broken: two must never serve one port.
        if let Err(error) = process.kill().await {
            error!(error = &error as &dyn std::error::Error, "data plane not ended");
        }
        warn!(pid = process.pid, "data plane lost");
        self.served = None;
        self.given.clear();
        let lived = self.started.elapsed();
        if lived >= SETTLED || self.restarts == 0 {
            self.backoff = BACKOFF;
            self.next_start = Instant::now();
        } else {
            self.pause();
        }
    }

    fn pause(&mut self) {
        self.next_start = Instant::now() + self.backoff;
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }

    async fn start_again(&mut self) {
        match Process::start(&self.config).await {
            Ok(process) => {
                self.restarts += 1;
                self.started = Instant::now();
                self.process = Some(process);
                self.serve().await;
            }
            Err(error) => {
                error!(error = &error as &dyn std::error::Error, "data plane not started");
                self.pause();
            }
        }
    }

    async fn shut_down(&mut self) -> Result<(), Error> {
        let Some(process) = self.process.take() else { return Ok(()) };
        let result = process.end().await;
        self.report();
        result
    }

    fn report(&mut self) {
        let status = Status {
            pid: self.process.as_ref().map(|process| process.pid),
            generation: self.generation,
            restarts: self.restarts,
            failed: self.failures(),
        };
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            *shown = status;
            changed
        });
    }
}

async fn lost(process: Option<&Process>) {
    match process {
        Some(process) => process.lost().await,
        None => std::future::pending().await,
    }
}
