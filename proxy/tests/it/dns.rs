//! Names: who sees which, and what is relayed.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use crate::kit::{PATIENCE, Rig, own_address};

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn send(rig: &Rig, from: Ipv4Addr, packet: &[u8]) -> UdpSocket {
    let socket = UdpSocket::bind((from, 0)).await.unwrap();
    socket.connect(rig.address(5353)).await.unwrap();
    socket.send(packet).await.unwrap();
    socket
}

async fn receive(socket: &UdpSocket) -> Message {
    let mut buffer = vec![0; 4096];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer in time").unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn ask(rig: &Rig, from: Ipv4Addr, name: &str, kind: RecordType) -> Message {
    receive(&send(rig, from, &query(name, kind).to_vec().unwrap()).await).await
}

async fn ask_by_stream(rig: &Rig, from: Ipv4Addr, packet: &[u8]) -> Message {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream = socket.connect(rig.address(5353)).await.unwrap();
    stream.write_all(&u16::try_from(packet.len()).unwrap().to_be_bytes()).await.unwrap();
    stream.write_all(packet).await.unwrap();
    let mut reply = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut reply).await.unwrap();
    Message::from_vec(&reply).unwrap()
}

fn addresses(message: &Message) -> Vec<Ipv4Addr> {
    let address = |data: &RData| match data {
        RData::A(address) => address.0,
        other => panic!("{other:?}"),
    };
    message.answers.iter().map(|record| address(&record.data)).collect()
}

/// A table with two replicas of one deployment and one of another; returns their addresses.
async fn names(rig: &Rig) -> [Ipv4Addr; 3] {
    let clients = [own_address(), own_address(), own_address()];
    let mut tables = spec::plan::Tables::default();
    for (replica, address) in ["shop/web/0", "shop/db/0", "blog/web/0"].iter().zip(clients) {
        tables.clients.insert(replica.parse().unwrap(), vec![address]);
    }
    for (service, addresses) in [
        ("shop/web", vec![[10, 0, 0, 1].into(), [10, 0, 0, 2].into()]),
        ("shop/db", vec![[10, 0, 0, 3].into()]),
        ("shop/empty", vec![]),
        ("blog/web", vec![[10, 1, 0, 1].into()]),
        ("shop/many", (0..200u8).map(|number| Ipv4Addr::from([10, 2, 0, number])).collect()),
    ] {
        tables.records.insert(service.parse().unwrap(), addresses);
    }
    let applied = rig.plane().set(&tables).await.unwrap();
    assert!(applied.failed.is_empty(), "{:?}", applied.failed);
    clients
}

/// Who asks for what, and the answer: its code and its addresses.
type Row = (Ipv4Addr, &'static str, RecordType, ResponseCode, &'static [[u8; 4]]);

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sees_the_names_of_its_own_deployment() {
    use RecordType::{A, AAAA, ANY, TXT};
    use ResponseCode::{NXDomain, NoError, Refused};
    let rig = Rig::start().await;
    let [web, db, blog] = names(&rig).await;
    let stranger = own_address();
    let table: [Row; 19] = [
        (web, "db.global.", A, NoError, &[[10, 0, 0, 3]]),
        (web, "web.global.", A, NoError, &[[10, 0, 0, 1], [10, 0, 0, 2]]),
        (db, "WeB.GLOBAL.", A, NoError, &[[10, 0, 0, 1], [10, 0, 0, 2]]),
        (db, "web.global.", ANY, NoError, &[[10, 0, 0, 1], [10, 0, 0, 2]]),
        (blog, "web.global.", A, NoError, &[[10, 1, 0, 1]]),
        (blog, "db.global.", A, NXDomain, &[]),
        (web, "web.global.", AAAA, NoError, &[]),
        (web, "web.global.", TXT, NoError, &[]),
        (web, "empty.global.", A, NoError, &[]),
        (web, "none.global.", A, NXDomain, &[]),
        (web, "none.global.", AAAA, NXDomain, &[]),
        (web, "x.web.global.", A, NXDomain, &[]),
        (web, "global.", A, NoError, &[]),
        (web, "web.service.", A, NoError, &[[10, 0, 0, 1], [10, 0, 0, 2]]),
        (web, "db.service.", A, NXDomain, &[]),
        (web, "none.service.", A, NXDomain, &[]),
        (stranger, "web.global.", A, Refused, &[]),
        (stranger, "none.service.", A, Refused, &[]),
        // Without an upstream server.
        (web, "example.org.", A, ResponseCode::ServFail, &[]),
    ];
    for (from, name, kind, code, expected) in table {
        let packet = query(name, kind).to_vec().unwrap();
        for reply in [ask(&rig, from, name, kind).await, ask_by_stream(&rig, from, &packet).await] {
            let mut found = addresses(&reply);
            found.sort_unstable();
            assert_eq!((reply.metadata.response_code, reply.metadata.id), (code, 4711), "{name} {kind}");
            assert_eq!(found, expected.iter().map(|bytes| Ipv4Addr::from(*bytes)).collect::<Vec<_>>(), "{name} {kind}");
            assert_eq!(reply.queries[0].name.to_string(), name);
            // Negative answers are forgotten soon, and so are addresses.
            let soa = matches!(code, NXDomain) || (code == NoError && expected.is_empty());
            assert_eq!(reply.authorities.len(), usize::from(soa), "{name} {kind}");
            assert!(reply.authorities.iter().chain(&reply.answers).all(|record| record.ttl <= 5));
        }
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_take_turns_and_a_long_answer_fits_its_datagram() {
    let rig = Rig::start().await;
    let [web, ..] = names(&rig).await;
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..4 {
        first.insert(addresses(&ask(&rig, web, "web.global.", RecordType::A).await)[0]);
    }
    assert_eq!(first.len(), 2);

    let packet = query("many.global.", RecordType::A).to_vec().unwrap();
    let socket = send(&rig, web, &packet).await;
    let mut buffer = vec![0; 4096];
    let length = socket.recv(&mut buffer).await.unwrap();
    let reply = Message::from_vec(&buffer[..length]).unwrap();
    assert!(length <= 512 && reply.answers.len() > 20 && !reply.metadata.truncation, "{length} {}", reply.answers.len());
    assert_eq!(ask_by_stream(&rig, web, &packet).await.answers.len(), 200);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_that_are_no_query_are_dropped_and_the_next_one_is_answered() {
    let rig = Rig::start().await;
    let [web, ..] = names(&rig).await;
    let mut response = query("web.global.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    let good = query("web.global.", RecordType::A).to_vec().unwrap();
    let looping = [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
    let many = [&good[..4], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &good[12..]].concat();
    let bad = [&[][..], &[0], &good[..11], &good[..good.len() - 1], &response.to_vec().unwrap(), &looping, &many, &[0xff; 3000]];
    for packet in bad {
        send(&rig, web, packet).await;
    }
    let mut update = query("web.global.", RecordType::A);
    update.metadata.op_code = OpCode::Notify;
    let reply = receive(&send(&rig, web, &update.to_vec().unwrap()).await).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::NotImp);
    assert_eq!(ask(&rig, web, "web.global.", RecordType::A).await.answers.len(), 2);
    let dns = rig.plane().figures().await.unwrap().dns;
    assert_eq!((dns.dropped, dns.queries), (bad.len() as u64, 2));
    rig.end().await;
}

/// An upstream server: `serve` makes the packets that answer one.
async fn upstream(serve: impl Fn(Vec<u8>) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = vec![0; 4096];
        loop {
            let (length, client) = socket.recv_from(&mut buffer).await.unwrap();
            for reply in serve(buffer[..length].to_vec()) {
                socket.send_to(&reply, client).await.unwrap();
            }
        }
    });
    address
}

fn answer(packet: &[u8], address: [u8; 4]) -> Vec<u8> {
    let query = Message::from_vec(packet).unwrap();
    let mut reply = query.clone().into_response();
    let name = query.queries[0].name.clone();
    reply.add_answer(hickory_proto::rr::Record::from_rdata(name, 300, RData::A(Ipv4Addr::from(address).into())));
    reply.to_vec().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_names_are_relayed_and_a_forged_answer_is_not_believed() {
    let forger = upstream(|packet| {
        let mut wrong_id = answer(&packet, [6, 6, 6, 6]);
        wrong_id[0] ^= 1;
        let mut other = Message::from_vec(&packet).unwrap();
        other.queries[0].name = Name::from_ascii("evil.example.").unwrap();
        let mut no_response = answer(&packet, [6, 6, 6, 7]);
        no_response[2] &= 0x7f;
        vec![wrong_id, answer(&other.to_vec().unwrap(), [6, 6, 6, 8]), no_response, vec![0; 3], answer(&packet, [9, 9, 9, 9])]
    })
    .await;
    // Nobody listens on the first: the second is asked at once.
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rig = Rig::start_with(|config| config.upstream_dns = vec![nobody, forger]).await;
    let [web, ..] = names(&rig).await;
    for from in [web, own_address()] {
        let reply = ask(&rig, from, "Example.org.", RecordType::A).await;
        assert_eq!((addresses(&reply), reply.metadata.id), (vec![Ipv4Addr::from([9, 9, 9, 9])], 4711));
    }
    assert_eq!(rig.plane().figures().await.unwrap().dns.relayed, 2);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_given_up_and_queries_by_stream_are_relayed_by_stream() {
    let silent = upstream(|_| Vec::new()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let streams = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut packet = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut packet).await.unwrap();
            let reply = answer(&packet, [8, 8, 8, 8]);
            stream.write_all(&[&u16::try_from(reply.len()).unwrap().to_be_bytes()[..], &reply].concat()).await.unwrap();
        }
    });
    let rig = Rig::start_with(|config| config.upstream_dns = vec![silent, streams]).await;
    let [web, ..] = names(&rig).await;
    let reply = ask(&rig, web, "example.org.", RecordType::A).await;
    assert_eq!(reply.metadata.response_code, ResponseCode::ServFail);
    let packet = query("example.org.", RecordType::A).to_vec().unwrap();
    assert_eq!(addresses(&ask_by_stream(&rig, web, &packet).await), [Ipv4Addr::from([8, 8, 8, 8])]);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_asks_without_end_leaves_the_others_their_answers() {
    let server = upstream(|packet| match packet.windows(4).any(|part| part == b"slow") {
        true => Vec::new(),
        false => vec![answer(&packet, [9, 9, 9, 9])],
    })
    .await;
    let rig = Rig::start_with(|config| config.upstream_dns = vec![server]).await;
    let [web, _, blog] = names(&rig).await;
    let packet = query("slow.example.", RecordType::A).to_vec().unwrap();
    let flood = UdpSocket::bind((blog, 0)).await.unwrap();
    flood.connect(rig.address(5353)).await.unwrap();
    // Until one is refused, because it has had its part.
    while rig.plane().figures().await.unwrap().dns.failed == 0 {
        for _ in 0..64 {
            flood.send(&packet).await.unwrap();
        }
    }
    assert_eq!(addresses(&ask(&rig, web, "example.org.", RecordType::A).await), [Ipv4Addr::from([9, 9, 9, 9])]);
    rig.end().await;
}
