//! Holds a running container: one loop over its process, its output and the daemon's connections.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, WaitOptions, WaitStatus};
use spec::Timestamp;
use spec::kind::container::Cause;

use super::clients::{Client, accept};
use super::{Started, reap_all};
use crate::container::cgroup::Cgroups;
use crate::container::launch::{Order, Role};
use crate::container::paths::with_short_path;
use crate::container::protocol::{Hello, Message, Request, VERSION, line};
use crate::container::{ExitRecord, signal};
use crate::logs::{Partial, Source, Writer};

/// Bytes read from one stream before others get their turn: what a pipe holds.
const BLOCK: usize = 64 << 10;

/// How long output may go on after the end of the container: its processes are gone, so it is in the pipe already.
const DRAIN: Duration = Duration::from_secs(1);

/// Exit code by which shells say that a child was killed by SIGKILL.
const KILLED_CHILD: i32 = 128 + libc::SIGKILL;

struct Watch {
    order: Order,
    pid: Pid,
    process: OwnedFd,
    started: Timestamp,
    output: [Output; 2],
    log: Writer,
    listener: UnixListener,
    clients: Vec<Client>,
    /// When it is killed, once a stop was asked for.
    kill_at: Option<Instant>,
    /// It was killed here, so not by the kernel for want of memory.
    killed: bool,
}

struct Output {
    pipe: Option<std::fs::File>,
    partial: Partial,
}

/// Stays until the container has ended and everybody was told.
pub(super) fn watch(order: Order, cgroups: &Cgroups, started: Started, daemon: UnixStream) -> Result<(), String> {
    let mut watch = Watch::new(order, started, daemon).map_err(|error| format!("open the shim's socket: {error}"))?;
    let status = watch.run();
    watch.drain();
    let record = watch.record(status, cgroups);
    watch.leave(&record, cgroups);
    Ok(())
}

impl Watch {
    fn new(order: Order, started: Started, daemon: UnixStream) -> std::io::Result<Watch> {
        let listener = with_short_path(&order.run, |dir| {
            let _ = std::fs::remove_file(dir.join("sock"));
            UnixListener::bind(dir.join("sock"))
        })?;
        std::fs::set_permissions(order.run.join("sock"), std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let sources = match &order.launch.role {
            Role::Main => [Source::Out, Source::Err],
            Role::Step { id, .. } => [Source::Init(id.clone()), Source::Init(id.clone())],
        };
        let [out, err] = sources.map(Partial::new);
        let output = |pipe: OwnedFd, partial| {
            rustix::io::ioctl_fionbio(&pipe, true)?;
            Ok::<_, std::io::Error>(Output { pipe: Some(pipe.into()), partial })
        };
        let mut watch = Watch {
            log: Writer::new(&order.log),
            order,
            pid: started.pid,
            process: started.process,
            started: now(),
            output: [output(started.stdout, out)?, output(started.stderr, err)?],
            listener,
            clients: Vec::new(),
            kill_at: None,
            killed: false,
        };
        let client = Client::new(daemon, true)?;
        watch.greet(client);
        Ok(watch)
    }

    fn is_step(&self) -> bool {
        self.order.launch.role != Role::Main
    }

    fn greet(&mut self, mut client: Client) {
        let hello = Hello {
            version: VERSION,
            pid: self.pid.as_raw_nonzero().get() as u32,
            attempt: self.order.launch.attempt,
            started: self.started,
            step: self.is_step(),
        };
        if client.send(&line(&Message::Running(hello))) {
            self.clients.push(client);
        } else {
            self.lost(&client);
        }
    }

    fn run(&mut self) -> WaitStatus {
        let mut block = vec![0; BLOCK];
        loop {
            let ready = self.poll();
            if let Ok(Some((_, status))) = rustix::process::waitpid(Some(self.pid), WaitOptions::NOHANG) {
                return status;
            }
            for index in 0..2 {
                if ready.output[index] {
                    self.pump(index, &mut block);
                }
            }
            // From behind, so that one that is dropped moves none that is still to be looked at.
            for index in ready.clients.into_iter().rev() {
                self.serve(index);
            }
            if ready.listener
                && let Some(client) = accept(&self.listener, &self.clients)
            {
                self.greet(client);
            }
            if self.kill_at.is_some_and(|at| Instant::now() >= at) {
                self.kill();
            }
        }
    }

    /// Waits until there is something to do.
    fn poll(&self) -> Ready {
        let mut fds = vec![PollFd::new(&self.process, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
        fds.extend(self.clients.iter().map(|client| PollFd::from_borrowed_fd(client.fd(), PollFlags::IN)));
        let first_output = fds.len();
        let open: Vec<usize> = (0..2).filter(|&index| self.output[index].pipe.is_some()).collect();
        let pipes = open.iter().filter_map(|&index| self.output[index].pipe.as_ref());
        fds.extend(pipes.map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)));
        let timeout = self.kill_at.map(|at| Timespec::try_from(at.saturating_duration_since(Instant::now())).unwrap_or_default());
        if rustix::event::poll(&mut fds, timeout.as_ref()).is_err() {
            return Ready::default();
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let mut ready = Ready { listener: is_ready(&fds[1]), ..Ready::default() };
        ready.clients = (0..self.clients.len()).filter(|index| is_ready(&fds[2 + index])).collect();
        for (place, &index) in open.iter().enumerate() {
            ready.output[index] = is_ready(&fds[first_output + place]);
        }
        ready
    }

    /// Writes one block of output to the log; returns whether there may be more.
    fn pump(&mut self, index: usize, block: &mut [u8]) -> bool {
        let output = &mut self.output[index];
        let Some(pipe) = &mut output.pipe else { return false };
        match pipe.read(block) {
            Ok(length) if length > 0 => {
                self.log.push(&mut output.partial, &block[..length], now());
                true
            }
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted) => false,
            _ => {
                self.log.finish(&mut output.partial, now());
                output.pipe = None;
                false
            }
        }
    }

    fn serve(&mut self, index: usize) {
        match self.clients[index].receive() {
            Some(requests) => requests.into_iter().for_each(|request| self.answer(request)),
            None => {
                let client = self.clients.remove(index);
                self.lost(&client);
            }
        }
    }

    /// An init step ends with the one who asked for it.
    fn lost(&mut self, client: &Client) {
        if client.first && self.is_step() {
            self.kill();
        }
    }

    fn answer(&mut self, request: Request) {
        let Request::Stop { signal, grace_ms } = request;
        if let Some(number) = signal::number(&signal) {
            self.send_signal(number);
        }
        let at = Instant::now().checked_add(Duration::from_millis(grace_ms));
        self.kill_at = match (self.kill_at, at) {
            (Some(earlier), Some(at)) => Some(earlier.min(at)),
            (earlier, at) => at.or(earlier),
        };
    }

    fn kill(&mut self) {
        self.killed = true;
        self.kill_at = None;
        self.send_signal(libc::SIGKILL);
    }

    fn send_signal(&self, number: i32) {
        // SAFETY: the handle is open, and the kernel takes no notice of a null pointer here.
        unsafe {
            let process = std::os::fd::AsRawFd::as_raw_fd(&self.process);
            libc::syscall(libc::SYS_pidfd_send_signal, process, number, std::ptr::null::<libc::siginfo_t>(), 0);
        }
    }

    /// Writes what the container said last.
    fn drain(&mut self) {
        let mut block = vec![0; BLOCK];
        let deadline = Instant::now() + DRAIN;
        for index in 0..2 {
            while self.pump(index, &mut block) && Instant::now() < deadline {}
            let output = &mut self.output[index];
            self.log.finish(&mut output.partial, now());
        }
    }

    fn record(&self, status: WaitStatus, cgroups: &Cgroups) -> ExitRecord {
        let by_kernel = || !self.killed && cgroups.oom_kills(&self.order.cgroup) > 0;
        let cause = match (status.exit_status(), status.terminating_signal()) {
            (Some(KILLED_CHILD), _) | (_, Some(libc::SIGKILL)) if by_kernel() => Cause::OutOfMemory,
            (Some(code), _) => Cause::Code(code),
            (None, signal) => Cause::Signal(signal::name(signal.unwrap_or(libc::SIGKILL))),
        };
        ExitRecord { attempt: self.order.launch.attempt, started: self.started, ended: now(), cause }
    }

    /// Leaves nothing but the record and the container's files, and tells everybody.
    fn leave(&mut self, record: &ExitRecord, cgroups: &Cgroups) {
        if !self.is_step()
            && let Err(error) = write_record(&self.order, record)
        {
            eprintln!("shim: write the exit record: {error}");
        }
        let group = &self.order.cgroup;
        if let Err(error) = cgroups.kill(group).and_then(|()| cgroups.remove(group)) {
            eprintln!("shim: remove the control group: {error}");
        }
        let _ = std::fs::remove_dir_all(self.order.run.join("libcontainer"));
        reap_all();
        // One that connects from here on finds nobody, and reads the record.
        let _ = std::fs::remove_file(self.order.run.join("sock"));
        let line = line(&Message::Exited(record.clone()));
        while let Some(client) = accept(&self.listener, &self.clients) {
            self.greet(client);
        }
        for client in &mut self.clients {
            client.send(&line);
        }
    }
}

#[derive(Default)]
struct Ready {
    listener: bool,
    output: [bool; 2],
    clients: Vec<usize>,
}

/// Writes the record in one step. It is not forced to the disk: after a crash of the machine the container was lost, and a
/// record that is missing says just that.
fn write_record(order: &Order, record: &ExitRecord) -> std::io::Result<()> {
    let path = order.state.join("exit.json");
    let new = path.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(record)?)?;
    std::fs::rename(new, path)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(since.as_millis() as u64)
}
