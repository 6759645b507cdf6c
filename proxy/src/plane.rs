//! The process: gives up its privileges, then carries traffic as its last table says.
//!
//! It is alone in its session and listens on its control socket for one daemon at a time. A daemon that comes, goes or dies
//! changes nothing of what is served.

mod control;
pub(crate) mod metrics;
mod privileges;
pub(crate) mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::signal::unix::{SignalKind, signal};

use crate::http;
use crate::http::crowd::Crowd;
use metrics::Metrics;
use table::Table;

/// Threads that carry traffic: two use both cores of a small server and cost little at rest.
const WORKERS: usize = 2;

/// Daemons that wait for their turn on the control socket.
const CONTROL_BACKLOG: i32 = 8;

/// How long requests in flight get to finish once the process is told to end.
const DRAIN: Duration = Duration::from_secs(5);

/// What the process says on its standard output once it can be reached.
pub(crate) const READY: &[u8] = b"ready\n";

/// State that all tasks of the process share.
pub(crate) struct Shared {
    table: RwLock<Arc<Table>>,
    pub(crate) metrics: Metrics,
    pub(crate) crowd: Crowd,
    pub(crate) limits: http::Limits,
    pub(crate) draining: AtomicBool,
    /// Turns the order of DNS answers.
    pub(crate) turn: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(connections: usize, limits: http::Limits) -> Arc<Shared> {
        Arc::new(Shared {
            table: RwLock::default(),
            metrics: Metrics::default(),
            crowd: Crowd::new(connections),
            limits,
            draining: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        })
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_table(&self, table: Table) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Why the process could not begin.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: <control socket: path or number of an open file> <user id>[:<group id>]")]
    Usage,
    #[error("the control socket: {0}")]
    Control(#[source] io::Error),
    #[error("giving up privileges: {0}")]
    Privileges(#[from] privileges::Error),
    #[error("the runtime: {0}")]
    Runtime(#[source] io::Error),
}

/// Runs the data plane until it is told to end; to be called before any thread exists.
///
/// `args`: the control socket (a path to bind, or the number of an inherited bound socket), and `<user id>[:<group id>]`.
/// Every other file that is open, but for the standard ones, is closed.
pub fn data_plane_main(args: impl Iterator<Item = OsString>) -> ExitCode {
    match begin(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be a pipe whose reader is gone: that is no reason to panic.
            let _ = writeln!(io::stderr(), "data plane: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut args: impl Iterator<Item = OsString>) -> Result<(), Error> {
    let control = args.next().ok_or(Error::Usage)?;
    let (uid, gid) = args.next().as_deref().and_then(|text| user(text.to_str()?)).ok_or(Error::Usage)?;

    let starter = rustix::process::getuid().as_raw();
    let inherited = control.to_str().and_then(|text| text.parse::<RawFd>().ok());
    privileges::close_inherited(inherited)?;
    let control = control_socket(&control, inherited).map_err(Error::Control)?;
    // The kernel tells the daemon whose connection it has by who called `listen`.
    rustix::net::listen(&control, CONTROL_BACKLOG).map_err(|error| Error::Control(error.into()))?;
    // Fails in a process that leads its group already, which then has its session.
    let _ = rustix::process::setsid();
    privileges::give_up(uid, gid)?;
    let files = privileges::raise_open_files()?;
    announce().map_err(Error::Control)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("data-plane")
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    runtime
        .block_on(run(control, starter, Shared::new(http::connections(files), http::Limits::default())))
        .map_err(Error::Runtime)
}

fn user(text: &str) -> Option<(u32, u32)> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

fn control_socket(path: &OsString, inherited: Option<RawFd>) -> io::Result<UnixListener> {
    let Some(number) = inherited else { return UnixListener::bind(Path::new(path)) };
    // SAFETY: the caller says that this number is an open socket given to this process; nothing else here owns it.
    let given = unsafe { OwnedFd::from_raw_fd(number) };
    // A fresh number, closed on exec. Standard input stays taken, so that nothing else is opened in its place.
    let control = rustix::io::fcntl_dupfd_cloexec(&given, 3)?;
    if number == 0 {
        rustix::stdio::dup2_stdin(rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?)?;
        std::mem::forget(given);
    }
    Ok(control.into())
}

/// Tells the starter that the control socket answers, and lets go of its standard output.
fn announce() -> io::Result<()> {
    // A starter that does not listen is no error.
    let _ = rustix::io::write(rustix::stdio::stdout(), READY);
    Ok(rustix::stdio::dup2_stdout(rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty())?)?)
}

async fn run(control: UnixListener, starter: u32, shared: Arc<Shared>) -> io::Result<()> {
    control.set_nonblocking(true)?;
    let control = tokio::net::UnixListener::from_std(control)?;
    let mut terminate = signal(SignalKind::terminate())?;
    let plane = control::Plane::new(shared.clone());
    tokio::select! {
        () = control::serve(plane, control, starter) => {}
        _ = terminate.recv() => {}
    }
    // Listeners went with the plane; what is in flight may end.
    shared.draining.store(true, Ordering::Relaxed);
    let _ = tokio::time::timeout(DRAIN, shared.crowd.emptied()).await;
    Ok(())
}
