//! Containers, each held by a shim: a small process that outlives the daemon.
//!
//! [`Containers`] is the daemon's side: it starts shims, finds those of an earlier daemon again, and removes what is left.
//! [`shim_main`] is the other side. The two talk by the messages of `protocol`.

mod binary;
mod bundle;
mod cgroup;
mod etc;
mod exec;
mod launch;
mod lock;
mod overlay;
mod paths;
mod protocol;
mod root;
mod running;
mod seccomp;
mod shim;
pub(crate) mod signal;
mod spawn;
mod tree;
mod user;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use self::launch::{Launch, Role};
pub use self::running::Running;
pub use self::shim::shim_main;

use spec::kind::container::Spec;

use self::binary::Binary;
use self::cgroup::Cgroups;
use self::launch::Order;
use self::paths::{Paths, check_id, is_below};

/// How one attempt ended, as its shim wrote it down.
pub type ExitRecord = spec::kind::container::Exit;

/// How long a start may take; far longer than on a busy machine, so that only one that hangs is given up.
const START_PATIENCE: Duration = Duration::from_secs(30);

/// How long a shim may take to clean up after its container, or to answer.
const SHIM_PATIENCE: Duration = Duration::from_secs(5);

/// Where containers live on this host, and how their shims are run.
#[derive(Clone, Debug)]
pub struct Config {
    /// What survives a reboot: writable layers and exit records.
    pub state_dir: PathBuf,
    /// Sockets, locks and mount points.
    pub run_dir: PathBuf,
    pub log_dir: PathBuf,
    /// Where network namespaces are pinned.
    pub netns_dir: PathBuf,
    /// The control group above those of the containers, from the root: `/stead-<node>`.
    pub cgroup_parent: String,
    pub shim: Shim,
}

/// The command that ends up in [`shim_main`].
#[derive(Clone, Debug)]
pub struct Shim {
    /// Normally `/proc/self/exe`.
    pub program: PathBuf,
    /// Arguments before those of `shim_main`.
    pub args: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no container id: letters, digits, `-`, `_` and `.`, at most 200")]
    Id(String),
    #[error("container {id}: {what} `{value}` is not allowed")]
    Refused { id: String, what: &'static str, value: String },
    #[error("container {0} runs already")]
    AlreadyRunning(String),
    #[error("{0}")]
    NotStarted(String),
    #[error("container {0} did not start in time")]
    Slow(String),
    #[error("the shim of container {0} does not answer")]
    Silent(String),
    #[error("`{0}` is no signal")]
    Signal(String),
    #[error("container {id}: {act}")]
    Host { id: String, act: &'static str, source: io::Error },
    #[error("prepare for containers: {path}")]
    Open { path: PathBuf, source: io::Error },
}

/// The containers of this node: a cheap handle.
#[derive(Clone)]
pub struct Containers(Arc<Inner>);

struct Inner {
    config: Config,
    binary: Binary,
    cgroups: Cgroups,
}

impl Containers {
    /// Makes the directories and the copy of the binary that all shims run.
    pub fn open(config: Config) -> Result<Containers, Error> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Open { path, source }
        };
        for dir in [&config.state_dir, &config.run_dir, &config.run_dir.join("shims"), &config.log_dir] {
            private_dir(dir).map_err(fail(dir))?;
        }
        let binary = Binary::copy(&config.shim.program).map_err(fail(&config.shim.program))?;
        let cgroups = Cgroups::find().map_err(fail(Path::new("/proc/self/mountinfo")))?;
        Ok(Containers(Arc::new(Inner { config, binary, cgroups })))
    }

    /// Starts a container or one of its init steps, after removing what an earlier attempt left; its writable layer stays.
    ///
    /// [`Error::NotStarted`] says for a person why the process could not run.
    pub async fn start(&self, launch: Launch) -> Result<Running, Error> {
        let order = self.order(launch)?;
        let id = &order.launch.spec.id;
        let paths = self.paths(id)?;
        if !self.is_free(&paths, id).await? {
            return Err(Error::AlreadyRunning(id.clone()));
        }
        spawn::spawn(self, paths, order).await
    }

    /// Returns the container that a shim of an earlier daemon holds; `None` when there is none.
    ///
    /// What a dead shim left running is killed. An init step is killed too: it belonged to a daemon that is gone.
    pub async fn attach(&self, id: &str) -> Result<Option<Running>, Error> {
        let paths = self.paths(id)?;
        let Some(running) = running::attach(self, &paths, id).await? else {
            let inner = self.0.clone();
            blocking(id, "kill what its shim left", move || inner.cgroups.kill(&paths.cgroup)).await?;
            return Ok(None);
        };
        if running.is_step() {
            drop(running);
            self.end(&paths, id).await?;
            return Ok(None);
        }
        Ok(Some(running))
    }

    /// Returns how the last attempt of the container itself ended; `None` before the first end.
    pub fn exit_record(&self, id: &str) -> Result<Option<ExitRecord>, Error> {
        Ok(read_record(&self.paths(id)?))
    }

    /// Returns the pin of the network namespace a container is in.
    pub fn netns(&self, spec: &Spec) -> PathBuf {
        self.0.config.netns_dir.join(&spec.link.netns)
    }

    /// Returns the ids of which anything is on the host: shim, control group or state.
    pub async fn list(&self) -> Result<Vec<String>, Error> {
        let inner = self.0.clone();
        blocking("*", "list what is on the host", move || {
            let mut ids: BTreeSet<String> = inner.cgroups.children(&inner.config.cgroup_parent).into_iter().collect();
            for dir in [inner.config.run_dir.join("shims"), inner.config.state_dir.clone()] {
                for entry in std::fs::read_dir(dir)? {
                    ids.extend(entry?.file_name().into_string().ok());
                }
            }
            Ok(ids.into_iter().filter(|id| check_id(id).is_ok()).collect())
        })
        .await
    }

    /// Ends the container if it runs and removes all of it but its logs. Does nothing when there is nothing.
    pub async fn release(&self, id: &str) -> Result<(), Error> {
        let paths = self.paths(id)?;
        self.end(&paths, id).await?;
        blocking(id, "remove its files", move || {
            tree::remove(&paths.run)?;
            tree::remove(&paths.state)
        })
        .await
    }

    /// Returns the path by which this process executes the copy that all shims run: what else runs from it shares its memory.
    pub fn program(&self) -> PathBuf {
        self.0.binary.path()
    }

    /// Removes a container's logs, and the folders that are empty without them.
    pub async fn forget_logs(&self, spec: &Spec) -> Result<(), Error> {
        if !is_below(&spec.log) {
            return Err(Error::Refused { id: spec.id.clone(), what: "log", value: spec.log.escape_debug().to_string() });
        }
        let (root, log) = (self.0.config.log_dir.clone(), spec.log.clone());
        blocking(&spec.id, "remove its logs", move || {
            tree::remove(&root.join(&log))?;
            let folders = Path::new(&log).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
            // The first that is not empty ends it.
            folders.map(|folder| std::fs::remove_dir(root.join(folder))).take_while(Result::is_ok).for_each(drop);
            Ok(())
        })
        .await
    }

    /// Removes what all containers share on the host; only when none is left.
    pub async fn close(&self) -> Result<(), Error> {
        let inner = self.0.clone();
        blocking("*", "remove the control group of all", move || inner.cgroups.remove(&inner.config.cgroup_parent)).await
    }

    /// Kills shim and container, and removes the control group.
    async fn end(&self, paths: &Paths, id: &str) -> Result<(), Error> {
        let (inner, owned) = (self.0.clone(), paths.clone());
        // The shim first, so that it cannot go on starting what is just being removed.
        blocking(id, "kill its shim", move || lock::kill_holder(&owned.lock())).await?;
        if !lock::wait_free(&paths.lock(), SHIM_PATIENCE).await.map_err(host(id, "look for its shim"))? {
            return Err(Error::Silent(id.to_owned()));
        }
        let group = paths.cgroup.clone();
        blocking(id, "remove its control group", move || {
            inner.cgroups.kill(&group)?;
            inner.cgroups.remove(&group)
        })
        .await
    }

    /// Waits for a shim that is about to leave; false when one stays.
    async fn is_free(&self, paths: &Paths, id: &str) -> Result<bool, Error> {
        // One that holds a container may be just past its end; a step that was given up ends by itself.
        let holds_container = running::attach(self, paths, id).await?.is_some_and(|running| !running.is_step());
        let patience = if holds_container { SHIM_PATIENCE / 10 } else { SHIM_PATIENCE };
        lock::wait_free(&paths.lock(), patience).await.map_err(host(id, "look for its shim"))
    }

    fn paths(&self, id: &str) -> Result<Paths, Error> {
        check_id(id)?;
        let config = &self.0.config;
        Ok(Paths {
            run: config.run_dir.join("shims").join(id),
            state: config.state_dir.join(id),
            cgroup: format!("{}/{id}", config.cgroup_parent.trim_end_matches('/')),
        })
    }

    /// Checks what would become paths or texts of the kernel's, and says where the shim finds everything.
    fn order(&self, launch: Launch) -> Result<Order, Error> {
        let (spec, config) = (&launch.spec, &self.0.config);
        let paths = self.paths(&spec.id)?;
        let refused = |what, value: &str| Error::Refused { id: spec.id.clone(), what, value: value.escape_debug().to_string() };
        if !is_below(&spec.log) {
            return Err(refused("log path", &spec.log));
        }
        if check_id(&spec.link.netns).is_err() {
            return Err(refused("network namespace", &spec.link.netns));
        }
        if let Some(bad) = launch.args().iter().find(|arg| arg.contains('\0')) {
            return Err(refused("argument", bad));
        }
        let bad_name = |name: &str| name.is_empty() || name.contains(['=', '\0']);
        if let Some((name, _)) = launch.env.iter().find(|(name, value)| bad_name(name) || value.contains('\0')) {
            // Its value may be a secret.
            return Err(refused("variable", name));
        }
        let (log, netns) = (config.log_dir.join(&spec.log), self.netns(spec));
        Ok(Order { run: paths.run, state: paths.state, cgroup: paths.cgroup, log, netns, launch })
    }
}

/// Makes a directory for root alone, also out of one that is there already.
fn private_dir(dir: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// Reads an exit record; one that is cut short counts as none.
fn read_record(paths: &Paths) -> Option<ExitRecord> {
    serde_json::from_slice(&std::fs::read(paths.exit()).ok()?).ok()
}

fn host(id: &str, act: &'static str) -> impl FnOnce(io::Error) -> Error {
    let id = id.to_owned();
    move |source| Error::Host { id, act, source }
}

async fn blocking<T: Send + 'static>(
    id: &str,
    act: &'static str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(host(id, act))
}
