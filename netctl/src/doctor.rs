//! What this kernel and this host can do for a node's network, found out by trying.
//!
//! Everything is tried in throw-away namespaces; nothing of the host is changed.

mod firewall;

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;

use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::LinkWireguard;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use rustix::io::Errno;
use spec::net::Block;

use crate::filter::Filter;
use crate::filter::kernel::Kernel;
use crate::rtnl::{self, NewVeth};
use crate::socket;
use crate::worker::Worker;
use crate::{Error, netns};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, such as `veth`.
    pub name: String,
    pub level: Level,
    /// What was found, in a sentence.
    pub detail: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Good,
    /// Stead runs, with something missing or slower.
    Warning,
    /// Stead's network does not work like this.
    Problem,
}

const TUN_DEVICE: &str = "/dev/net/tun";
const IP_FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

/// Looks at everything the network of a node needs, in the network namespace of the calling thread.
pub async fn check() -> Vec<Finding> {
    let looked = match Worker::new() {
        Ok(worker) => worker.run(|_| Ok(look())).await,
        Err(error) => Err(error),
    };
    looked.unwrap_or_else(|error| vec![problem("network", chain(&error), "run Stead as root")])
}

/// Looks from a thread that is its own, in the host's namespace.
fn look() -> Vec<Finding> {
    let mut findings = vec![netlink(), namespaces(), forwarding(), veth(), packet_filter()];
    findings.extend(firewall::check());
    let wireguard = try_wireguard();
    findings.extend([tun(wireguard.is_ok()), report_wireguard(wireguard)]);
    findings
}

fn netlink() -> Finding {
    match rtnl::open().and_then(|mut socket| rtnl::interfaces(&mut socket)) {
        Ok(interfaces) => good("netlink", format!("rtnetlink lists {} interfaces", interfaces.len())),
        Err(error) => problem("netlink", format!("rtnetlink does not work: {}", chain(&error)), "run Stead as root"),
    }
}

fn namespaces() -> Finding {
    match in_new_namespace(|_| Ok(())) {
        Ok(()) => good("network-namespaces", "a new network namespace can be made"),
        Err(error) => {
            problem("network-namespaces", chain(&error), "run Stead as root, on a kernel with CONFIG_NET_NS, outside containers")
        }
    }
}

fn forwarding() -> Finding {
    let on = std::fs::read_to_string(IP_FORWARD).is_ok_and(|text| text.trim() == "1");
    match OpenOptions::new().write(true).open(IP_FORWARD) {
        _ if on => good("forwarding", "IPv4 is forwarded"),
        Ok(_) => good("forwarding", "IPv4 is not forwarded yet; Stead turns it on"),
        Err(error) => problem("forwarding", format!("IPv4 is not forwarded: {error}"), "run `sysctl -w net.ipv4.ip_forward=1`"),
    }
}

fn veth() -> Finding {
    let made = in_new_namespace(|namespace| {
        let veth = NewVeth {
            name: "st-doctor0",
            mac: [2, 0, 0, 0, 0, 1],
            group: 0,
            peer_name: "st-doctor1",
            peer_mac: [2, 0, 0, 0, 0, 2],
            peer_namespace: namespace.as_fd(),
        };
        apply(rtnl::add_veth(&veth)).map_err(Error::netlink("make a veth pair"))
    });
    match made {
        Ok(()) => good("veth", "a veth pair can be made"),
        Err(error) => problem("veth", chain(&error), "use a kernel with CONFIG_VETH, or run `modprobe veth`"),
    }
}

/// Sets a whole filter, so that whatever part of nf_tables it needs is tried.
fn packet_filter() -> Finding {
    let set = in_new_namespace(|_| {
        let pool = Block::holding([10, 0, 0, 0].into(), 8).ok_or(Error::Panicked)?;
        let links = [("st-doctor0".to_owned(), [pool.first()].into())].into();
        Kernel::open("stead-doctor".into())?.set(&Filter { pool, overlays: [pool].into(), links })
    });
    match set {
        Ok(()) => good("packet-filter", "nf_tables works, with sets, connection tracking and masquerading"),
        Err(error) => problem(
            "packet-filter",
            chain(&error),
            "use a kernel with nf_tables, or run `modprobe -a nf_tables nft_ct nft_chain_nat nft_masq`",
        ),
    }
}

fn try_wireguard() -> Result<(), Error> {
    in_new_namespace(|_| {
        let message = LinkWireguard::new("st-doctor0").build();
        let request = rtnl::request(&RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL);
        apply(request).map_err(Error::netlink("make a WireGuard interface"))
    })
}

fn report_wireguard(tried: Result<(), Error>) -> Finding {
    match tried {
        Ok(()) => good("wireguard", "the kernel has WireGuard"),
        Err(Error::Netlink { source, .. }) if source.errno() == Some(Errno::OPNOTSUPP.raw_os_error()) => warning(
            "wireguard",
            "the kernel has no WireGuard; nothing needs it before nodes can join, which this version does not do yet",
            "use a kernel with CONFIG_WIREGUARD, or run `modprobe wireguard`",
        ),
        Err(error) => warning("wireguard", chain(&error), "use a kernel with CONFIG_WIREGUARD"),
    }
}

/// Only the built-in WireGuard needs it.
fn tun(kernel_has_wireguard: bool) -> Finding {
    let opened = File::options().read(true).write(true).open(TUN_DEVICE);
    match opened {
        Ok(_) => good("tun", format!("{TUN_DEVICE} can be opened")),
        Err(error) if kernel_has_wireguard => good("tun", format!("{TUN_DEVICE} cannot be opened ({error}), and is not needed")),
        Err(error) => warning(
            "tun",
            format!(
                "{TUN_DEVICE} cannot be opened ({error}), which will be needed where the kernel has no WireGuard, once nodes can join"
            ),
            "run `modprobe tun`, or use a kernel with WireGuard",
        ),
    }
}

/// Runs `try_it` on a throw-away thread in a new network namespace, which it gets.
fn in_new_namespace<T: Send + 'static>(try_it: impl FnOnce(&File) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let body = || {
        netns::enter_new().map_err(Error::io("make a network namespace"))?;
        let namespace = netns::own().map_err(Error::io("open a network namespace"))?;
        try_it(&namespace)
    };
    std::thread::spawn(body).join().unwrap_or(Err(Error::Panicked))
}

fn apply(request: socket::Request) -> Result<(), socket::Error> {
    let refusal = rtnl::open()?.apply(&[request])?.pop();
    refusal.map_or(Ok(()), |refusal| Err(socket::Error::Refused(refusal)))
}

fn good(name: &str, detail: impl Into<String>) -> Finding {
    Finding { name: name.into(), level: Level::Good, detail: detail.into(), fix: String::new() }
}

fn warning(name: &str, detail: impl Into<String>, fix: &str) -> Finding {
    Finding { name: name.into(), level: Level::Warning, detail: detail.into(), fix: fix.into() }
}

fn problem(name: &str, detail: impl Into<String>, fix: &str) -> Finding {
    Finding { name: name.into(), level: Level::Problem, detail: detail.into(), fix: fix.into() }
}

/// Writes an error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
