//! One end of a link: what it should have, what it has, and the changes between the two.

use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::{fmt, io};

use rustix::io::Errno;
use spec::net::{Block, GATEWAY, Link};

use crate::rtnl::{self, Interface, InterfaceAddress, Mac, Neighbour, Route};
use crate::socket::{self, Request, Socket};

/// The name of the container's end, in the container's namespace.
pub(crate) const INSIDE: &str = "eth0";

/// All that can be put right at one end once its interface exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) up: bool,
    pub(crate) mac: Vec<u8>,
    pub(crate) arp: bool,
    pub(crate) proxy_arp: bool,
    pub(crate) ipv6_disabled: bool,
    pub(crate) addresses: BTreeSet<InterfaceAddress>,
    pub(crate) routes: BTreeSet<Route>,
    pub(crate) neighbours: BTreeSet<Neighbour>,
}

/// One change that brings an end closer to what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    DisableIpv6,
    DisableProxyArp,
    DisableArp,
    DeleteRoute(Route),
    DeleteNeighbour(Neighbour),
    DeleteAddress(InterfaceAddress),
    SetMac(Mac),
    AddAddress(InterfaceAddress),
    SetUp,
    AddNeighbour(Neighbour),
    AddRoute(Route),
}

/// Returns what the container's end of `link` should be.
pub(crate) fn wanted_inside(link: &Link) -> Side {
    let via = |destination, source| Route { destination, gateway: Some(GATEWAY), source: Some(source) };
    let mut routes: Vec<Route> = Vec::new();
    for address in &link.addresses {
        // One route for each block: two addresses in one block share the first's.
        if routes.iter().all(|route| route.destination != address.block) {
            routes.push(via(address.block, address.address));
        }
    }
    let everywhere = Block::holding(Ipv4Addr::UNSPECIFIED, 0);
    routes.extend(everywhere.zip(link.addresses.first()).map(|(everywhere, first)| via(everywhere, first.address)));
    Side {
        addresses: link
            .addresses
            .iter()
            .map(|it| InterfaceAddress { address: it.address, prefix: 32, link_scope: false })
            .collect(),
        routes: routes.into_iter().collect(),
        neighbours: BTreeSet::from([Neighbour { address: GATEWAY, mac: host_mac(link) }]),
        ..settled(container_mac(link))
    }
}

/// Returns what the host's end of `link` should be.
pub(crate) fn wanted_on_host(link: &Link) -> Side {
    let mac = container_mac(link);
    let to = |address| Block::holding(address, 32).map(|destination| Route { destination, gateway: None, source: Some(GATEWAY) });
    Side {
        addresses: BTreeSet::from([InterfaceAddress { address: GATEWAY, prefix: 32, link_scope: true }]),
        routes: link.addresses.iter().filter_map(|it| to(it.address)).collect(),
        neighbours: link.addresses.iter().map(|it| Neighbour { address: it.address, mac }).collect(),
        ..settled(host_mac(link))
    }
}

fn settled(mac: Mac) -> Side {
    Side {
        up: true,
        mac: mac.to_vec(),
        arp: false,
        proxy_arp: false,
        ipv6_disabled: true,
        addresses: BTreeSet::new(),
        routes: BTreeSet::new(),
        neighbours: BTreeSet::new(),
    }
}

pub(crate) fn host_mac(link: &Link) -> Mac {
    mac(&link.host_name, "host")
}

pub(crate) fn container_mac(link: &Link) -> Mac {
    mac(&link.host_name, "container")
}

/// Derives a hardware address from a link's name, so that both ends know each other's without asking.
fn mac(name: &str, end: &str) -> Mac {
    let [a, b, c, d, e, f, ..] = spec::hash::number(&["mac", name, end]).to_be_bytes();
    // Locally administered (IEEE 802, bit 1 of the first byte) and no group address (bit 0).
    [a & 0xfc | 0x02, b, c, d, e, f]
}

/// Reads all of `interface` that a [`Side`] speaks of.
pub(crate) fn observe(socket: &mut Socket, interface: &Interface) -> Result<Side, socket::Error> {
    Ok(Side {
        up: interface.up,
        mac: interface.mac.clone(),
        arp: interface.arp,
        proxy_arp: interface.proxy_arp,
        ipv6_disabled: interface.ipv6_disabled,
        addresses: rtnl::addresses(socket, interface.index)?.into_iter().collect(),
        routes: rtnl::routes(socket, interface.index)?.into_iter().collect(),
        neighbours: rtnl::neighbours(socket, interface.index)?.into_iter().collect(),
    })
}

/// Returns the changes from `observed` to `wanted`, in an order in which the kernel takes them.
pub(crate) fn changes(wanted: &Side, observed: &Side) -> Vec<Change> {
    let extra_routes = observed.routes.difference(&wanted.routes);
    let extra_neighbours = observed.neighbours.difference(&wanted.neighbours);
    let extra_addresses = observed.addresses.difference(&wanted.addresses);
    // Before it goes up: an interface with IPv6 gives itself an address and speaks at once.
    let mut changes = Vec::new();
    changes.extend((wanted.ipv6_disabled && !observed.ipv6_disabled).then_some(Change::DisableIpv6));
    changes.extend((!wanted.proxy_arp && observed.proxy_arp).then_some(Change::DisableProxyArp));
    // Before the neighbours: the kernel forgets them all when this changes.
    changes.extend((!wanted.arp && observed.arp).then_some(Change::DisableArp));
    changes.extend(extra_routes.copied().map(Change::DeleteRoute));
    changes.extend(extra_neighbours.copied().map(Change::DeleteNeighbour));
    changes.extend(extra_addresses.copied().map(Change::DeleteAddress));
    let mac = Mac::try_from(wanted.mac.as_slice()).ok().filter(|_| wanted.mac != observed.mac);
    changes.extend(mac.map(Change::SetMac));
    changes.extend(wanted.addresses.difference(&observed.addresses).copied().map(Change::AddAddress));
    changes.extend((wanted.up && !observed.up).then_some(Change::SetUp));
    changes.extend(wanted.neighbours.difference(&observed.neighbours).copied().map(Change::AddNeighbour));
    changes.extend(wanted.routes.difference(&observed.routes).copied().map(Change::AddRoute));
    changes
}

/// Makes `changes` to the interface `name` of the namespace that both `socket` and the calling thread are in.
pub(crate) fn apply(socket: &mut Socket, name: &str, index: u32, changes: &[Change]) -> Result<(), Failure> {
    for change in changes {
        let (family, key, value) = match change {
            Change::DisableIpv6 => ("ipv6", "disable_ipv6", "1"),
            Change::DisableProxyArp => ("ipv4", "proxy_arp", "0"),
            _ => continue,
        };
        let path = format!("/proc/sys/net/{family}/conf/{name}/{key}");
        fs::write(&path, value).map_err(|source| Failure::Setting { path, source })?;
    }
    let sent: Vec<(&Change, Request)> = changes.iter().filter_map(|it| request(index, it).map(|request| (it, request))).collect();
    let requests: Vec<Request> = sent.iter().map(|(_, request)| request.clone()).collect();
    let refusals = socket.apply(&requests).map_err(Failure::Netlink)?;
    // What is to go may be gone already: the kernel takes routes away with their source address.
    let serious = |refusal: &socket::Refusal| !(sent[refusal.index].0.is_deletion() && is_absence(refusal.errno));
    match refusals.into_iter().find(serious) {
        None => Ok(()),
        Some(refusal) => Err(Failure::Refused { change: sent[refusal.index].0.clone(), refusal }),
    }
}

/// Why a change could not be made.
#[derive(Debug)]
pub(crate) enum Failure {
    Setting { path: String, source: io::Error },
    Netlink(socket::Error),
    Refused { change: Change, refusal: socket::Refusal },
}

fn request(index: u32, change: &Change) -> Option<Request> {
    Some(match change {
        Change::DisableIpv6 | Change::DisableProxyArp => return None,
        Change::DisableArp => rtnl::disable_arp(index),
        Change::DeleteRoute(route) => rtnl::delete_route(index, route),
        Change::DeleteNeighbour(neighbour) => rtnl::delete_neighbour(index, neighbour),
        Change::DeleteAddress(address) => rtnl::delete_address(index, address),
        Change::SetMac(mac) => rtnl::set_mac(index, *mac),
        Change::AddAddress(address) => rtnl::add_address(index, address),
        Change::SetUp => rtnl::set_up(index),
        Change::AddNeighbour(neighbour) => rtnl::add_neighbour(index, neighbour),
        Change::AddRoute(route) => rtnl::add_route(index, route),
    })
}

fn is_absence(errno: i32) -> bool {
    [Errno::SRCH, Errno::NOENT, Errno::ADDRNOTAVAIL].iter().any(|absent| absent.raw_os_error() == errno)
}

impl Change {
    fn is_deletion(&self) -> bool {
        matches!(self, Change::DeleteRoute(_) | Change::DeleteNeighbour(_) | Change::DeleteAddress(_))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::DisableIpv6 => f.write_str("turn IPv6 off"),
            Change::DisableProxyArp => f.write_str("turn proxy ARP off"),
            Change::DisableArp => f.write_str("turn ARP off"),
            Change::DeleteRoute(route) => write!(f, "delete the route to {}", route.destination),
            Change::DeleteNeighbour(neighbour) => write!(f, "delete the neighbour {}", neighbour.address),
            Change::DeleteAddress(address) => write!(f, "delete the address {}/{}", address.address, address.prefix),
            Change::SetMac(_) => f.write_str("set the hardware address"),
            Change::AddAddress(address) => write!(f, "add the address {}/{}", address.address, address.prefix),
            Change::SetUp => f.write_str("set the interface up"),
            Change::AddNeighbour(neighbour) => write!(f, "add the neighbour {}", neighbour.address),
            Change::AddRoute(route) => write!(f, "add the route to {}", route.destination),
        }
    }
}
