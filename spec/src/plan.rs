//! What a controller answers: writes to the store, effects on the world, and when to be asked again.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use crate::kind::{Kind, Spec, Status, container, endpoint, image, init, resolution};
use crate::net::Block;
use crate::object::{Key, Name};
use crate::units::Timestamp;

/// A controller's whole answer for one key, from current state alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub writes: Vec<Write>,
    pub effects: Vec<Effect>,
    /// Ask again at this time, though nothing changed.
    pub recheck: Option<Timestamp>,
    pub notes: Vec<Note>,
}

/// Something worth telling a person: becomes an Event, once, however often it is said in the same words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub about: Key,
    /// Stable word for programs, such as `quarantined`.
    pub reason: &'static str,
    pub message: String,
}

impl Plan {
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub fn note(&mut self, about: &Key, reason: &'static str, message: impl Into<String>) {
        self.notes.push(Note { about: about.clone(), reason, message: message.into() });
    }

    /// Asks to be planned again at `at` or before.
    pub fn recheck(&mut self, at: Timestamp) {
        self.recheck = Some(self.recheck.map_or(at, |earlier| earlier.min(at)));
    }
}

/// One change a controller wants in the store. Writing what is already there is nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Creates the object or changes its spec.
    Spec { key: Key, owner: Option<Key>, spec: Spec },
    /// Reports on an object that exists, for the generation the plan saw.
    Status { key: Key, status: Status },
    /// Marks for deletion.
    Delete { key: Key },
    /// Takes an object that is marked, and that nothing depends on, out of the store.
    Remove { key: Key },
}

impl Write {
    pub fn key(&self) -> &Key {
        match self {
            Write::Spec { key, .. } | Write::Status { key, .. } | Write::Delete { key } | Write::Remove { key } => key,
        }
    }
}

/// One act on the world, complete: the executor has nothing left to decide.
///
/// All are idempotent, and speak of the object that has the name now. Those on the node's tables take place at once and in order; the others run on their own, one at a
/// time for each [`Slot`], and report by writing a status.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Asks a registry, or the node's own images, what digest a reference stands for. Reports to the Resolution.
    Resolve { name: Name, spec: Arc<resolution::Spec> },
    /// Fetches and unpacks an image. Reports to the Image.
    Pull { name: Name, spec: Arc<image::Spec> },
    /// Makes the network namespace and link of a container. Reports `linked`.
    Link { name: Name, spec: Arc<container::Spec> },
    /// Runs the init steps for one attempt. Reports to the Init.
    RunInit { name: Name, spec: Arc<init::Spec> },
    /// Ends running init steps. Reports through them.
    StopInit { name: Name },
    /// Starts the container for the `attempt`th time. Reports `state`, later `health` and `exits`.
    Start { name: Name, spec: Arc<container::Spec>, attempt: u64 },
    /// Asks it to end, and kills it after its grace. `unhealthy` says so in the exit it reports.
    Stop { name: Name, spec: Arc<container::Spec>, unhealthy: Option<String> },
    /// Takes away link, namespace, root and control group. Reports `released`.
    Release { name: Name, spec: Arc<container::Spec> },
    /// Compares the kernel's packet filter with the node's table and puts it right. Reports to the Node.
    RepairFilter { name: Name },

    /// Lets the addresses of a block reach each other; `None` takes it back.
    Overlay { name: Name, block: Option<Block> },
    /// Routes traffic of an endpoint; `None` takes it back.
    Route { name: Name, route: Option<Arc<endpoint::Spec>> },
    /// Answers `<service>.global` for the containers of the deployment with these addresses; `None` takes it back.
    Record { service: Name, addresses: Option<Vec<Ipv4Addr>> },
    /// Tells the DNS server which deployment asks from these addresses; `None` takes it back.
    Client { replica: Name, addresses: Option<Vec<Ipv4Addr>> },
}

/// What an effect occupies while it runs: effects on one slot wait for each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    pub lane: Lane,
    pub name: Name,
}

/// A pool of slots with its own bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    Resolve,
    Pull,
    Container,
    Init,
    /// Ending an init must not wait for the init.
    InitStop,
    Filter,
}

impl Effect {
    /// Returns the name of the object that it is about.
    pub fn name(&self) -> &Name {
        match self {
            Effect::Resolve { name, .. }
            | Effect::Pull { name, .. }
            | Effect::Link { name, .. }
            | Effect::RunInit { name, .. }
            | Effect::StopInit { name }
            | Effect::Start { name, .. }
            | Effect::Stop { name, .. }
            | Effect::Release { name, .. }
            | Effect::RepairFilter { name }
            | Effect::Overlay { name, .. }
            | Effect::Route { name, .. }
            | Effect::Record { service: name, .. }
            | Effect::Client { replica: name, .. } => name,
        }
    }

    /// Returns the slot the effect occupies; `None` for one on the node's tables.
    pub fn slot(&self) -> Option<Slot> {
        let lane = match self {
            Effect::Resolve { .. } => Lane::Resolve,
            Effect::Pull { .. } => Lane::Pull,
            Effect::Link { .. } | Effect::Start { .. } | Effect::Stop { .. } | Effect::Release { .. } => Lane::Container,
            Effect::RunInit { .. } => Lane::Init,
            Effect::StopInit { .. } => Lane::InitStop,
            Effect::RepairFilter { .. } => Lane::Filter,
            Effect::Overlay { .. } | Effect::Route { .. } | Effect::Record { .. } | Effect::Client { .. } => return None,
        };
        Some(Slot { lane, name: self.name().clone() })
    }
}

/// The node's tables, as the effects on them add up: what the packet filter, the DNS server and the proxy should know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    pub overlays: BTreeMap<Name, Block>,
    pub routes: BTreeMap<Name, Arc<endpoint::Spec>>,
    pub records: BTreeMap<Name, Vec<Ipv4Addr>>,
    pub clients: BTreeMap<Name, Vec<Ipv4Addr>>,
}

impl Tables {
    /// Applies an effect; returns whether it changed anything. Effects on other things change nothing.
    pub fn apply(&mut self, effect: &Effect) -> bool {
        fn set<V: Clone + PartialEq>(table: &mut BTreeMap<Name, V>, name: &Name, value: Option<&V>) -> bool {
            if table.get(name) == value {
                return false;
            }
            match value {
                Some(value) => table.insert(name.clone(), value.clone()),
                None => table.remove(name),
            };
            true
        }
        match effect {
            Effect::Overlay { name, block } => set(&mut self.overlays, name, block.as_ref()),
            Effect::Route { name, route, .. } => set(&mut self.routes, name, route.as_ref()),
            Effect::Record { service, addresses } => set(&mut self.records, service, addresses.as_ref()),
            Effect::Client { replica, addresses } => set(&mut self.clients, replica, addresses.as_ref()),
            _ => false,
        }
    }
}

/// Where a route leads: one ready replica.
pub type Backend = SocketAddrV4;

/// Who may write a half of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Writer {
    /// People and tools, by the API.
    User,
    /// A controller, by its name.
    Controller(&'static str),
    /// What the driver itself notes.
    Driver,
    /// The executors, reporting what they saw.
    Edge,
}

/// Whose the halves are that no controller writes.
pub const OUTSIDE_WRITERS: &[(Kind, crate::object::Half, Writer)] = {
    use crate::object::Half::{Spec, Status};
    &[
        (Kind::Container, Status, Writer::Edge),
        (Kind::Deployment, Spec, Writer::User),
        (Kind::Endpoint, Status, Writer::Edge),
        (Kind::Event, Spec, Writer::Driver),
        (Kind::Image, Status, Writer::Edge),
        (Kind::Init, Status, Writer::Edge),
        (Kind::Node, Spec, Writer::User),
        (Kind::Node, Status, Writer::Edge),
        (Kind::Resolution, Status, Writer::Edge),
    ]
};
