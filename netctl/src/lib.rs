//! Links, routes and the packet filter of one node, by netlink alone.
//!
//! It observes and applies; it decides nothing. Everything it does, it does in the network namespace of the thread that
//! called [`Netctl::open`], so that several nodes can run on one host, each in a namespace of its own.
//!
//! ```text
//!   Netctl ── worker ──┬── link ──── rtnl ────┐
//!     │                ├── blocks ── rtnl ────┼── socket ── the kernel
//!     │                └── filter ────────────┘
//!     └── events: what others changed
//!   doctor: what this kernel can do
//! ```

mod blocks;
pub mod doctor;
mod error;
mod events;
mod filter;
mod link;
pub mod netns;
mod node;
mod rtnl;
mod socket;
mod sysctl;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spec::net::{Block, Link};

pub use error::Error;
pub use events::{Event, Events};
pub use filter::{Counter, Filter};
pub use socket::{Error as NetlinkError, Refusal};

use events::Monitor;
use filter::kernel::Kernel;
use node::Node;
use worker::Worker;

/// Where a node keeps its pins, and what tells its links and table from another node's.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the network namespaces' pins, such as `/run/stead/netns`; made if it is not there.
    pub netns_dir: PathBuf,
    /// 4 to 8 lower-case hexadecimal digits. The node's interfaces are called `st<node_id>…`, its table `stead-<node_id>`.
    pub node_id: String,
}

/// What is there of this node, wanted or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// The host's interfaces of this node.
    pub links: BTreeSet<String>,
    /// The files in the directory of pins.
    pub pins: BTreeSet<String>,
}

/// The network of one node. Clones share it.
#[derive(Clone)]
pub struct Netctl {
    shared: Arc<Shared>,
}

struct Shared {
    node: Node,
    worker: Worker,
    filter: Mutex<Kernel>,
    monitor: Monitor,
}

impl Netctl {
    /// Opens the network of the calling thread's namespace, inside a tokio runtime with I/O enabled.
    ///
    /// Makes the directory of pins and turns on the forwarding of IPv4.
    ///
    /// # Errors
    /// When the node id is malformed, or the process may not change the network here.
    pub async fn open(config: Config) -> Result<Netctl, Error> {
        let node = Node::new(&config)?;
        let worker = Worker::new()?;
        let table = node.table();
        let (filter, sockets) = worker
            .run(move |_| {
                let directory = &config.netns_dir;
                netns::share_directory(directory).map_err(Error::io(format!("prepare {}", directory.display())))?;
                sysctl::ensure("/proc/sys/net/ipv4/ip_forward", "1")?;
                Ok((Kernel::open(table)?, events::open()?))
            })
            .await?;
        let monitor = Monitor::start(sockets)?;
        Ok(Netctl { shared: Arc::new(Shared { node, worker, filter: Mutex::new(filter), monitor }) })
    }

    /// Makes whatever part of `link` is missing, and removes what is too much; a complete link is left alone.
    ///
    /// # Errors
    /// When the kernel refuses, or the link's names are not this node's. What was made stays; call again.
    pub async fn ensure_link(&self, link: &Link) -> Result<(), Error> {
        let (shared, link) = (Arc::clone(&self.shared), link.clone());
        self.shared.worker.run(move |home| link::ensure(&shared.node, home, &link)).await
    }

    /// Says whether `link` is exactly as [`Netctl::ensure_link`] leaves it.
    pub async fn link_is_complete(&self, link: &Link) -> Result<bool, Error> {
        let (shared, link) = (Arc::clone(&self.shared), link.clone());
        self.shared.worker.run(move |home| link::is_complete(&shared.node, home, &link)).await
    }

    /// Removes `link`, both ends with their routes, and its pin. What is not there is no error.
    pub async fn remove_link(&self, link: &Link) -> Result<(), Error> {
        let (shared, link) = (Arc::clone(&self.shared), link.clone());
        self.shared.worker.run(move |_| link::remove(&shared.node, &link)).await
    }

    /// Lists this node's interfaces and pins.
    pub async fn observed(&self) -> Result<Observed, Error> {
        let shared = Arc::clone(&self.shared);
        let observe = move |_: &_| {
            let links = link::interfaces(&shared.node)?.into_iter().map(|interface| interface.name).collect();
            Ok(Observed { links, pins: link::pins(shared.node.netns_dir())?.into_iter().collect() })
        };
        self.shared.worker.run(observe).await
    }

    /// Removes the interface `name`, one of [`Observed::links`] that belongs to no link.
    pub async fn remove_orphan_link(&self, name: &str) -> Result<(), Error> {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        self.shared.worker.run(move |_| link::remove_interface(&shared.node, &name)).await
    }

    /// Removes the pin `name`, one of [`Observed::pins`] that belongs to no link.
    pub async fn remove_orphan_pin(&self, name: &str) -> Result<(), Error> {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        self.shared.worker.run(move |_| link::remove_pin(&shared.node, &name)).await
    }

    /// Returns the first of `candidates` that overlaps no route and no address of the host.
    ///
    /// This node's own links and routes to everywhere do not count.
    pub async fn free_block(&self, candidates: &[Block]) -> Result<Option<Block>, Error> {
        let (shared, candidates) = (Arc::clone(&self.shared), candidates.to_vec());
        self.shared.worker.run(move |_| blocks::free(&shared.node, &candidates)).await
    }

    /// Makes `filter` the node's packet filter, by changing only what differs; counters go on counting.
    pub async fn set_filter(&self, filter: Filter) -> Result<(), Error> {
        for name in filter.links.keys() {
            self.shared.node.check_link_name(name)?;
        }
        let shared = Arc::clone(&self.shared);
        self.shared.worker.run(move |_| shared.filter().set(&filter)).await
    }

    /// Says whether the kernel still has what [`Netctl::set_filter`] last declared.
    pub async fn filter_is_intact(&self) -> Result<bool, Error> {
        let shared = Arc::clone(&self.shared);
        self.shared.worker.run(move |_| shared.filter().is_intact()).await
    }

    /// Makes the packet filter once more what [`Netctl::set_filter`] last declared.
    pub async fn repair_filter(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.shared.worker.run(move |_| shared.filter().repair()).await
    }

    /// Returns what the filter's rules have counted, by the rule's name, such as `spoofed-forward`.
    pub async fn filter_counters(&self) -> Result<BTreeMap<String, Counter>, Error> {
        let shared = Arc::clone(&self.shared);
        self.shared.worker.run(move |_| shared.filter().counters()).await
    }

    /// Returns the number of messages that changed the packet filter since it was opened, for tests and metrics.
    pub fn filter_messages(&self) -> u64 {
        self.shared.filter().committed_messages()
    }

    /// Removes everything of this node: table, links, pins, and the mount of their directory.
    pub async fn remove_all(&self) -> Result<(), Error> {
        let shared = Arc::clone(&self.shared);
        self.shared.worker.run(move |_| shared.remove_all()).await
    }

    /// Subscribes to changes of the network, whoever makes them, from now on.
    pub fn events(&self) -> Events {
        self.shared.monitor.events()
    }
}

impl Shared {
    /// A thread that panicked leaves nothing half-written: the kernel is read again whenever in doubt.
    fn filter(&self) -> MutexGuard<'_, Kernel> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove_all(&self) -> Result<(), Error> {
        self.filter().remove()?;
        for interface in link::interfaces(&self.node)? {
            link::remove_interface(&self.node, &interface.name)?;
        }
        let directory = self.node.netns_dir();
        for name in link::pins(directory)? {
            link::remove_pin(&self.node, &name)?;
        }
        netns::unshare_directory(directory).map_err(Error::io(format!("unmount {}", directory.display())))
    }
}
