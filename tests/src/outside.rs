//! The world outside a node: a network of its own at the other end of a cable, and listeners to be reached, or not.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::images::GREETING;
use crate::server::{Namespace, Server};

/// Longest time for reaching one.
const PATIENCE: Duration = Duration::from_secs(2);

/// The node's address on the cable (RFC 5737).
pub const NODE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// Some server of the internet, behind the cable.
pub const INTERNET: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
/// Where clouds tell their machines secrets.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Lays the cable: the node has its default route through it.
pub fn connect(server: &Server) -> Namespace {
    let outside = Namespace::new(Path::new("the outside"));
    let node = &server.namespace;
    node.shell(&format!("ip link add cable0 type veth peer name cable1 netns {}", outside.path().display()));
    node.shell(&format!("ip address add {NODE}/24 dev cable0 && ip link set cable0 up"));
    outside.shell("ip address add 203.0.113.2/24 dev cable1 && ip link set cable1 up");
    outside.shell(&format!("ip address add {INTERNET}/32 dev lo && ip address add {METADATA}/32 dev lo"));
    node.shell("ip route add default via 203.0.113.2");
    outside
}

/// Somebody who listens, and remembers who came.
#[derive(Clone, Default)]
pub struct Listener(Arc<Mutex<Vec<IpAddr>>>);

impl Listener {
    /// Listens in a network, to the end of this test.
    pub fn on(namespace: &Namespace, address: &str) -> Listener {
        let place = address.to_owned();
        let socket = namespace.run(move || TcpListener::bind(place));
        let socket = socket.unwrap_or_else(|error| panic!("{address}: {error}"));
        let listener = Listener::default();
        let visitors = listener.clone();
        std::thread::spawn(move || {
            for (mut stream, peer) in std::iter::from_fn(|| socket.accept().ok()) {
                visitors.0.lock().unwrap_or_else(PoisonError::into_inner).push(peer.ip());
                // Who left already does not need an answer.
                let _ = stream.read(&mut [0; 1024]).and_then(|_| write!(stream, "HTTP/1.0 200 OK\r\n\r\n{GREETING}"));
            }
        });
        listener
    }

    pub fn visitors(&self) -> Vec<IpAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Returns whether an address answers when it is asked from inside a network.
pub fn is_reached_from(namespace: &Namespace, address: SocketAddr) -> bool {
    namespace.run(move || {
        let mut said = String::new();
        let talk = |mut stream: TcpStream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            write!(stream, "GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_string(&mut said)
        };
        TcpStream::connect_timeout(&address, PATIENCE).and_then(talk).is_ok() && said.ends_with(GREETING)
    })
}
