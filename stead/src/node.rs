//! A node: everything opened in the right order, observed, and then driven.

mod admission;
pub(crate) mod doctor;
pub(crate) mod env;
mod hooks;
mod identity;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use proxy::DataPlane;
use runtime::container::{Containers, Shim};
use runtime::image::Images;
use spec::kind::{Node as NodeKind, Overlay, node};
use spec::net::Block;
use spec::object::{Name, Resource};
use spec::plan::Writer;
use spec::view::Item;
use spec::{Key, Kind, Write};
use store::{Op, Store, Transaction, Writers};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::cli::{DATA_PLANE, SHIM};
use crate::clock::Clock;
use crate::driver::Driver;
use crate::edge::{Edge, Parts, monitor_network, observe, watch_data_plane};
use crate::report::{self, chain};
use env::Environment;
use identity::Identity;

pub(crate) struct Config {
    pub(crate) data: PathBuf,
    pub(crate) run: PathBuf,
    pub(crate) env_file: PathBuf,
    pub(crate) pool: Option<Block>,
    /// The daemon's own environment.
    pub(crate) environment: BTreeMap<String, String>,
}

/// Ranges that overlays take their blocks from, unless one is given: the first that the host does not use. All are private
/// (RFC 1918) but the last, which is for carriers (RFC 6598); none is what Docker, libvirt or home routers begin with.
const POOLS: [&str; 5] = ["10.192.0.0/12", "10.208.0.0/12", "10.224.0.0/12", "172.24.0.0/13", "100.96.0.0/11"];
/// Folders of the run directory.
const DATA_PLANE_DIR: &str = "data-plane";
const NETNS_DIR: &str = "netns";
const CONTAINERS_DIR: &str = "containers";
/// How long a request under way may take when the node ends.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// A node that runs.
pub(crate) struct Node {
    store: Store,
    edge: Edge,
    run: PathBuf,
    socket: PathBuf,
    stop_api: CancellationToken,
    api: tokio::task::JoinHandle<std::io::Result<()>>,
    driver: tokio::task::JoinHandle<()>,
}

impl Node {
    /// Opens everything, looks at what is there, and begins to drive.
    pub(crate) async fn start(config: Config) -> anyhow::Result<Node> {
        let clock = Clock::start();
        make_private(&config.data)?;
        make_private(&config.run)?;
        let writers = Writers::new(controllers::writers()).context("the controllers disagree on who writes what")?;
        let store = Store::open(&config.data.join("store.redb"), writers)?;
        let identity = Identity::load_or_make(&config.data).context("the node's identity cannot be kept")?;

        let edge = open_edge(&config, &store, clock, &identity).await?;
        let network_events = edge.netctl.events();
        observe(&edge).await.context("what runs already cannot be looked at")?;
        tokio::spawn(monitor_network(edge.clone(), network_events));
        tokio::spawn(watch_data_plane(edge.clone()));
        let driver = Driver::new(store.clone(), controllers::ALL, Arc::new(edge.clone()), edge.clock.clone());
        let driver = tokio::spawn(driver.run());

        let socket = config.run.join("stead.sock");
        let listener = api::bind(&socket).await.with_context(|| format!("{} cannot be listened on", socket.display()))?;
        let stop_api = CancellationToken::new();
        let state = hooks::api_state(&edge, &config.data);
        let api = tokio::spawn(api::serve(listener, state, stop_api.clone().cancelled_owned()));
        info!(node = %identity.name, socket = %socket.display(), "the node is up");
        Ok(Node { store, edge, run: config.run, socket, stop_api, api, driver })
    }

    /// Runs until SIGTERM or SIGINT. Containers and traffic go on; without containers nothing is left.
    pub(crate) async fn until_told_to_end(mut self) -> anyhow::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = &mut self.driver => bail!("the store failed, so nothing can be decided; containers run on, and a new start may mend it"),
            ended = &mut self.api => bail!("the API ended by itself: {ended:?}"),
        }
        info!("the node ends");
        self.stop_api.cancel();
        let _ = tokio::time::timeout(LAST_REQUESTS, &mut self.api).await;
        self.driver.abort();
        let _ = std::fs::remove_file(&self.socket);
        let in_use = self.store.snapshot().objects.iter().any(|object| object.key.kind == Kind::Container);
        if !in_use {
            self.remove_what_only_containers_need().await;
        }
        Ok(())
    }

    async fn remove_what_only_containers_need(&self) {
        if let Err(error) = self.edge.data_plane.shut_down().await {
            warn!(error = chain(&error), "the data plane cannot be ended");
        }
        if let Err(error) = self.edge.netctl.remove_all().await {
            warn!(error = chain(&error), "the network cannot be taken away");
        }
        if let Err(error) = self.edge.containers.close().await {
            warn!(error = chain(&error), "the control group cannot be taken away");
        }
        for dir in [DATA_PLANE_DIR, NETNS_DIR, CONTAINERS_DIR] {
            if let Err(error) = std::fs::remove_dir_all(self.run.join(dir)) {
                warn!(%error, dir, "a folder cannot be taken away");
            }
        }
    }
}

async fn open_edge(config: &Config, store: &Store, clock: Clock, identity: &Identity) -> anyhow::Result<Edge> {
    let netns_dir = config.run.join(NETNS_DIR);
    let netctl = netctl::Netctl::open(netctl::Config { netns_dir: netns_dir.clone(), node_id: identity.id.clone() })
        .await
        .context("the network cannot be managed here; `stead doctor` says more")?;
    let containers = Containers::open(runtime::container::Config {
        state_dir: config.data.join("containers"),
        run_dir: config.run.join(CONTAINERS_DIR),
        log_dir: config.data.join("logs"),
        netns_dir: netns_dir.clone(),
        cgroup_parent: format!("/stead-{}", identity.id),
        shim: Shim { program: "/proc/self/exe".into(), args: vec![SHIM.into()] },
    })
    .context("containers cannot be run here; `stead doctor` says more")?;
    let images = Images::open(&config.data.join("images"), runtime::image::Config::default())?;
    let data_plane = DataPlane::open(proxy::Config {
        upstream_dns: upstream_dns(),
        ..proxy::Config::new(config.run.join(DATA_PLANE_DIR), containers.program(), vec![DATA_PLANE.into()])
    })
    .await
    .context("the data plane cannot be started")?;
    let pool = choose_pool(config, store, &netctl).await?;
    let parts = Parts {
        store: store.clone(),
        clock,
        images,
        containers,
        netctl,
        data_plane,
        environment: Environment::new(config.env_file.clone(), config.environment.clone()),
        netns_dir,
        node: identity.name.clone(),
    };
    let edge = Edge::new(parts, pool);
    register(store, identity, pool).await?;
    Ok(edge)
}

/// Writes down that this node is here.
async fn register(store: &Store, identity: &Identity, pool: Block) -> anyhow::Result<()> {
    let key = Key::new(Kind::Node, identity.name.clone());
    if store.get(&key).is_none() {
        let write = Write::Spec { key: key.clone(), owner: None, spec: NodeKind::to_spec(node::Spec::default()) };
        store.commit(Transaction::new(Writer::User, [Op::new(write)])).await?;
    }
    let object = store.get(&key).context("the node's own object is gone")?;
    report::status::<NodeKind>(store, &identity.name, &object.uid, |status: &mut node::Status| {
        *status = node::Status { id: identity.id.clone(), pool: Some(pool), filter_intact: true, filter_failure: None };
    })
    .await;
    Ok(())
}

/// Returns where overlays take their blocks from. While there are overlays the pool stays what it was.
async fn choose_pool(config: &Config, store: &Store, netctl: &netctl::Netctl) -> anyhow::Result<Block> {
    let objects = store.snapshot().objects;
    let overlays: BTreeSet<Block> =
        objects.iter().filter_map(|object| Item::<Overlay>::of(object)).map(|item| item.spec.block).collect();
    let before = objects.iter().filter_map(|object| Item::<NodeKind>::of(object)).find_map(|item| item.status?.pool);
    if let Some(before) = before
        && !overlays.is_empty()
    {
        if config.pool.is_some_and(|pool| pool != before) {
            bail!(
                "the pool cannot change from {before} while deployments have addresses from it: delete them first, or leave --pool out"
            );
        }
        return Ok(before);
    }
    let candidates: Vec<Block> = match config.pool {
        Some(pool) => vec![pool],
        None => POOLS.iter().filter_map(|pool| pool.parse().ok()).collect(),
    };
    match netctl.free_block(&candidates).await? {
        Some(block) => Ok(block),
        None => {
            let tried: Vec<_> = candidates.iter().map(ToString::to_string).collect();
            bail!("{} overlap with this host's own networks: give a free range with --pool", tried.join(", "))
        }
    }
}

/// Returns the host's name servers, which answer what is not a name of a deployment.
fn upstream_dns() -> Vec<std::net::SocketAddr> {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    servers
        .filter_map(|server| server.trim().parse::<std::net::IpAddr>().ok())
        .map(|ip| (ip, spec::net::DNS_PORT).into())
        .collect()
}

/// Makes a directory that only root may enter.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.and_then(|()| std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("{} cannot be made", dir.display()))
}

/// Makes a name out of the host's.
fn host_name() -> Option<Name> {
    let uname = rustix::system::uname();
    let text: String = uname.nodename().to_string_lossy().to_ascii_lowercase();
    let clean: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '.' { c } else { '-' }).collect();
    clean.trim_matches(['-', '.']).parse().ok()
}
