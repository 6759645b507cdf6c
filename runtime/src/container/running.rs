//! A container that runs, as the daemon sees it.

use std::io;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant, SystemTime};

use spec::Timestamp;
use spec::kind::container::Cause;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;

use super::paths::{Paths, with_short_path};
use super::protocol::{Hello, Message, Request, line};
use super::{Containers, Error, ExitRecord, SHIM_PATIENCE, blocking, host, lock, read_record, signal};

/// Pause between two tries to reach a shim.
const RETRY: Duration = Duration::from_millis(10);

/// A container that runs, or ended a moment ago.
///
/// Dropping it leaves the container alone, and ends an init step.
pub struct Running {
    /// Its first process, in the host's numbers.
    pub pid: u32,
    pub attempt: u64,
    /// When its program began to run.
    pub started: Timestamp,
    step: bool,
    id: String,
    paths: Paths,
    containers: Containers,
    channel: Channel,
    ended: Option<ExitRecord>,
}

impl Running {
    pub(super) fn new(containers: &Containers, paths: Paths, id: String, channel: Channel, hello: Hello) -> Running {
        let Hello { pid, attempt, started, step, .. } = hello;
        Running { pid, attempt, started, step, id, paths, containers: containers.clone(), channel, ended: None }
    }

    /// Waits for the end. May be cancelled, and called again also after the end.
    ///
    /// When the shim vanishes, what it held is killed and the cause is [`Cause::Lost`].
    pub async fn wait(&mut self) -> ExitRecord {
        loop {
            if let Some(record) = &self.ended {
                return record.clone();
            }
            match self.channel.receive().await {
                Some(Message::Exited(record)) => self.ended = Some(record),
                Some(_) => {}
                None => match attach(&self.containers, &self.paths, &self.id).await {
                    Ok(Some(again)) if again.attempt == self.attempt => self.channel = again.channel,
                    Ok(Some(_) | None) => self.ended = Some(self.lost().await),
                    Err(error) => {
                        tracing::warn!(%error, id = self.id, "a shim hung up");
                        tokio::time::sleep(SHIM_PATIENCE).await;
                    }
                },
            }
        }
    }

    /// Asks the container to end by `signal`, and has it killed after `grace`. [`Running::wait`] tells when it is done.
    ///
    /// With a `signal` that is none it is killed after `grace` all the same: a container that cannot be ended would stay for ever.
    pub async fn stop(&self, signal: &str, grace: Duration) -> Result<(), Error> {
        let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        let request = Request::Stop { signal: signal.to_owned(), grace_ms };
        match self.channel.write.lock().await.write_all(&line(&request)).await {
            // It has ended already.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(host(&self.id, "ask its shim to stop it")(error)),
            Ok(()) if signal::number(signal).is_none() => Err(Error::Signal(signal.to_owned())),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn is_step(&self) -> bool {
        self.step
    }

    /// Says what is known of a container whose shim is gone, and makes sure that it is gone too.
    async fn lost(&self) -> ExitRecord {
        let (containers, group) = (self.containers.clone(), self.paths.cgroup.clone());
        let killed = blocking(&self.id, "kill what its shim left", move || containers.0.cgroups.kill(&group)).await;
        if let Err(error) = killed {
            tracing::warn!(%error, "a container may run on without its shim");
        }
        let written = read_record(&self.paths).filter(|record| record.attempt == self.attempt && !self.step);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let ended = Timestamp(since.as_millis() as u64);
        written.unwrap_or(ExitRecord { attempt: self.attempt, started: self.started, ended, cause: Cause::Lost })
    }
}

/// Connects to the shim of a container; `None` when none is alive.
pub(super) async fn attach(containers: &Containers, paths: &Paths, id: &str) -> Result<Option<Running>, Error> {
    let deadline = Instant::now() + SHIM_PATIENCE;
    loop {
        if lock::holder(&paths.lock()).map_err(host(id, "look for its shim"))?.is_none() {
            return Ok(None);
        }
        if let Some((channel, hello)) = greet(paths).await {
            return Ok(Some(Running::new(containers, paths.clone(), id.to_owned(), channel, hello)));
        }
        // It starts, or it leaves.
        if Instant::now() >= deadline {
            return Err(Error::Silent(id.to_owned()));
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn greet(paths: &Paths) -> Option<(Channel, Hello)> {
    let stream = with_short_path(&paths.run, |dir| UnixStream::connect(dir.join("sock"))).ok()?;
    let mut channel = Channel::new(stream).ok()?;
    match tokio::time::timeout(SHIM_PATIENCE, channel.receive()).await {
        Ok(Some(Message::Running(hello))) => Some((channel, hello)),
        _ => None,
    }
}

/// A connection to a shim.
pub(super) struct Channel {
    read: Lines<BufReader<OwnedReadHalf>>,
    write: Mutex<OwnedWriteHalf>,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> io::Result<Channel> {
        stream.set_nonblocking(true)?;
        let (read, write) = tokio::net::UnixStream::from_std(stream)?.into_split();
        Ok(Channel { read: BufReader::new(read).lines(), write: Mutex::new(write) })
    }

    /// Returns the next message, passing over those of a later version; `None` when the shim hung up. May be cancelled.
    pub(super) async fn receive(&mut self) -> Option<Message> {
        while let Ok(Some(line)) = self.read.next_line().await {
            if let Ok(message) = serde_json::from_str(&line) {
                return Some(message);
            }
        }
        None
    }
}
