//! What the packet filter lets through and what it drops, with real packets.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};

use spec::net::{DNS_PORT, GATEWAY, Link};

use super::world::{
    DEADLINE, HOST, OUTSIDE, World, apply, connect, filter, index_of, is_dropped_by, link, link_of, listen, on_a_host, udp,
};
use crate::rtnl::{self, InterfaceAddress};
use crate::{Netctl, netns};

const POOL: &str = "10.200.0.0/14";

/// Makes `links` and the filter for them.
async fn set_up(world: &World, links: &[&Link]) -> Netctl {
    let netctl = world.open().await;
    for link in links {
        netctl.ensure_link(link).await.unwrap();
    }
    netctl.set_filter(filter(POOL, links)).await.unwrap();
    netctl
}

fn first(link: &Link) -> Ipv4Addr {
    link.addresses[0].address
}

/// Sends a word each way and returns the client's address as the server saw it.
fn talk(client: std::io::Result<TcpStream>, server: &TcpListener) -> IpAddr {
    let (mut client, (mut served, peer)) = (client.unwrap(), server.accept().unwrap());
    let mut heard = [0; 4];
    client.write_all(b"ping").unwrap();
    served.read_exact(&mut heard).unwrap();
    served.write_all(b"pong").unwrap();
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"pong");
    peer.ip()
}

fn replicas_of_one_overlay() -> [Link; 2] {
    [link(1, &["10.200.1.5@10.200.1.0/24"]), link(2, &["10.200.1.6@10.200.1.0/24"])]
}

fn replicas_of_two_overlays() -> [Link; 2] {
    [link(1, &["10.200.1.5@10.200.1.0/24"]), link(2, &["10.200.2.6@10.200.2.0/24"])]
}

#[test]
fn replicas_of_one_overlay_talk() {
    on_a_host(|world| async move {
        let [a, b] = replicas_of_one_overlay();
        set_up(&world, &[&a, &b]).await;
        let server = listen(&world.pin(&b), first(&b), 80);
        assert_eq!(talk(connect(&world.pin(&a), first(&b), 80), &server), first(&a));
    });
}

#[test]
fn a_replica_in_two_overlays_speaks_in_each_with_the_address_it_has_there() {
    on_a_host(|world| async move {
        let both = link(1, &["10.200.1.5@10.200.1.0/24", "10.201.0.5@10.201.0.0/16"]);
        let second = link(2, &["10.201.0.6@10.201.0.0/16"]);
        set_up(&world, &[&both, &second]).await;
        let server = listen(&world.pin(&second), first(&second), 80);
        assert_eq!(talk(connect(&world.pin(&both), first(&second), 80), &server), Ipv4Addr::new(10, 201, 0, 5));
    });
}

#[test]
fn another_overlay_is_out_of_reach() {
    on_a_host(|world| async move {
        let [a, b] = replicas_of_two_overlays();
        let netctl = set_up(&world, &[&a, &b]).await;
        let server = udp(&world.pin(&b), first(&b), 80);
        is_dropped_by(&netctl, "other-overlay", &udp(&world.pin(&a), first(&a), 0), first(&b), 80).await;
        hears_nothing(&server);
    });
}

fn hears_nothing(socket: &UdpSocket) {
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.recv(&mut [0; 16]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// Gives `eth0` of `link` an address that is not its own.
fn take_address(world: &World, link: &Link, address: Ipv4Addr) {
    let address = InterfaceAddress { address, prefix: 32, link_scope: false };
    let take = move || apply(&mut rtnl::open().unwrap(), &[rtnl::add_address(index_of("eth0"), &address)]);
    netns::in_netns(&world.pin(link), take).unwrap();
}

#[test]
fn a_false_source_is_dropped_even_of_the_same_overlay() {
    on_a_host(|world| async move {
        let [a, b] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a, &b]).await;
        let false_source = Ipv4Addr::new(10, 200, 1, 7);
        take_address(&world, &a, false_source);
        let server = udp(&world.pin(&b), first(&b), 80);
        let liar = udp(&world.pin(&a), false_source, 0);
        is_dropped_by(&netctl, "spoofed-forward", &liar, first(&b), 80).await;
        hears_nothing(&server);
        is_dropped_by(&netctl, "spoofed-input", &liar, GATEWAY, DNS_PORT).await;
    });
}

#[test]
fn a_false_source_does_not_slip_into_a_connection_of_its_owner() {
    on_a_host(|world| async move {
        let (a, b) = (link(1, &["10.200.1.5@10.200.1.0/24"]), link(2, &["10.200.1.6@10.200.1.0/24"]));
        let liar = link(3, &["10.200.1.7@10.200.1.0/24"]);
        let netctl = set_up(&world, &[&a, &b, &liar]).await;
        let (honest, server) = (udp(&world.pin(&a), first(&a), 1000), udp(&world.pin(&b), first(&b), 80));
        honest.send_to(b"hello", SocketAddrV4::new(first(&b), 80)).unwrap();
        let (_, from) = server.recv_from(&mut [0; 16]).unwrap();
        server.send_to(b"answer", from).unwrap();
        honest.recv(&mut [0; 16]).unwrap();
        // Now the connection is an established one; the same packet from another link must not be.
        take_address(&world, &liar, first(&a));
        is_dropped_by(&netctl, "spoofed-forward", &udp(&world.pin(&liar), first(&a), 1000), first(&b), 80).await;
        hears_nothing(&server);
    });
}

#[test]
fn services_of_the_host_are_out_of_reach_except_the_name_service() {
    on_a_host(|world| async move {
        world.connect_outside();
        let [a, _] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a]).await;
        let service = UdpSocket::bind("0.0.0.0:2375").unwrap();
        let client = udp(&world.pin(&a), first(&a), 0);
        for host in [GATEWAY, HOST] {
            is_dropped_by(&netctl, "host-service", &client, host, 2375).await;
        }
        is_dropped_by(&netctl, "host-service", &client, HOST, DNS_PORT).await;
        hears_nothing(&service);

        let names = UdpSocket::bind(SocketAddrV4::new(GATEWAY, DNS_PORT)).unwrap();
        names.set_read_timeout(Some(DEADLINE)).unwrap();
        client.send_to(b"name?", SocketAddrV4::new(GATEWAY, DNS_PORT)).unwrap();
        let (_, from) = names.recv_from(&mut [0; 16]).unwrap();
        names.send_to(b"address", from).unwrap();
        let (length, from) = client.recv_from(&mut [0; 16]).unwrap();
        assert_eq!((length, from.ip()), (7, IpAddr::V4(GATEWAY)));
        let names = TcpListener::bind(SocketAddrV4::new(GATEWAY, DNS_PORT)).unwrap();
        assert_eq!(talk(connect(&world.pin(&a), GATEWAY, DNS_PORT), &names), first(&a));
    });
}

#[test]
fn the_metadata_address_of_the_cloud_is_out_of_reach() {
    on_a_host(|world| async move {
        let outside = world.connect_outside();
        let [a, _] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a]).await;
        let metadata = Ipv4Addr::new(169, 254, 169, 254);
        let service = udp(&outside, metadata, 80);
        UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"host", SocketAddrV4::new(metadata, 80)).unwrap();
        service.recv(&mut [0; 16]).expect("the host itself reaches it");
        is_dropped_by(&netctl, "link-local", &udp(&world.pin(&a), first(&a), 0), metadata, 80).await;
        hears_nothing(&service);
    });
}

#[test]
fn the_world_outside_is_reached_with_the_hosts_address() {
    on_a_host(|world| async move {
        let outside = world.connect_outside();
        let [a, _] = replicas_of_one_overlay();
        set_up(&world, &[&a]).await;
        let server = listen(&outside, OUTSIDE, 80);
        assert_eq!(talk(connect(&world.pin(&a), OUTSIDE, 80), &server), HOST);
    });
}

#[test]
fn what_belongs_to_no_connection_does_not_leave_unmasqueraded() {
    on_a_host(|world| async move {
        world.connect_outside();
        let [a, _] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a]).await;
        let broken = || {
            let tcp = rustix::net::ipproto::TCP;
            let raw = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::RAW, Some(tcp)).unwrap();
            // A TCP header all of zeros: no flags, a wrong checksum.
            let to = SocketAddrV4::new(OUTSIDE, 0);
            rustix::net::sendto(raw, &[0; 20], rustix::net::SendFlags::empty(), &to).unwrap();
        };
        netns::in_netns(&world.pin(&a), broken).unwrap();
        let started = std::time::Instant::now();
        while netctl.filter_counters().await.unwrap()["invalid"].packets == 0 {
            assert!(started.elapsed() < DEADLINE);
            tokio::task::yield_now().await;
        }
        assert_eq!(netctl.filter_counters().await.unwrap()["masqueraded"].packets, 0);
    });
}

#[test]
fn the_world_outside_cannot_reach_a_replica_or_the_name_service() {
    on_a_host(|world| async move {
        let outside = world.connect_outside();
        let [a, b] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a, &b]).await;
        let server = udp(&world.pin(&a), first(&a), 80);
        let neighbour = udp(&outside, OUTSIDE, 0);
        is_dropped_by(&netctl, "from-outside", &neighbour, first(&a), 80).await;
        is_dropped_by(&netctl, "gateway-from-elsewhere", &neighbour, GATEWAY, DNS_PORT).await;
        // Nor with the address of a replica that happens to be away.
        let false_source = Ipv4Addr::new(10, 200, 1, 99);
        let take = move || {
            let address = InterfaceAddress { address: false_source, prefix: 32, link_scope: false };
            apply(&mut rtnl::open().unwrap(), &[rtnl::add_address(index_of("eth0"), &address)]);
        };
        netns::in_netns(&outside, take).unwrap();
        is_dropped_by(&netctl, "from-outside", &udp(&outside, false_source, 0), first(&a), 80).await;
        hears_nothing(&server);
    });
}

#[test]
fn an_address_of_the_overlay_that_no_replica_has_does_not_lead_outside() {
    on_a_host(|world| async move {
        let outside = world.connect_outside();
        let default = rtnl::Route { destination: super::world::block("0.0.0.0/0"), gateway: Some(OUTSIDE), source: None };
        apply(&mut rtnl::open().unwrap(), &[rtnl::add_route(index_of("out0"), &default)]);
        let nobody = Ipv4Addr::new(10, 200, 1, 200);
        netns::in_netns(&outside, move || {
            let address = InterfaceAddress { address: nobody, prefix: 32, link_scope: false };
            apply(&mut rtnl::open().unwrap(), &[rtnl::add_address(index_of("eth0"), &address)]);
        })
        .unwrap();
        let [a, b] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a, &b]).await;
        let trap = udp(&outside, nobody, 80);
        is_dropped_by(&netctl, "pool", &udp(&world.pin(&a), first(&a), 0), nobody, 80).await;
        hears_nothing(&trap);
    });
}

#[test]
fn the_proxy_reaches_replicas_from_the_gateway_address() {
    on_a_host(|world| async move {
        // Whatever the host thinks of reverse paths.
        fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
        let [a, b] = replicas_of_two_overlays();
        set_up(&world, &[&a, &b]).await;
        for link in [&a, &b] {
            let server = listen(&world.pin(link), first(link), 80);
            let client = TcpStream::connect_timeout(&SocketAddrV4::new(first(link), 80).into(), DEADLINE);
            assert_eq!(talk(client, &server), GATEWAY);
        }
    });
}

#[test]
fn ipv6_from_a_replica_is_dropped() {
    on_a_host(|world| async move {
        let [a, _] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a]).await;
        fs::write(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", a.host_name), "0").unwrap();
        let speak = || -> std::io::Result<usize> {
            fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0")?;
            let all = std::net::SocketAddrV6::new("ff02::1".parse().unwrap(), 80, 0, index_of("eth0"));
            UdpSocket::bind("[::]:0")?.send_to(b"hello", all)
        };
        let started = std::time::Instant::now();
        while netctl.filter_counters().await.unwrap()["ipv6-to-host"].packets == 0 {
            // The address it gives itself is tentative at first, and then nothing can be sent.
            let _ = netns::in_netns(&world.pin(&a), speak).unwrap();
            assert!(started.elapsed() < DEADLINE);
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn traffic_that_is_not_ours_passes_untouched() {
    on_a_host(|world| async move {
        let outside = world.connect_outside();
        let [a, _] = replicas_of_one_overlay();
        let netctl = set_up(&world, &[&a]).await;
        let service = TcpListener::bind((HOST, 80)).unwrap();
        assert_eq!(talk(connect(&outside, HOST, 80), &service), OUTSIDE);
        let dropped = netctl.filter_counters().await.unwrap().values().map(|counter| counter.packets).sum::<u64>();
        assert_eq!(dropped, 0);
    });
}

#[test]
fn two_nodes_on_one_host_do_not_disturb_each_other() {
    on_a_host(|world| async move {
        let (one, two) = (world.open_node("abcd", "one").await, world.open_node("abcdef", "two").await);
        let overlay = |node, number, block: &str| link_of(node, number, &[&format!("{block}.{number}@{block}.0/24")]);
        let (a, b) = (overlay("abcd", 1, "10.200.1"), overlay("abcd", 2, "10.200.1"));
        let (c, d) = (overlay("abcdef", 3, "10.204.1"), overlay("abcdef", 4, "10.204.1"));
        for (node, links, pool) in [(&one, [&a, &b], "10.200.0.0/14"), (&two, [&c, &d], "10.204.0.0/14")] {
            for link in links {
                node.ensure_link(link).await.unwrap();
            }
            node.set_filter(filter(pool, &links)).await.unwrap();
        }
        let pin = |directory: &str, link: &Link| world.directory.path().join(directory).join(&link.netns);
        for (directory, from, to) in [("one", &a, &b), ("two", &c, &d)] {
            let server = listen(&pin(directory, to), first(to), 80);
            assert_eq!(talk(connect(&pin(directory, from), first(to), 80), &server), first(from));
        }
        let names = |netctl: Netctl| async move { netctl.observed().await.unwrap().links.into_iter().collect::<Vec<_>>() };
        assert_eq!(names(one.clone()).await, [a.host_name.clone(), b.host_name.clone()]);
        assert_eq!(names(two.clone()).await, [c.host_name.clone(), d.host_name.clone()]);
        // From one node to the other: dropped by the one whose replica it is.
        is_dropped_by(&two, "from-outside", &udp(&pin("one", &a), first(&a), 0), first(&c), 80).await;

        one.remove_all().await.unwrap();
        assert!(two.link_is_complete(&c).await.unwrap() && two.filter_is_intact().await.unwrap());
        let server = listen(&pin("two", &d), first(&d), 81);
        assert_eq!(talk(connect(&pin("two", &c), first(&d), 81), &server), first(&c));
    });
}
