//! Host names as the replica itself would look them up: asked from inside its namespace.

use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use spec::net::{DNS_PORT, GATEWAY};
use tokio::net::UdpSocket;

use crate::netns;

/// How long one question waits for its answer, and how often it is asked: a lost packet is no verdict.
const ANSWER: Duration = Duration::from_secs(1);
const QUESTIONS: usize = 3;

/// Largest answer; more would need EDNS, which is not asked for (RFC 1035, 4.2.1), but some servers send it.
const ANSWER_BYTES: usize = 4096;

/// Returns an address of `host`: itself if it is one, or what the node's DNS says.
pub(crate) async fn look_up(netns: &Path, host: &str) -> Result<Ipv4Addr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    if host == "localhost" {
        return Ok(Ipv4Addr::LOCALHOST);
    }
    let name = Name::from_ascii(host.trim_end_matches('.')).map_err(|error| format!("`{host}` is no host name: {error}"))?;
    ask(netns, name.append_domain(&Name::root()).map_err(|error| error.to_string())?)
        .await
        .map_err(|why| format!("look up {host}: {why}"))
}

async fn ask(netns: &Path, name: Name) -> Result<Ipv4Addr, String> {
    let socket = netns::udp(netns).await.map_err(|error| error.to_string())?;
    socket.connect((GATEWAY, DNS_PORT)).await.map_err(|error| error.to_string())?;
    let mut question = Message::query();
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(name, RecordType::A));
    let packet = question.to_vec().map_err(|error| error.to_string())?;
    for _ in 0..QUESTIONS {
        socket.send(&packet).await.map_err(|error| format!("ask {GATEWAY}: {error}"))?;
        if let Ok(answer) = tokio::time::timeout(ANSWER, answer(&socket, &question)).await {
            return address(&answer?);
        }
    }
    Err(format!("{GATEWAY} does not answer"))
}

/// Waits for the answer to this very question.
async fn answer(socket: &UdpSocket, question: &Message) -> Result<Message, String> {
    let mut packet = [0; ANSWER_BYTES];
    loop {
        let length = socket.recv(&mut packet).await.map_err(|error| format!("ask {GATEWAY}: {error}"))?;
        match Message::from_vec(&packet[..length]) {
            Ok(answer) if answer.metadata.id == question.metadata.id && answer.queries == question.queries => return Ok(answer),
            _ => {}
        }
    }
}

fn address(answer: &Message) -> Result<Ipv4Addr, String> {
    let found = answer.answers.iter().find_map(|record| match record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    });
    match (found, answer.metadata.response_code) {
        (Some(address), _) => Ok(address),
        (None, ResponseCode::NoError | ResponseCode::NXDomain) => Err("it has no address".to_owned()),
        (None, code) => Err(format!("the node's DNS says {code}")),
    }
}
