//! The inside of a virtual machine: xtask as its first process.
//!
//! The first process makes the machine look like a server that has booted, starts the scenario as its child, buries whatever
//! dies, and turns the machine off. It never runs outside of a VM: it is asked for by the name `/init`.

use std::ffi::CString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change, mount_move};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::system::{RebootCommand, finit_module, reboot, sethostname};

use super::report::{Line, Report};
use crate::{network, scenarios};

pub const INIT: &str = "/init";
const SCENARIO_FLAG: &str = "--scenario";
/// The kernel's argument that names the scenario.
pub const SCENARIO: &str = "e2e.scenario=";
/// Names the files of modules, a line each, in the order to load them.
pub const MODULES: &str = "/modules/order";
/// What systemd passes on to the services of a machine.
const CONTROLLERS: &str = "+cpu +io +memory +pids";

/// Returns whether this is the first process of a virtual machine.
pub fn is_init() -> bool {
    std::process::id() == 1 && std::env::args().next().as_deref() == Some(INIT)
}

/// Returns the scenario that the first process has started this process for.
pub fn scenario_argument() -> Option<String> {
    let mut args = std::env::args();
    let asked = args.next().as_deref() == Some(INIT) && args.next().as_deref() == Some(SCENARIO_FLAG);
    asked.then(|| args.next()).flatten()
}

/// Runs as the first process.
pub fn main() -> ! {
    println!("{}", Line::Start);
    let mut report = Report::default();
    // A machine that is not set up has nothing to say but that.
    if report.check("the machine is set up", set_up).is_some()
        && let Err(error) = run_scenario()
    {
        report.check("the scenario is started", || -> Result<()> { Err(error) });
    }
    println!("{}", Line::End);
    rustix::fs::sync();
    // With QEMU's -no-reboot this turns the machine off; a failure to do so is a panic of the kernel, which does too.
    let _ = reboot(RebootCommand::Restart);
    std::process::exit(1)
}

/// Plays the scenario's inner half.
pub fn play(name: &str) -> Result<ExitCode> {
    let scenario = scenarios::find(name)?;
    let mut report = Report::default();
    (scenario.play)(&mut report);
    Ok(if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Starts the scenario and waits for its end, and meanwhile for that of every orphan.
fn run_scenario() -> Result<()> {
    let cmdline = std::fs::read_to_string("/proc/cmdline")?;
    let name = cmdline.split_whitespace().find_map(|word| word.strip_prefix(SCENARIO)).context("no scenario is named")?;
    let child = Command::new(INIT).arg(SCENARIO_FLAG).arg(name).spawn()?;
    let pid = Pid::from_child(&child);
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                // A failed check has said so; a crash has not.
                if status.signaled() || status.exit_status() == Some(101) {
                    bail!("the scenario crashed: {status:?}");
                }
                return Ok(());
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn set_up() -> Result<()> {
    leave_initramfs().context("leaving the initramfs")?;
    mount_all()?;
    load_modules()?;
    std::fs::write("/sys/fs/cgroup/cgroup.subtree_control", CONTROLLERS).context("the cgroup controllers")?;
    sethostname(b"machine")?;
    network::bring_up_loopback().context("the loopback link")
}

/// Moves everything to a root of its own: `pivot_root`, which containers begin with, is refused on the initramfs.
fn leave_initramfs() -> Result<()> {
    const NEW: &str = "/new";
    std::fs::create_dir(NEW)?;
    mount("tmpfs", NEW, "tmpfs", MountFlags::empty(), c"mode=755,size=90%")?;
    move_folder(Path::new("/"), Path::new(NEW), Path::new(NEW))?;
    rustix::process::chdir(NEW)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")?;
    Ok(())
}

/// Moves the contents of a folder, file by file: there is not room for everything twice.
fn move_folder(from: &Path, to: &Path, but: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() && source != but {
            std::fs::create_dir(&target)?;
            move_folder(&source, &target, but)?;
        } else if kind.is_file() {
            std::fs::copy(&source, &target)?;
            std::fs::remove_file(&source)?;
        }
    }
    Ok(())
}

fn mount_all() -> Result<()> {
    let hardened = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
    let table: [(&str, &str, MountFlags, &str); 8] = [
        ("/proc", "proc", hardened, ""),
        ("/sys", "sysfs", hardened, ""),
        ("/sys/fs/cgroup", "cgroup2", hardened, "nsdelegate,memory_recursiveprot"),
        ("/dev", "devtmpfs", MountFlags::NOSUID, "mode=755"),
        ("/dev/pts", "devpts", MountFlags::NOSUID | MountFlags::NOEXEC, "ptmxmode=666,mode=620"),
        ("/dev/shm", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777"),
        ("/run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=755"),
        ("/tmp", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, "mode=1777"),
    ];
    for (target, kind, flags, options) in table {
        std::fs::create_dir_all(target)?;
        mount(kind, target, kind, flags, &*CString::new(options)?).with_context(|| format!("mounting {target}"))?;
    }
    // As systemd has it, and as containers have to cope with.
    mount_change("/", MountPropagationFlags::SHARED | MountPropagationFlags::REC)?;
    Ok(())
}

fn load_modules() -> Result<()> {
    for path in std::fs::read_to_string(MODULES).context(MODULES)?.lines() {
        let file = File::open(path).with_context(|| path.to_owned())?;
        match finit_module(&file, c"", 0) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("loading {path}")),
        }
    }
    Ok(())
}
