//! External commands: each with a timeout, and an error that shows the command and the end of its output.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, set_parent_process_death_signal};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Bound on commands that only look something up or unpack it.
const TIMEOUT: Duration = Duration::from_secs(120);
/// How many lines of a failed command's output are shown.
const LINES_SHOWN: usize = 30;

/// One run of an external program.
pub struct Tool {
    command: Command,
    timeout: Duration,
}

impl Tool {
    pub fn new(program: impl AsRef<OsStr>) -> Tool {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Tool { command, timeout: TIMEOUT }
    }

    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Tool {
        self.command.args(args);
        self
    }

    pub fn arg(self, arg: impl AsRef<OsStr>) -> Tool {
        self.args([arg])
    }

    pub fn dir(mut self, dir: &Path) -> Tool {
        self.command.current_dir(dir);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Tool {
        self.command.env(name, value);
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Tool {
        self.timeout = timeout;
        self
    }

    /// Runs with the mounts of a mount namespace.
    pub fn in_mounts(mut self, namespace: Arc<File>) -> Tool {
        let enter = move || Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))?);
        // SAFETY: between fork and exec only one system call is made, and nothing is allocated.
        unsafe { self.command.pre_exec(enter) };
        self
    }

    /// Runs silently and returns what was written to the standard output.
    pub fn run(mut self) -> Result<String> {
        let (out, err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        self.command.stdout(out.try_clone()?).stderr(err.try_clone()?);
        let ending = self.execute();
        let (out, err) = (contents(out)?, contents(err)?);
        match ending {
            Ok(status) if status.success() => Ok(out),
            Ok(status) => bail!("`{}` failed ({status}):\n{}", self.shown(), tail(&(out + &err))),
            Err(error) => Err(error.context(format!("`{}`; its last output:\n{}", self.shown(), tail(&(out + &err))))),
        }
    }

    /// Runs with its output on the terminal; an error only says how it ended.
    pub fn show(mut self) -> Result<()> {
        match self.execute() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => bail!("`{}` failed ({status})", self.shown()),
            Err(error) => Err(error.context(format!("`{}`", self.shown()))),
        }
    }

    /// Runs with its messages on the terminal and returns what was written to the standard output.
    pub fn show_messages(mut self) -> Result<String> {
        let out = tempfile::tempfile()?;
        self.command.stdout(out.try_clone()?);
        match self.execute() {
            Ok(status) if status.success() => contents(out),
            Ok(status) => bail!("`{}` failed ({status})", self.shown()),
            Err(error) => Err(error.context(format!("`{}`", self.shown()))),
        }
    }

    /// Runs with all that it writes in `file`, and where interrupts of the terminal do not reach it; an error only says how it ended.
    pub fn log_to(mut self, file: &File) -> Result<()> {
        self.command.stdout(file.try_clone()?).stderr(file.try_clone()?).process_group(0);
        self.show()
    }

    fn execute(&mut self) -> Result<ExitStatus> {
        let mut child = self.command.spawn().context("cannot be started")?;
        if let Some(status) = wait(&mut child, self.timeout)? {
            return Ok(status);
        }
        child.kill()?;
        child.wait()?;
        bail!("took longer than {} s and was ended", self.timeout.as_secs())
    }

    fn shown(&self) -> String {
        shown(&self.command)
    }
}

/// Starts a long-lived child that ends when this thread does; interrupts of the terminal do not reach it.
///
/// Call it on the main thread: the kernel watches the thread, not the process.
pub fn spawn_dependent(command: &mut Command) -> Result<Child> {
    command.stdin(Stdio::null()).process_group(0);
    // SAFETY: between fork and exec only one system call is made, and nothing is allocated.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::TERM))?)) };
    command.spawn().with_context(|| format!("`{}` cannot be started", shown(command)))
}

/// Waits for `child` to end; `None` when it still runs after `timeout`.
pub fn wait(child: &mut Child, timeout: Duration) -> Result<Option<ExitStatus>> {
    let deadline = Instant::now() + timeout;
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(left)?)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Asks `child` to stop and waits for it; one that does not stop in time is killed, which is an error.
pub fn stop(child: &mut Child, patience: Duration) -> Result<ExitStatus> {
    kill_process(Pid::from_child(child), Signal::TERM).context("cannot be signalled")?;
    if let Some(status) = wait(child, patience)? {
        return Ok(status);
    }
    child.kill()?;
    child.wait()?;
    bail!("did not stop within {} s of SIGTERM and was killed", patience.as_secs())
}

/// Tries `times` times, with a pause between that doubles; returns the last error.
pub fn retry<T>(times: u32, what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let mut pause = Duration::from_secs(1);
    for number in 1..times {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => eprintln!("{what}: try {number} of {times} failed: {error:#}"),
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    attempt()
}

/// Returns the last lines of `text`.
pub fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn contents(mut file: File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_command_and_the_end_of_its_output() {
        let error = Tool::new("sh").args(["-c", "seq 100; echo broken >&2; exit 3"]).run().unwrap_err().to_string();
        assert!(error.starts_with("`sh -c seq 100; echo broken >&2; exit 3` failed (exit status: 3):\n"), "{error}");
        assert!(error.ends_with("99\n100\nbroken") && !error.contains("\n70\n"), "{error}");
    }

    #[test]
    fn a_command_that_hangs_is_ended() {
        let started = Instant::now();
        let error = Tool::new("sleep").arg("600").timeout(Duration::from_millis(50)).run().unwrap_err();
        assert!(format!("{error:#}").contains("was ended"), "{error:#}");
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Tool::new("/no/such/program").run().unwrap_err();
        assert!(format!("{error:#}").contains("/no/such/program"), "{error:#}");
    }

    #[test]
    fn a_child_that_ignores_the_wish_to_stop_is_killed() {
        let mut polite = Command::new("sleep").arg("600").spawn().unwrap();
        assert!(stop(&mut polite, Duration::from_secs(60)).is_ok());
        let script = "trap '' TERM; echo deaf; exec sleep 600";
        let mut deaf = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        deaf.stdout.as_mut().unwrap().read_exact(&mut [0; 4]).unwrap();
        assert!(stop(&mut deaf, Duration::from_millis(50)).unwrap_err().to_string().contains("was killed"));
    }
}
