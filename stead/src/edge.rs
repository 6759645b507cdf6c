//! Carries out effects on the real node, and reports what became of them. Nothing is decided here.

mod containers;
mod images;
mod inits;
mod links;
mod monitor;
mod observe;
mod probes;
mod tables;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use netctl::Netctl;
use proxy::DataPlane;
use runtime::container::Containers;
use runtime::image::Images;
use spec::object::Resource;
use spec::plan::Tables;
use spec::{Effect, Key, Name, Object, Uid};
use store::Store;

use crate::clock::Clock;
use crate::driver;
use crate::node::env::Environment;

use containers::Supervisors;
use inits::Running;
use links::Links;
pub(crate) use monitor::watch as monitor_network;
pub(crate) use observe::observe;
use tables::Told;
pub(crate) use tables::watch_data_plane;

/// The node's parts. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Edge {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    links: Links,
    supervisors: Supervisors,
    inits: Running,
    told: Told,
}

/// What an edge is made of.
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) images: Images,
    pub(crate) containers: Containers,
    pub(crate) netctl: Netctl,
    pub(crate) data_plane: DataPlane,
    pub(crate) environment: Environment,
    /// Where the pins of network namespaces are.
    pub(crate) netns_dir: std::path::PathBuf,
    /// Name of this node's object.
    pub(crate) node: Name,
}

impl std::ops::Deref for Edge {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.shared.parts
    }
}

impl Edge {
    pub(crate) fn new(parts: Parts, pool: spec::net::Block) -> Edge {
        let links = Links::new(parts.netctl.clone(), pool);
        Edge {
            shared: Arc::new(Shared {
                parts,
                links,
                supervisors: Supervisors::default(),
                inits: Running::default(),
                told: Told::default(),
            }),
        }
    }

    /// Returns the object of an effect, unless it is gone.
    fn object<R: Resource>(&self, name: &Name) -> Option<Arc<Object>> {
        self.store.get(&Key::new(R::KIND, name.clone()))
    }

    async fn carry_out(self, effect: Effect) {
        match effect {
            Effect::Resolve { name, spec } => images::resolve(&self, &name, &spec).await,
            Effect::Pull { name, spec } => images::pull(&self, &name, &spec).await,
            Effect::Link { name, spec } => links::link(&self, &name, &spec).await,
            Effect::RunInit { name, spec } => inits::run(&self, &name, &spec).await,
            Effect::StopInit { name } => inits::stop(&self, &name).await,
            Effect::Start { name, spec, attempt } => containers::start(&self, &name, spec, attempt).await,
            Effect::Stop { name, spec, unhealthy } => containers::stop(&self, &name, &spec, unhealthy).await,
            Effect::Release { name, spec } => containers::release(&self, &name, &spec).await,
            Effect::RepairFilter { name } => links::repair_filter(&self, &name).await,
            Effect::Overlay { .. } | Effect::Route { .. } | Effect::Record { .. } | Effect::Client { .. } => {}
        }
    }
}

/// An object that something is being done for: by name and uid, so that a report never lands on its successor.
#[derive(Clone, Debug)]
struct Subject {
    name: Name,
    uid: Uid,
}

impl Edge {
    fn subject<R: Resource>(&self, name: &Name) -> Option<Subject> {
        self.object::<R>(name).map(|object| Subject { name: name.clone(), uid: object.uid.clone() })
    }
}

impl driver::Edge for Edge {
    fn run(&self, effect: Effect) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.clone().carry_out(effect))
    }

    fn publish<'a>(&'a self, tables: &'a Tables) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(tables::publish(self, tables))
    }
}
