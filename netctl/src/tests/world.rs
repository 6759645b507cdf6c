//! A host to test on: a fresh network and mount namespace, replicas, and a world outside.

use std::fs;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use spec::net::{Address, Block, Link};

use crate::rtnl::{self, InterfaceAddress, NewVeth, Route};
use crate::socket::{Request, Socket};
use crate::{Config, Filter, Netctl, netns};

/// Longest wait for something that happens at once unless it is broken.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// The world outside: its own address, and the host's.
pub(super) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

pub(super) const NODE: &str = "ab12cd34";

pub(super) struct World {
    pub(super) directory: tempfile::TempDir,
}

/// Runs `test` on a host of its own, and checks that the real one is as before.
pub(super) fn on_a_host<F: Future<Output = ()>>(test: impl FnOnce(World) -> F + Send + 'static) {
    let before = real_host();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let thread = std::thread::spawn(move || {
        // SAFETY: the thread is fresh; its file descriptors and memory stay shared and unchanged.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.expect("the tests need root");
        mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE).unwrap();
        apply(&mut rtnl::open().unwrap(), &[rtnl::set_up(1)]);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let world = World { directory };
        runtime.block_on(async { tokio::time::timeout(DEADLINE * 6, test(world)).await.expect("the test takes too long") });
    });
    let result = thread.join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
    assert_eq!(real_host(), before, "the test left something on the real host");
    assert!(!path.exists(), "the test left its directory behind");
}

/// What a test that does not keep to its namespace would leave behind.
fn real_host() -> Vec<String> {
    let interfaces = rtnl::interfaces(&mut rtnl::open().unwrap()).unwrap().into_iter().map(|interface| interface.name);
    interfaces.chain(crate::filter::tests::tables()).filter(|name| name.contains(NODE)).collect()
}

/// Unmounts what a test left mounted, or its directory could not be removed.
impl Drop for World {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let directory = self.directory.path().to_str().unwrap().to_owned();
        let below = mounts.lines().filter_map(|line| line.split(' ').nth(4)).filter(|path| path.starts_with(&directory));
        for path in below.collect::<Vec<_>>().into_iter().rev() {
            let _ = rustix::mount::unmount(path, UnmountFlags::DETACH);
        }
    }
}

impl World {
    pub(super) fn netns_dir(&self) -> PathBuf {
        self.directory.path().join("netns")
    }

    pub(super) fn pin(&self, link: &Link) -> PathBuf {
        self.netns_dir().join(&link.netns)
    }

    pub(super) async fn open(&self) -> Netctl {
        self.open_node(NODE, "netns").await
    }

    pub(super) async fn open_node(&self, node_id: &str, directory: &str) -> Netctl {
        let netns_dir = self.directory.path().join(directory);
        Netctl::open(Config { netns_dir, node_id: node_id.into() }).await.unwrap()
    }

    /// Connects the host to a world outside, another namespace in which 192.0.2.2 and 169.254.169.254 answer.
    pub(super) fn connect_outside(&self) -> PathBuf {
        let pin = self.directory.path().join("outside");
        let path = pin.clone();
        std::thread::spawn(move || netns::ensure_pin(&path).unwrap()).join().unwrap();
        let namespace = fs::File::open(&pin).unwrap();
        let veth = NewVeth {
            name: "out0",
            mac: [2, 0, 0, 0, 0, 1],
            group: 0,
            peer_name: "eth0",
            peer_mac: [2, 0, 0, 0, 0, 2],
            peer_namespace: namespace.as_fd(),
        };
        apply(&mut rtnl::open().unwrap(), &[rtnl::add_veth(&veth)]);
        let metadata = Ipv4Addr::new(169, 254, 169, 254);
        set_up_interface("out0", &[(HOST, 24)], &[(metadata, None)]);
        netns::in_netns(&pin, move || {
            set_up_interface("eth0", &[(OUTSIDE, 24), (metadata, 32)], &[(Ipv4Addr::UNSPECIFIED, Some(HOST))]);
        })
        .unwrap();
        pin
    }
}

fn set_up_interface(name: &str, addresses: &[(Ipv4Addr, u8)], routes: &[(Ipv4Addr, Option<Ipv4Addr>)]) {
    let mut socket = rtnl::open().unwrap();
    let index = index_of(name);
    let address = |(address, prefix): &(Ipv4Addr, u8)| {
        rtnl::add_address(index, &InterfaceAddress { address: *address, prefix: *prefix, link_scope: false })
    };
    let mut requests: Vec<Request> = addresses.iter().map(address).collect();
    requests.push(rtnl::set_up(index));
    requests.extend(routes.iter().map(|(to, gateway)| {
        let destination = Block::holding(*to, if to.is_unspecified() { 0 } else { 32 }).unwrap();
        rtnl::add_route(index, &Route { destination, gateway: *gateway, source: None })
    }));
    apply(&mut socket, &requests);
}

/// Sends `requests` and insists that all are taken.
pub(super) fn apply(socket: &mut Socket, requests: &[Request]) {
    assert_eq!(socket.apply(requests).unwrap(), []);
}

/// Returns the index of the interface `name` in the namespace of the calling thread.
pub(super) fn index_of(name: &str) -> u32 {
    rtnl::interface(&mut rtnl::open().unwrap(), name).unwrap().unwrap_or_else(|| panic!("no {name}")).index
}

pub(super) fn block(text: &str) -> Block {
    text.parse().unwrap()
}

/// Returns a link whose addresses are given with their overlay's block: `10.200.1.5@10.200.1.0/24`.
pub(super) fn link(number: u32, addresses: &[&str]) -> Link {
    link_of(NODE, number, addresses)
}

pub(super) fn link_of(node: &str, number: u32, addresses: &[&str]) -> Link {
    let address = |text: &&str| {
        let (address, of) = text.split_once('@').unwrap();
        Address { address: address.parse().unwrap(), block: block(of) }
    };
    let addresses = addresses.iter().map(address).collect();
    Link { host_name: format!("st{node}{number:04x}"), netns: format!("replica-{number}"), addresses }
}

/// Returns the filter that fits `links`.
pub(super) fn filter(pool: &str, links: &[&Link]) -> Filter {
    let addresses = |link: &&Link| (link.host_name.clone(), link.addresses.iter().map(|it| it.address).collect());
    Filter {
        pool: block(pool),
        overlays: links.iter().flat_map(|link| link.addresses.iter().map(|it| it.block)).collect(),
        links: links.iter().map(addresses).collect(),
    }
}

/// Opens a TCP listener inside the namespace pinned at `pin`.
pub(super) fn listen(pin: &std::path::Path, address: Ipv4Addr, port: u16) -> TcpListener {
    netns::in_netns(pin, move || TcpListener::bind(SocketAddrV4::new(address, port)).unwrap()).unwrap()
}

/// Connects by TCP from inside the namespace pinned at `pin`.
pub(super) fn connect(pin: &std::path::Path, address: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    netns::in_netns(pin, move || TcpStream::connect_timeout(&SocketAddrV4::new(address, port).into(), DEADLINE)).unwrap()
}

/// Opens a UDP socket inside the namespace pinned at `pin`.
pub(super) fn udp(pin: &std::path::Path, address: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = netns::in_netns(pin, move || UdpSocket::bind(SocketAddrV4::new(address, port)).unwrap()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// Sends one datagram and waits until the filter's rule `name` has counted it.
pub(super) async fn is_dropped_by(netctl: &Netctl, name: &str, from: &UdpSocket, to: Ipv4Addr, port: u16) {
    let count = async || netctl.filter_counters().await.unwrap().get(name).map_or(0, |counter| counter.packets);
    let before = count().await;
    from.send_to(b"hello", SocketAddrV4::new(to, port)).unwrap();
    let started = std::time::Instant::now();
    while count().await == before {
        assert!(started.elapsed() < DEADLINE, "`{name}` dropped nothing: {:?}", netctl.filter_counters().await);
        tokio::task::yield_now().await;
    }
}
