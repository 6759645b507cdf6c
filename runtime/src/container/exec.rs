//! The last steps inside of a container's first process, in place of libcontainer's: find the program and become it.

use std::ffi::CString;
use std::os::fd::{BorrowedFd, RawFd};
use std::path::{Path, PathBuf};

use libcontainer::oci_spec::runtime::Spec;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;
use rustix::process::Signal;
use seccompiler::BpfProgram;

/// Runs in the container's first process, which libcontainer has prepared in all other ways.
#[derive(Clone)]
pub(crate) struct Exec {
    /// Where it says why it failed, for a person. Closed by the kernel when the program runs.
    pub failure: RawFd,
    pub filters: Vec<BpfProgram>,
}

impl Executor for Exec {
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        // Not earlier: a change of the user would clear it.
        let watched = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
        let found = watched.map_err(|error| format!("exec: tie it to its shim: {error}")).and_then(|()| Program::find(spec));
        found.map(drop).map_err(|text| ExecutorValidationError::ArgValidationError(self.report(text)))
    }

    /// The environment is handed over as it is: this process does not need it.
    fn setup_envs(&self, _: std::collections::HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let failed = |text| ExecutorError::Other(self.report(text));
        let program = Program::find(spec).map_err(failed)?;
        reset_signals();
        for filter in &self.filters {
            seccompiler::apply_filter(filter).map_err(|error| failed(format!("exec: restrict its system calls: {error}")))?;
        }
        Err(failed(program.become_it()))
    }
}

impl Exec {
    fn report(&self, text: String) -> String {
        // SAFETY: the shim opened it before this process was forked off, and nobody closes it before the program runs.
        let failure = unsafe { BorrowedFd::borrow_raw(self.failure) };
        let _ = rustix::io::write(failure, text.as_bytes());
        text
    }
}

struct Program {
    path: PathBuf,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// Looks as a shell would, from the working directory and as the user of the container.
    fn find(spec: &Spec) -> Result<Program, String> {
        let process = spec.process().as_ref().ok_or("exec: nothing to run")?;
        let texts = |list: &Option<Vec<String>>| list.iter().flatten().map(|text| CString::new(text.as_bytes())).collect();
        let args: Result<Vec<CString>, _> = texts(process.args());
        let env: Result<Vec<CString>, _> = texts(process.env());
        let (args, env) = args.and_then(|args| Ok((args, env?))).map_err(|_| "exec: a zero byte in an argument or variable")?;
        let name = process.args().iter().flatten().next().filter(|name| !name.is_empty()).ok_or("exec: nothing to run")?;
        let path = process.env().iter().flatten().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
        Ok(Program { path: locate(name, path)?, args, env })
    }

    /// Returns only to say why it did not.
    fn become_it(&self) -> String {
        let shown = self.path.display();
        let Ok(path) = CString::new(self.path.as_os_str().as_encoded_bytes()) else {
            return format!("exec: {shown}: a zero byte");
        };
        let pointers = |texts: &[CString]| texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
        let (args, env) = (pointers(&self.args), pointers(&self.env));
        // SAFETY: both arrays end in a null pointer, and the strings they point to live as long as `self`.
        unsafe { libc::execve(path.as_ptr(), args.as_ptr(), env.as_ptr()) };
        match std::io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ENOENT) => {
                format!("exec: {shown}: the interpreter or loader it names is missing in the image")
            }
            error if error.raw_os_error() == Some(libc::ENOEXEC) => {
                format!("exec: {shown}: no program for this machine, and no script with a #! line")
            }
            error => format!("exec: {shown}: {error}"),
        }
    }
}

fn locate(name: &str, path: &str) -> Result<PathBuf, String> {
    let candidates: Vec<PathBuf> = match name.contains('/') {
        true => vec![PathBuf::from(name)],
        false => path.split(':').filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).collect(),
    };
    let mut why = match name.contains('/') {
        true => format!("exec: no such file: {name}"),
        false => format!("exec: no program {name} in PATH ({path})"),
    };
    for candidate in candidates {
        match check(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Some(text)) => why = format!("exec: {}: {text}", candidate.display()),
            Err(None) => {}
        }
    }
    Err(why)
}

/// Says what keeps the file at `path` from being run; nothing where there is no file.
fn check(path: &Path) -> Result<(), Option<String>> {
    let stat = match rustix::fs::stat(path) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(None),
        stat => stat.map_err(|error| Some(error.to_string()))?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Some("is not a file".to_owned()));
    }
    // By /proc/self/exe, or a link to it, the image names the program that runs now: this one.
    if rustix::fs::stat("/proc/self/exe").is_ok_and(|own| (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino)) {
        return Err(Some("is not of the image; refused".to_owned()));
    }
    let allowed = rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::empty());
    allowed.map_err(|_| Some("is not executable for this user".to_owned()))
}

/// Undoes what this process and its parents ignore or hold back: a program expects signals to work.
///
/// By the bare system call: C libraries refuse to touch the two signals they keep for themselves, which a parent may ignore.
fn reset_signals() {
    // The kernel's `struct sigaction` is at most this long; all zero is the default action.
    let default = [0u64; 4];
    let mask_bytes = std::mem::size_of::<u64>();
    for signal in 1..=64 {
        // SAFETY: the kernel only reads `default`. No handler is needed any more: this becomes another program.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), std::ptr::null::<u64>(), mask_bytes) };
    }
    // SAFETY: the kernel only reads the empty set.
    unsafe {
        let none = default.as_ptr();
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, none, std::ptr::null::<u64>(), mask_bytes);
    }
}
