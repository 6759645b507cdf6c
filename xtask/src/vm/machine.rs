//! One QEMU: booted with a kernel and an initramfs, heard over its serial port, ended by its own process.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::report::Line;
use crate::process;

/// Lines that wait to be read; more make QEMU wait.
const LINES_WAITING: usize = 1024;
/// How soon a guest on a working KVM shows its first line; emulated it takes about this long.
const PROBE: Duration = Duration::from_secs(4);
const KVM: &str = "/dev/kvm";

/// What executes the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerator {
    Kvm,
    Emulation,
}

impl Accelerator {
    fn arguments(self) -> [&'static str; 4] {
        match self {
            Accelerator::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Without rdrand a guest that only listens has no entropy; `max` makes cryptography several times slower.
            Accelerator::Emulation => ["-accel", "tcg,thread=multi", "-cpu", "qemu64,+rdrand"],
        }
    }

    /// Finds out what works: that /dev/kvm can be opened does not mean that a guest runs on it.
    pub fn detect(machine: &Machine<'_>) -> Result<Accelerator> {
        if OpenOptions::new().read(true).write(true).open(KVM).is_err() {
            return Ok(Accelerator::Emulation);
        }
        let mut running = Machine { accelerator: Accelerator::Kvm, ..*machine }.boot()?;
        let deadline = Instant::now() + PROBE;
        Ok(match running.next_line(deadline) {
            Ok(Line::Start) => Accelerator::Kvm,
            _ => Accelerator::Emulation,
        })
    }
}

/// What a virtual machine is made of.
#[derive(Clone, Copy)]
pub struct Machine<'a> {
    pub kernel: &'a Path,
    pub initramfs: &'a Path,
    /// What its first process finds in `/proc/cmdline`.
    pub arguments: &'a str,
    pub memory_mib: u32,
    pub accelerator: Accelerator,
    /// Where everything goes that comes over the serial port.
    pub log: &'a Path,
}

impl Machine<'_> {
    /// Boots it. Call this on the main thread, with which QEMU ends.
    pub fn boot(&self) -> Result<Running> {
        let mut command = Command::new("qemu-system-x86_64");
        command.args(["-machine", "q35", "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot"]);
        command.args(self.accelerator.arguments());
        command.args(["-m", &self.memory_mib.to_string()]);
        command.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        command.args(["-append", &format!("console=ttyS0 quiet panic=-1 reboot=t {}", self.arguments)]);
        let log = self.log.to_str().context("the path of a log is text")?.replace(',', ",,");
        command.args(["-chardev", &format!("stdio,id=serial,signal=off,logfile={log}"), "-serial", "chardev:serial"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = process::spawn_dependent(&mut command)?;
        let output = child.stdout.take().context("QEMU has no output")?;
        let (sender, lines) = sync_channel(LINES_WAITING);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut line = Vec::new();
            // The firmware and a dying kernel may write what is no text.
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Running { child, lines, log: self.log.to_owned() })
    }
}

/// A machine that runs; it is ended when this is dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

impl Running {
    /// Returns the next thing that the scenario inside says.
    pub fn next_line(&mut self, deadline: Instant) -> Result<Line> {
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(text) => {
                    if let Some(line) = Line::parse(&text) {
                        return Ok(line);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("the machine did not finish in time; {}", self.last_words()),
                Err(RecvTimeoutError::Disconnected) => bail!("the machine ended too early; {}", self.last_words()),
            }
        }
    }

    /// Returns the end of the serial port's log, or what QEMU says when there is none.
    fn last_words(&mut self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let mut text = String::from_utf8_lossy(&log).into_owned();
        if text.trim().is_empty() {
            let _ = self.child.kill();
            let errors = self.child.stderr.take().map(std::io::read_to_string);
            text = errors.and_then(Result::ok).unwrap_or_default();
        }
        format!("its last lines:\n{}", process::tail(&text))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
