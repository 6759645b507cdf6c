//! DNS for containers: answers their own names, passes everything else on as it is.

mod answer;
mod relay;
mod room;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tracing::warn;

use crate::plane::Shared;
use answer::{Decision, Transport};
use room::Room;

/// Queries that upstream servers are asked at one time: each holds a socket for up to some seconds.
const RELAYS: usize = 1_024;

/// Connections open at one time.
const CONNECTIONS: usize = 128;

/// Longest query taken from a datagram, in bytes; common ones have 60.
const QUERY_MAX: usize = 4_096;

/// How long a connection may stand still.
const IDLE: Duration = Duration::from_secs(5);

/// Pause after a socket failed, so that a lasting failure does not spin.
const PAUSE: Duration = Duration::from_millis(50);

static RELAYING: LazyLock<Arc<Room>> = LazyLock::new(|| Room::new(RELAYS));

/// Answers datagrams for as long as the task lives.
pub(crate) async fn serve_udp(shared: Arc<Shared>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; QUERY_MAX];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, client)) => take_datagram(&shared, &socket, &buffer[..length], client).await,
            // An earlier answer was not wanted any more: nothing of this socket.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(error) => {
                warn!(%error, "no DNS query could be received");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn take_datagram(shared: &Arc<Shared>, socket: &Arc<UdpSocket>, query: &[u8], client: SocketAddr) {
    match decide(shared, query, client, Transport::Datagram) {
        Decision::Drop => {}
        Decision::Reply(reply) => send(socket, &reply, client).await,
        Decision::Relay => match RELAYING.enter(&deployment(shared, client)) {
            Some(place) => {
                let (shared, socket, query) = (shared.clone(), socket.clone(), query.to_vec());
                tokio::spawn(async move {
                    let reply = relay(&shared, &query, Transport::Datagram).await;
                    send(&socket, &reply, client).await;
                    drop(place);
                });
            }
            None => {
                shared.metrics.dns.failed.add_one();
                send(socket, &relay::failure(query), client).await;
            }
        },
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    // The client asks again if its answer is lost; there is nobody else to tell.
    let _ = socket.send_to(reply, client).await;
}

/// Answers connections for as long as the task lives.
pub(crate) async fn serve_tcp(shared: Arc<Shared>, listener: TcpListener) {
    let room = Room::new(CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                // Without room it is closed at once: the client sees that, and comes again.
                let Some(place) = room.enter(&deployment(&shared, client)) else { continue };
                let shared = shared.clone();
                tokio::spawn(async move {
                    // However it ends, the client sees it.
                    let _ = converse(&shared, stream, client).await;
                    drop(place);
                });
            }
            Err(error) => {
                warn!(%error, "no DNS connection could be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers the queries of one connection, each after a length of two bytes (RFC 1035 section 4.2.2).
async fn converse(shared: &Shared, mut stream: TcpStream, client: SocketAddr) -> io::Result<()> {
    loop {
        let length = tokio::time::timeout(IDLE, stream.read_u16()).await??;
        let mut query = vec![0; length.into()];
        tokio::time::timeout(IDLE, stream.read_exact(&mut query)).await??;
        let reply = match decide(shared, &query, client, Transport::Stream) {
            Decision::Drop => return Ok(()),
            Decision::Reply(reply) => reply,
            Decision::Relay => match RELAYING.enter(&deployment(shared, client)) {
                Some(_place) => relay(shared, &query, Transport::Stream).await,
                None => relay::failure(&query),
            },
        };
        let Ok(length) = u16::try_from(reply.len()) else { return Ok(()) };
        let frame = [&length.to_be_bytes()[..], &reply].concat();
        tokio::time::timeout(IDLE, stream.write_all(&frame)).await??;
    }
}

fn decide(shared: &Shared, query: &[u8], client: SocketAddr, transport: Transport) -> Decision {
    let turn = shared.turn.fetch_add(1, Ordering::Relaxed);
    let decision = answer::decide(&shared.table().names, address(client), query, turn, transport);
    let dns = &shared.metrics.dns;
    match decision {
        Decision::Drop => dns.dropped.add_one(),
        _ => dns.queries.add_one(),
    }
    decision
}

fn address(client: SocketAddr) -> Ipv4Addr {
    match client.ip().to_canonical() {
        IpAddr::V4(address) => address,
        // No replica has one of these: unknown, as this address is.
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

/// Returns whose client it is; all that are unknown count as one deployment.
fn deployment(shared: &Shared, client: SocketAddr) -> Box<str> {
    shared.table().names.deployment(address(client)).unwrap_or_default().into()
}

async fn relay(shared: &Shared, query: &[u8], transport: Transport) -> Vec<u8> {
    let servers = shared.table().upstream_dns.clone();
    let reply = match transport {
        Transport::Datagram => relay::by_datagram(&servers, query).await,
        Transport::Stream => relay::by_stream(&servers, query).await,
    };
    let dns = &shared.metrics.dns;
    let counter = if reply.is_some() { &dns.relayed } else { &dns.failed };
    counter.add_one();
    reply.unwrap_or_else(|| relay::failure(query))
}
