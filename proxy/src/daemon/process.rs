//! One data-plane process: found or started, and known by its pidfd.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::AsyncReadExt;
use tokio::io::unix::AsyncFd;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tracing::info;

use super::{Config, Error};
use crate::channel::{Channel, SOCKETS_MAX};
use crate::plane::READY;
use crate::wire::{Hello, Reply, Request, Socket, VERSION};

/// How long one answer of the process may take: it only swaps tables.
const ANSWER: Duration = Duration::from_secs(10);

/// How long the process has from its start to its first word.
const START: Duration = Duration::from_secs(10);

/// How long the process gets to end by itself: longer than it lets requests finish.
const END: Duration = Duration::from_secs(8);

/// A process and the connection to it.
pub(super) struct Process {
    pub(super) pid: u32,
    pidfd: AsyncFd<OwnedFd>,
    channel: Channel,
    pub(super) hello: Hello,
}

/// Sockets by what they are for.
pub(super) type Sockets = BTreeMap<Socket, OwnedFd>;

impl Process {
    /// Attaches to the process that answers at the control socket, if one does, and takes copies of its sockets.
    pub(super) async fn attach(config: &Config) -> Result<Option<(Process, Sockets)>, Error> {
        let path = socket_path(config)?;
        let stream = match UnixStream::connect(&path).await {
            Ok(stream) => stream,
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind()) => return Ok(None),
            Err(source) => return Err(Error::Control { path, source }),
        };
        // Who called `listen`: the process itself, whatever it may claim.
        let peer = sockopt::socket_peercred(&stream).map_err(|error| Error::Talk(error.into()))?;
        let pidfd = match pidfd_open(peer.pid, PidfdFlags::empty()) {
            // SAFETY: an `OwnedFd` is open for as long as it lives, which is as long as the `AsyncFd` that owns it.
            Ok(pidfd) => unsafe { AsyncFd::register(pidfd) }.map_err(|error| Error::Talk(error.into()))?,
            Err(Errno::SRCH) => return Ok(None),
            Err(error) => return Err(Error::Talk(error.into())),
        };
        let pid = pid_number(peer.pid);
        let mut channel = Channel::new(stream);
        // An answer after the pidfd was opened proves that the pid was not another's by then.
        let greeting = timeout(ANSWER, greeting(&mut channel)).await.map_err(|_| Error::Busy { pid })?;
        let Some((hello, sockets)) = greeting.map_err(Error::Talk)? else { return Ok(None) };
        let process = Process { pid, pidfd, channel, hello };
        Ok(Some((process, sockets)))
    }

    /// Says whether the process and this daemon understand each other.
    pub(super) fn is_of_our_version(&self) -> bool {
        self.hello.version == VERSION
    }

    /// Starts a process; the sockets it will serve on are still to be sent.
    pub(super) async fn start(config: &Config) -> Result<Process, Error> {
        let failed = |source| Error::Start { program: config.program.clone(), source };
        let control = bind_control(config)?;
        let mut child = Command::new(&config.program)
            .args(&config.args)
            .arg("0")
            .arg(format!("{}:{}", config.uid, config.gid))
            .stdin(Stdio::from(control))
            .stdout(Stdio::piped())
            .env_clear()
            .kill_on_drop(false)
            .spawn()
            .map_err(failed)?;
        let stillborn = || Error::Stillborn { program: config.program.clone() };
        if !is_ready(&mut child).await {
            child.kill().await.map_err(failed)?;
            return Err(stillborn());
        }
        // From here on it is known by its pidfd, as one that is found is; tokio reaps it when it ends.
        drop(child);
        let (process, _) = Process::attach(config).await?.ok_or_else(stillborn)?;
        info!(pid = process.pid, "data plane started");
        if process.is_of_our_version() {
            Ok(process)
        } else {
            process.kill().await?;
            Err(Error::Version { version: process.hello.version, ours: VERSION })
        }
    }

    /// Sends sockets ahead of the update that needs them.
    pub(super) async fn send_sockets(&mut self, sockets: &[(Socket, &OwnedFd)]) -> Result<(), Error> {
        for some in sockets.chunks(SOCKETS_MAX) {
            let names = some.iter().map(|(socket, _)| *socket).collect();
            let files: Vec<_> = some.iter().map(|(_, file)| file.as_fd()).collect();
            match self.exchange(&Request::Sockets(names), &files).await? {
                Reply::Done => {}
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    pub(super) async fn ask(&mut self, request: &Request) -> Result<Reply, Error> {
        self.exchange(request, &[]).await
    }

    async fn exchange(&mut self, request: &Request, files: &[std::os::fd::BorrowedFd<'_>]) -> Result<Reply, Error> {
        let exchange = async {
            self.channel.send(request, files).await?;
            let reply = self.channel.receive::<Reply>().await?;
            reply.map(|(reply, _)| reply).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
        };
        let answer = timeout(ANSWER, exchange).await.unwrap_or_else(|elapsed| Err(elapsed.into()));
        answer.map_err(Error::Talk)
    }

    /// Waits until the process is of no more use: it has ended, or its connection has.
    pub(super) async fn lost(&self) {
        tokio::select! {
            _ = self.pidfd.readable() => {}
            () = self.channel.closed() => {}
        }
    }

    /// Ends the process: first asks, then insists.
    pub(super) async fn end(&self) -> Result<(), Error> {
        self.signal(Signal::TERM)?;
        if timeout(END, self.pidfd.readable()).await.is_err() {
            self.kill().await?;
        }
        Ok(())
    }

    /// Ends a process that cannot be asked any more.
    pub(super) async fn kill(&self) -> Result<(), Error> {
        self.signal(Signal::KILL)?;
        let ended = timeout(END, self.pidfd.readable()).await;
        ended.map_err(io::Error::from).and_then(|result| result.map(drop)).map_err(|source| Error::End { pid: self.pid, source })
    }

    fn signal(&self, signal: Signal) -> Result<(), Error> {
        match pidfd_send_signal(self.pidfd.get_ref(), signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::End { pid: self.pid, source: error.into() }),
        }
    }
}

/// Waits for the first word of a process.
async fn is_ready(child: &mut Child) -> bool {
    let Some(output) = child.stdout.take() else { return false };
    let mut said = Vec::new();
    let heard = timeout(START, output.take(READY.len() as u64).read_to_end(&mut said)).await;
    matches!(heard, Ok(Ok(_))) && said == READY
}

pub(super) fn unexpected(reply: &Reply) -> Error {
    Error::Talk(io::Error::new(io::ErrorKind::InvalidData, format!("an unexpected answer: {reply:?}")))
}

fn pid_number(pid: Pid) -> u32 {
    // Process ids are positive.
    pid.as_raw_nonzero().get().unsigned_abs()
}

/// Reads what a process says first; `None` if it went meanwhile.
async fn greeting(channel: &mut Channel) -> io::Result<Option<(Hello, Sockets)>> {
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "an unexpected greeting");
    let hello = match channel.receive::<Reply>().await {
        Ok(Some((Reply::Hello(hello), _))) => hello,
        Ok(Some(_)) => return Err(odd()),
        Ok(None) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut sockets = Sockets::new();
    while sockets.len() < hello.sockets {
        match channel.receive::<Reply>().await? {
            Some((Reply::Sockets(names), files)) if !names.is_empty() && names.len() == files.len() => {
                sockets.extend(names.into_iter().zip(files));
            }
            _ => return Err(odd()),
        }
    }
    Ok(Some((hello, sockets)))
}

fn socket_path(config: &Config) -> Result<PathBuf, Error> {
    let failed = |source| Error::Directory { path: config.control.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&config.control).map_err(failed)?;
    Ok(config.control.join("data-plane.sock"))
}

/// Makes the control socket; the process itself calls `listen`.
fn bind_control(config: &Config) -> Result<OwnedFd, Error> {
    let path = socket_path(config)?;
    bind_unix(&path).map_err(|source| Error::Control { path, source })
}

fn bind_unix(path: &Path) -> io::Result<OwnedFd> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(socket)
}
