//! What to do with one packet: a function of the packet, who sent it, and the table.

use std::net::Ipv4Addr;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::plane::table::Names;

/// Seconds an address may be kept: replicas come and go.
const TTL: u32 = 1;

/// Seconds that "no such name" may be kept (the SOA's minimum, RFC 2308): the service may be about to start.
const NEGATIVE_TTL: u32 = 1;

/// Bytes that a client takes in a datagram unless it says otherwise (RFC 1035 section 4.2.1).
const DATAGRAM: usize = 512;

/// Bytes of a datagram that no common link splits (DNS flag day 2020).
const DATAGRAM_MAX: usize = 1_232;

/// Bytes of an answer over a stream, which counts them in 16 bits; more than a thousand addresses help nobody.
const STREAM_MAX: usize = 16 << 10;

/// Bytes of one address in an answer: the name is a pointer.
const RECORD: usize = 16;

/// Bytes of everything else in an answer: header, OPT, and to spare.
const FRAME: usize = 12 + 11 + 9;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is no query.
    Drop,
    Reply(Vec<u8>),
    /// It is about a name of the world.
    Relay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Datagram,
    Stream,
}

/// What is known of a name of ours.
enum Found<'a> {
    Refused,
    Missing,
    Addresses(&'a [Ipv4Addr]),
}

/// Decides about a packet from `client`; `turn` says which address comes first.
pub(super) fn decide(names: &Names, client: Ipv4Addr, packet: &[u8], turn: usize, transport: Transport) -> Decision {
    let Ok(message) = Message::from_vec(packet) else { return Decision::Drop };
    if message.metadata.message_type != MessageType::Query {
        return Decision::Drop;
    }
    if message.metadata.op_code != OpCode::Query {
        return reply(&message, ResponseCode::NotImp);
    }
    let [query] = message.queries.as_slice() else { return reply(&message, ResponseCode::FormErr) };
    match find(names, client, query) {
        None => Decision::Relay,
        Some(Found::Refused) => reply(&message, ResponseCode::Refused),
        Some(Found::Missing) => negative(&message, query, ResponseCode::NXDomain),
        Some(Found::Addresses([])) => negative(&message, query, ResponseCode::NoError),
        Some(Found::Addresses(_)) if !matches!(query.query_type, RecordType::A | RecordType::ANY) => {
            negative(&message, query, ResponseCode::NoError)
        }
        Some(Found::Addresses(addresses)) => positive(&message, query, addresses, turn, transport),
    }
}

/// Looks a name up; `None` if it is none of ours.
fn find<'a>(names: &'a Names, client: Ipv4Addr, query: &Query) -> Option<Found<'a>> {
    let labels: Vec<String> = query.name.iter().map(|label| String::from_utf8_lossy(label).to_ascii_lowercase()).collect();
    let zone = labels.last().filter(|zone| *zone == "global" || *zone == "service")?;
    let Some(client) = names.client(client) else { return Some(Found::Refused) };
    if query.query_class != DNSClass::IN {
        return Some(Found::Refused);
    }
    let addresses = match labels.as_slice() {
        [_] => Some(&[][..]),
        [service, _] if zone == "global" => names.global(client, service),
        [service, _] => names.own(client, service),
        _ => None,
    };
    Some(addresses.map_or(Found::Missing, Found::Addresses))
}

fn reply(query: &Message, code: ResponseCode) -> Decision {
    encode(&begin(query, code))
}

fn positive(message: &Message, query: &Query, addresses: &[Ipv4Addr], turn: usize, transport: Transport) -> Decision {
    let mut answer = begin(message, ResponseCode::NoError);
    let most = (room(message, transport).saturating_sub(FRAME + query.name.len() + 4) / RECORD).max(1);
    // All that fit, each time from another one on: nobody has to come back by TCP for the rest.
    let turned = addresses.iter().cycle().skip(turn % addresses.len());
    for address in turned.take(addresses.len().min(most)) {
        answer.add_answer(Record::from_rdata(query.name.clone(), TTL, RData::A(A(*address))));
    }
    encode(&answer)
}

fn negative(message: &Message, query: &Query, code: ResponseCode) -> Decision {
    let mut answer = begin(message, code);
    let zone = query.name.trim_to(1);
    let soa = SOA::new(zone.clone(), Name::root(), 1, 60, 60, 60, NEGATIVE_TTL);
    answer.add_authority(Record::from_rdata(zone, NEGATIVE_TTL, RData::SOA(soa)));
    encode(&answer)
}

fn begin(query: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
    answer.metadata = Metadata::response_from_request(&query.metadata);
    answer.metadata.response_code = code;
    answer.metadata.recursion_available = true;
    answer.metadata.authoritative = matches!(code, ResponseCode::NoError | ResponseCode::NXDomain);
    answer.add_queries(query.queries.iter().take(1).cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(DATAGRAM_MAX as u16);
        answer.set_edns(edns);
    }
    answer
}

fn room(query: &Message, transport: Transport) -> usize {
    match (transport, &query.edns) {
        (Transport::Stream, _) => STREAM_MAX,
        (Transport::Datagram, Some(edns)) => usize::from(edns.max_payload()).clamp(DATAGRAM, DATAGRAM_MAX),
        (Transport::Datagram, None) => DATAGRAM,
    }
}

fn encode(answer: &Message) -> Decision {
    answer.to_vec().map_or(Decision::Drop, Decision::Reply)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Tables;

    const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 9);

    fn names() -> Names {
        let mut tables = Tables::default();
        tables.clients.insert("shop/web/0".parse().unwrap(), vec![CLIENT]);
        tables.records.insert("shop/web".parse().unwrap(), (0..250u8).map(|number| [10, 0, 1, number].into()).collect());
        tables.records.insert("shop/db".parse().unwrap(), vec![]);
        Names::new(&tables)
    }

    fn query(name: &str) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        message.set_edns(Edns::new());
        message.to_vec().unwrap()
    }

    fn is_sound(packet: &[u8], decision: &Decision, transport: Transport) -> bool {
        let Decision::Reply(reply) = decision else { return true };
        let most = if transport == Transport::Datagram { DATAGRAM_MAX } else { STREAM_MAX + DATAGRAM };
        Message::from_vec(reply).is_ok() && reply[..2] == packet[..2] && reply.len() <= most
    }

    proptest! {
        #[test]
        fn any_bytes_are_dropped_or_answered_soundly(packet in proptest::collection::vec(any::<u8>(), 0..600), turn: usize) {
            for transport in [Transport::Datagram, Transport::Stream] {
                let decision = decide(&names(), CLIENT, &packet, turn, transport);
                prop_assert!(is_sound(&packet, &decision, transport));
            }
        }

        #[test]
        fn damaged_queries_are_dropped_or_answered_soundly(
            name in "(web|db|none|[A-Za-z_]{1,63})[.](global|service|org)[.]",
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
            cut in any::<proptest::sample::Index>(),
            turn: usize,
        ) {
            let mut packet = query(&name);
            for (place, byte) in damage {
                let place = place.index(packet.len());
                packet[place] = byte;
            }
            let end = packet.len() - cut.index(packet.len()) / 8;
            packet.truncate(end);
            for transport in [Transport::Datagram, Transport::Stream] {
                let decision = decide(&names(), CLIENT, &packet, turn, transport);
                prop_assert!(is_sound(&packet, &decision, transport));
            }
        }
    }

    #[test]
    fn what_cannot_be_ours_is_relayed_whoever_asks() {
        for name in ["example.org.", "global.example.", ".", "globals."] {
            for client in [CLIENT, Ipv4Addr::UNSPECIFIED] {
                assert_eq!(decide(&names(), client, &query(name), 0, Transport::Datagram), Decision::Relay, "{name}");
            }
        }
    }
}
