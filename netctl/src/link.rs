//! Links: the namespace pin, the veth pair and everything at its two ends.
//!
//! ```text
//!   host's namespace                                pinned namespace
//!   st<node>… 169.254.1.1/32  <──── veth ────>  eth0 <address>/32 for each overlay
//!   <address>/32 dev st<node>…                  <block> via 169.254.1.1 src <address>
//!                                               default via 169.254.1.1 src <first address>
//! ```
//!
//! Both ends know each other's hardware address, so nobody ever asks by ARP and the first packet goes out at once.
//! Permanent neighbours are also the ones the kernel's limit on neighbours (1,024 by default) does not count. And ARP is off:
//! that limit is the whole machine's, so a container that makes up neighbours would leave the host none.

mod side;

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;
use spec::net::Link;

use crate::rtnl::{self, Interface, NewVeth};
use crate::socket::Socket;
use crate::{Error, Node, netns};
use side::{Change, Failure, INSIDE, Side};

/// Rounds of looking and repairing. One makes the veth, one the rest, one looks; the others are for interference.
const ROUNDS: u32 = 6;

/// Index of the loopback interface, the first one of every namespace.
const LOOPBACK: u32 = 1;

/// A link's two namespaces and a socket in each.
struct Ends<'a> {
    host: (&'a File, Socket),
    inside: (File, Socket),
}

/// What is at the two ends of a link; `None` while there is no veth pair that joins them.
struct Pair {
    host: (Interface, Side),
    inside: (Interface, Side),
    loopback_up: bool,
}

/// Makes whatever part of `link` is missing. The calling thread is in the host's namespace, and elsewhere afterwards.
pub(crate) fn ensure(node: &Node, home: &File, link: &Link) -> Result<(), Error> {
    node.check_link(link)?;
    let doing = |what: &str| format!("{what} of link `{}`", link.host_name);
    let host = rtnl::open().map_err(Error::netlink(doing("open the host's socket")))?;
    let pin = netns::ensure_pin(&node.pin(&link.netns)).map_err(Error::io(doing("pin the network namespace")))?;
    let inside = rtnl::open().map_err(Error::netlink(doing("open the namespace's socket")))?;
    let mut ends = Ends { host: (home, host), inside: (pin, inside) };
    let mut missing = Vec::new();
    for _ in 0..ROUNDS {
        let Some(pair) = observe(node, link, &mut ends)? else {
            make_pair(node, link, &mut ends)?;
            continue;
        };
        missing = changes(link, &pair);
        if missing.is_empty() {
            return Ok(());
        }
        repair(link, &mut ends, &pair, &missing)?;
    }
    let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Err(Error::Unsettled { link: link.host_name.clone(), rounds: ROUNDS, missing })
}

/// Says whether `link` lacks nothing. The calling thread is in the host's namespace, and elsewhere afterwards.
pub(crate) fn is_complete(node: &Node, home: &File, link: &Link) -> Result<bool, Error> {
    node.check_link(link)?;
    let doing = |what: &str| format!("{what} of link `{}`", link.host_name);
    let host = rtnl::open().map_err(Error::netlink(doing("open the host's socket")))?;
    let Some(pin) = netns::open_pin(&node.pin(&link.netns)).map_err(Error::io(doing("open the pin")))? else {
        return Ok(false);
    };
    netns::enter_file(&pin).map_err(Error::io(doing("enter the network namespace")))?;
    let inside = rtnl::open().map_err(Error::netlink(doing("open the namespace's socket")))?;
    let mut ends = Ends { host: (home, host), inside: (pin, inside) };
    Ok(observe(node, link, &mut ends)?.is_some_and(|pair| changes(link, &pair).is_empty()))
}

/// Removes the host's end, and with it the other end and all routes, and the pin.
pub(crate) fn remove(node: &Node, link: &Link) -> Result<(), Error> {
    node.check_link(link)?;
    remove_interface(node, &link.host_name)?;
    remove_pin(node, &link.netns)
}

/// Removes the interface called `name`, if it is a link of this node.
pub(crate) fn remove_interface(node: &Node, name: &str) -> Result<(), Error> {
    node.check_link_name(name)?;
    let failed = || Error::netlink(format!("remove the interface `{name}`"));
    let mut socket = rtnl::open().map_err(failed())?;
    match rtnl::interface(&mut socket, name).map_err(failed())? {
        None => Ok(()),
        Some(interface) if node.owns(&interface) => delete(&mut socket, interface.index).map_err(failed()),
        Some(_) => Err(Error::ForeignLink(name.to_owned())),
    }
}

pub(crate) fn remove_pin(node: &Node, name: &str) -> Result<(), Error> {
    node.check_pin_name(name)?;
    netns::remove_pin(&node.pin(name)).map_err(Error::io(format!("remove the pin `{name}`")))
}

/// Returns this node's interfaces.
pub(crate) fn interfaces(node: &Node) -> Result<Vec<Interface>, Error> {
    let failed = || Error::netlink("list the interfaces");
    let all = rtnl::interfaces(&mut rtnl::open().map_err(failed())?).map_err(failed())?;
    Ok(all.into_iter().filter(|interface| node.owns(interface)).collect())
}

/// Returns the names of the files in `directory`.
pub(crate) fn pins(directory: &Path) -> Result<Vec<String>, Error> {
    let failed = || Error::io(format!("list {}", directory.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed())? {
        names.extend(entry.map_err(failed())?.file_name().into_string().ok());
    }
    Ok(names)
}

fn observe(node: &Node, link: &Link, ends: &mut Ends<'_>) -> Result<Option<Pair>, Error> {
    let failed = || Error::netlink(format!("observe link `{}`", link.host_name));
    let (host, inside) = (&mut ends.host.1, &mut ends.inside.1);
    let outer = rtnl::interface(host, &link.host_name).map_err(failed())?;
    if outer.as_ref().is_some_and(|outer| !node.owns(outer)) {
        return Err(Error::ForeignLink(link.host_name.clone()));
    }
    let inner = rtnl::interface(inside, INSIDE).map_err(failed())?;
    let Some((outer, inner)) = outer.zip(inner).filter(|(outer, inner)| are_joined(outer, inner)) else { return Ok(None) };
    let loopback = rtnl::interface(inside, "lo").map_err(failed())?;
    Ok(Some(Pair {
        host: (outer.clone(), side::observe(host, &outer).map_err(failed())?),
        inside: (inner.clone(), side::observe(inside, &inner).map_err(failed())?),
        loopback_up: loopback.is_some_and(|loopback| loopback.up),
    }))
}

fn are_joined(outer: &Interface, inner: &Interface) -> bool {
    inner.is_veth && outer.peer == Some(inner.index) && inner.peer == Some(outer.index)
}

/// Clears away what stands in the place of either end, and makes the pair.
fn make_pair(node: &Node, link: &Link, ends: &mut Ends<'_>) -> Result<(), Error> {
    let failed = || Error::netlink(format!("make the veth of link `{}`", link.host_name));
    for (socket, name) in [(&mut ends.host.1, link.host_name.as_str()), (&mut ends.inside.1, INSIDE)] {
        if let Some(stale) = rtnl::interface(socket, name).map_err(failed())? {
            delete(socket, stale.index).map_err(failed())?;
        }
    }
    let veth = NewVeth {
        name: &link.host_name,
        mac: side::host_mac(link),
        group: node.group,
        peer_name: INSIDE,
        peer_mac: side::container_mac(link),
        peer_namespace: ends.inside.0.as_fd(),
    };
    refuse_none(&mut ends.host.1, rtnl::add_veth(&veth)).map_err(failed())
}

/// A change at one of a link's ends.
enum Missing {
    Loopback,
    Inside(Change),
    Host(Change),
}

fn changes(link: &Link, pair: &Pair) -> Vec<Missing> {
    let mut missing = Vec::new();
    missing.extend((!pair.loopback_up).then_some(Missing::Loopback));
    missing.extend(side::changes(&side::wanted_inside(link), &pair.inside.1).into_iter().map(Missing::Inside));
    missing.extend(side::changes(&side::wanted_on_host(link), &pair.host.1).into_iter().map(Missing::Host));
    missing
}

fn repair(link: &Link, ends: &mut Ends<'_>, pair: &Pair, missing: &[Missing]) -> Result<(), Error> {
    let only = |pick: fn(&Missing) -> Option<&Change>| missing.iter().filter_map(pick).cloned().collect::<Vec<_>>();
    let inside = only(|it| if let Missing::Inside(change) = it { Some(change) } else { None });
    let host = only(|it| if let Missing::Host(change) = it { Some(change) } else { None });
    if missing.iter().any(|it| matches!(it, Missing::Loopback)) {
        refuse_none(&mut ends.inside.1, rtnl::set_up(LOOPBACK)).map_err(Error::netlink("set the loopback interface up"))?;
    }
    for ((namespace, socket), name, index, changes) in [
        ((&ends.inside.0, &mut ends.inside.1), INSIDE, pair.inside.0.index, inside),
        ((ends.host.0, &mut ends.host.1), link.host_name.as_str(), pair.host.0.index, host),
    ] {
        netns::enter_file(namespace).map_err(Error::io("enter a network namespace"))?;
        side::apply(socket, name, index, &changes).map_err(|failure| explain(link, failure))?;
    }
    Ok(())
}

fn explain(link: &Link, failure: Failure) -> Error {
    let name = &link.host_name;
    match failure {
        Failure::Setting { path, source } => Error::Io { what: format!("write {path} for link `{name}`"), source },
        Failure::Netlink(source) => Error::Netlink { what: format!("repair link `{name}`"), source },
        Failure::Refused { change, refusal } => {
            Error::Netlink { what: format!("{change} for link `{name}`"), source: crate::socket::Error::Refused(refusal) }
        }
    }
}

fn delete(socket: &mut Socket, index: u32) -> Result<(), crate::socket::Error> {
    match refuse_none(socket, rtnl::delete_link(index)) {
        Err(error) if error.errno() == Some(Errno::NODEV.raw_os_error()) => Ok(()),
        result => result,
    }
}

fn refuse_none(socket: &mut Socket, request: crate::socket::Request) -> Result<(), crate::socket::Error> {
    match socket.apply(&[request])?.pop() {
        None => Ok(()),
        Some(refusal) => Err(crate::socket::Error::Refused(refusal)),
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Missing::Loopback => f.write_str("set the loopback interface up"),
            Missing::Inside(change) => write!(f, "{change} inside"),
            Missing::Host(change) => write!(f, "{change} on the host"),
        }
    }
}
