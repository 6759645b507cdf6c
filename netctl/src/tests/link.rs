//! Links: made, noticed when broken, repaired, removed.

use std::fs;
use std::net::Ipv4Addr;
use std::time::Instant;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkMessage, State};
use rtnetlink::LinkUnspec;
use spec::net::Link;

use super::world::{DEADLINE, World, apply, index_of, link, on_a_host};
use crate::rtnl::{self, InterfaceAddress, Neighbour, Route};
use crate::{Error, Event, Netctl, netns};

const ADDRESS: &str = "10.200.1.5@10.200.1.0/24";
const SECOND: &str = "10.201.0.9@10.201.0.0/16";

#[test]
fn a_link_is_made_whole() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS, SECOND]);
        assert!(!netctl.link_is_complete(&link).await.unwrap());
        netctl.ensure_link(&link).await.unwrap();
        assert!(netctl.link_is_complete(&link).await.unwrap());
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), "1\n");
        insta::assert_snapshot!(describe(&world, &link), @"
        host:
          address 169.254.1.1/32 link scope true
          mac 3e:32:8a:ff:84:ad up true arp false ipv6 false
          neighbour 10.200.1.5 is 5a:e3:60:3a:1d:9a
          neighbour 10.201.0.9 is 5a:e3:60:3a:1d:9a
          route 10.200.1.5/32 via - src 169.254.1.1
          route 10.201.0.9/32 via - src 169.254.1.1
        inside:
          address 10.200.1.5/32 link scope false
          address 10.201.0.9/32 link scope false
          mac 5a:e3:60:3a:1d:9a up true arp false ipv6 false
          neighbour 169.254.1.1 is 3e:32:8a:ff:84:ad
          route 0.0.0.0/0 via 169.254.1.1 src 10.200.1.5
          route 10.200.1.0/24 via 169.254.1.1 src 10.200.1.5
          route 10.201.0.0/16 via 169.254.1.1 src 10.201.0.9
        ");
    });
}

/// Describes both ends of `link` as the kernel has them.
fn describe(world: &World, link: &Link) -> String {
    let name = link.host_name.clone();
    let outside = end(&name);
    let inside = netns::in_netns(&world.pin(link), || end("eth0")).unwrap();
    format!("host:\n{outside}inside:\n{inside}")
}

fn end(name: &str) -> String {
    let mut socket = rtnl::open().unwrap();
    let interface = rtnl::interface(&mut socket, name).unwrap().unwrap();
    let index = interface.index;
    let mut lines =
        vec![format!("mac {} up {} arp {} ipv6 {}", mac(&interface.mac), interface.up, interface.arp, !interface.ipv6_disabled)];
    for it in rtnl::addresses(&mut socket, index).unwrap() {
        lines.push(format!("address {}/{} link scope {}", it.address, it.prefix, it.link_scope));
    }
    for route in rtnl::routes(&mut socket, index).unwrap() {
        let text = |address: Option<Ipv4Addr>| address.map_or("-".into(), |address| address.to_string());
        lines.push(format!("route {} via {} src {}", route.destination, text(route.gateway), text(route.source)));
    }
    for neighbour in rtnl::neighbours(&mut socket, index).unwrap() {
        lines.push(format!("neighbour {} is {}", neighbour.address, mac(&neighbour.mac)));
    }
    lines.sort();
    lines.iter().map(|line| format!("  {line}\n")).collect()
}

fn mac(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Waits until the kernel has nothing more to tell about a link that was just made.
fn settle(world: &World, link: &Link) {
    let started = Instant::now();
    while !(carrier(&link.host_name) && netns::in_netns(&world.pin(link), || carrier("eth0")).unwrap()) {
        assert!(started.elapsed() < DEADLINE);
        std::thread::yield_now();
    }
}

/// Returns whether the interface `name` is operational, the last thing that is announced of a new one.
fn carrier(name: &str) -> bool {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
    let request = rtnl::request(&RouteNetlinkMessage::GetLink(message), 0);
    let read = |message: &crate::socket::Message<'_>| match rtnl::parse(message).unwrap() {
        RouteNetlinkMessage::NewLink(link) => link.attributes.contains(&LinkAttribute::OperState(State::Up)),
        _ => false,
    };
    rtnl::open().unwrap().get(&request, read).unwrap()
}

/// Listens as the monitor does.
struct Listener(crate::events::Sockets);

impl Listener {
    /// Reads what was heard, and says whether that was anything.
    fn hears(&self) -> bool {
        let mut buffer = Vec::with_capacity(64 << 10);
        let mut heard = false;
        while self.0.route.recv(&mut buffer, 0).is_ok() {
            heard = true;
            buffer.clear();
        }
        heard
    }
}

#[test]
fn a_complete_link_is_left_alone() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS]);
        netctl.ensure_link(&link).await.unwrap();
        let before = index_of(&link.host_name);
        settle(&world, &link);
        let listener = Listener(crate::events::open().unwrap());
        let started = Instant::now();
        loop {
            netctl.ensure_link(&link).await.unwrap();
            // Something late from when the link was made may come once or twice.
            if !listener.hears() {
                break;
            }
            assert!(started.elapsed() < DEADLINE, "a complete link is changed each time");
        }
        assert_eq!(index_of(&link.host_name), before);
    });
}

/// Breaks a link by hand, and expects that it is noticed, announced and put right.
fn is_repaired(damage: impl FnOnce(&World, &Link) + Send + 'static) {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS, SECOND]);
        netctl.ensure_link(&link).await.unwrap();
        let whole = describe(&world, &link);
        settle(&world, &link);
        let (mut events, listener) = (netctl.events(), Listener(crate::events::open().unwrap()));
        damage(&world, &link);
        assert!(listener.hears());
        assert_eq!(events.next().await, Some(Event::Links));
        assert!(!netctl.link_is_complete(&link).await.unwrap());
        netctl.ensure_link(&link).await.unwrap();
        assert!(netctl.link_is_complete(&link).await.unwrap());
        assert_eq!(describe(&world, &link), whole);
    });
}

/// Changes something about `eth0` inside the link's namespace.
fn inside(world: &World, link: &Link, change: impl FnOnce(u32) -> crate::socket::Request + Send + 'static) {
    netns::in_netns(&world.pin(link), || {
        apply(&mut rtnl::open().unwrap(), &[change(index_of("eth0"))]);
    })
    .unwrap();
}

/// Changes something about the host's end.
fn outside(link: &Link, change: impl FnOnce(u32) -> crate::socket::Request) {
    apply(&mut rtnl::open().unwrap(), &[change(index_of(&link.host_name))]);
}

#[test]
fn a_removed_veth_is_made_again() {
    is_repaired(|_, link| outside(link, rtnl::delete_link));
}

#[test]
fn a_veth_removed_from_inside_is_made_again() {
    is_repaired(|world, link| inside(world, link, rtnl::delete_link));
}

#[test]
fn a_removed_host_route_is_put_back() {
    is_repaired(|_, link| {
        let index = index_of(&link.host_name);
        let route = rtnl::routes(&mut rtnl::open().unwrap(), index).unwrap()[0];
        outside(link, |index| rtnl::delete_route(index, &route));
    });
}

#[test]
fn arp_that_was_turned_on_is_turned_off_again_and_the_neighbours_come_back() {
    let turn_on = |index| {
        let message = LinkUnspec::new_with_index(index).arp(true).build();
        rtnl::request(&RouteNetlinkMessage::SetLink(message), 0)
    };
    is_repaired(move |_, link| outside(link, turn_on));
    is_repaired(move |world, link| inside(world, link, turn_on));
}

#[test]
fn a_removed_gateway_address_is_put_back() {
    is_repaired(|_, link| {
        let address = InterfaceAddress { address: spec::net::GATEWAY, prefix: 32, link_scope: true };
        outside(link, |index| rtnl::delete_address(index, &address));
    });
}

#[test]
fn a_removed_address_inside_is_put_back_with_its_routes() {
    is_repaired(|world, link| {
        let address = InterfaceAddress { address: link.addresses[0].address, prefix: 32, link_scope: false };
        inside(world, link, move |index| rtnl::delete_address(index, &address));
    });
}

#[test]
fn a_removed_default_route_inside_is_put_back() {
    is_repaired(|world, link| {
        let destination = super::world::block("0.0.0.0/0");
        inside(world, link, move |index| rtnl::delete_route(index, &Route { destination, gateway: None, source: None }));
    });
}

#[test]
fn an_interface_set_down_is_set_up_again() {
    is_repaired(|_, link| {
        let down = |index| {
            let message = rtnetlink::LinkUnspec::new_with_index(index).down().build();
            rtnl::request(&RouteNetlinkMessage::SetLink(message), 0)
        };
        outside(link, down);
    });
}

#[test]
fn an_address_too_many_is_taken_away() {
    is_repaired(|world, link| {
        let address = InterfaceAddress { address: Ipv4Addr::new(10, 9, 9, 9), prefix: 24, link_scope: false };
        inside(world, link, move |index| rtnl::add_address(index, &address));
    });
}

#[test]
fn a_namespace_whose_pin_was_unmounted_is_made_again() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS]);
        netctl.ensure_link(&link).await.unwrap();
        netns::remove_pin(&world.pin(&link)).unwrap();
        assert!(!netctl.link_is_complete(&link).await.unwrap());
        netctl.ensure_link(&link).await.unwrap();
        assert!(netctl.link_is_complete(&link).await.unwrap());
    });
}

#[test]
fn a_false_neighbour_is_put_right() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS]);
        netctl.ensure_link(&link).await.unwrap();
        let neighbour = Neighbour { address: link.addresses[0].address, mac: [2, 9, 9, 9, 9, 9] };
        outside(&link, |index| rtnl::add_neighbour(index, &neighbour));
        assert!(!netctl.link_is_complete(&link).await.unwrap());
        netctl.ensure_link(&link).await.unwrap();
        assert!(netctl.link_is_complete(&link).await.unwrap());
    });
}

#[test]
fn a_link_takes_on_other_addresses() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        netctl.ensure_link(&link(1, &[ADDRESS])).await.unwrap();
        let before = index_of(&link(1, &[]).host_name);
        let changed = link(1, &[SECOND]);
        netctl.ensure_link(&changed).await.unwrap();
        assert!(netctl.link_is_complete(&changed).await.unwrap());
        assert!(!netctl.link_is_complete(&link(1, &[ADDRESS])).await.unwrap());
        assert_eq!(index_of(&changed.host_name), before, "the same veth");
    });
}

#[test]
fn a_link_is_removed_and_may_be_gone_already() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS]);
        netctl.ensure_link(&link).await.unwrap();
        netctl.remove_link(&link).await.unwrap();
        assert_eq!(netctl.observed().await.unwrap(), crate::Observed::default());
        assert!(!world.pin(&link).exists());
        netctl.remove_link(&link).await.unwrap();
    });
}

#[test]
fn orphans_are_seen_and_removed() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(7, &[ADDRESS]);
        netctl.ensure_link(&link).await.unwrap();
        let observed = netctl.observed().await.unwrap();
        assert_eq!(observed.links.iter().collect::<Vec<_>>(), [&link.host_name]);
        assert_eq!(observed.pins.iter().collect::<Vec<_>>(), [&link.netns]);
        netctl.remove_orphan_link(&link.host_name).await.unwrap();
        netctl.remove_orphan_pin(&link.netns).await.unwrap();
        assert_eq!(netctl.observed().await.unwrap(), crate::Observed::default());
    });
}

#[test]
fn names_of_others_are_refused() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        world.connect_outside();
        let error = netctl.remove_orphan_link("out0").await.unwrap_err();
        assert!(matches!(error, Error::LinkName { .. }), "{error}");
        let error = netctl.remove_orphan_pin("../outside").await.unwrap_err();
        assert!(matches!(error, Error::PinName(_)), "{error}");
        assert!(world.directory.path().join("outside").exists());
    });
}

#[test]
fn an_interface_that_only_has_the_name_of_a_link_is_not_touched() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let link = link(1, &[ADDRESS]);
        let own = netns::own().unwrap();
        let veth = rtnl::NewVeth {
            name: &link.host_name,
            mac: [2, 0, 0, 0, 0, 1],
            group: 0,
            peer_name: "other",
            peer_mac: [2, 0, 0, 0, 0, 2],
            peer_namespace: std::os::fd::AsFd::as_fd(&own),
        };
        apply(&mut rtnl::open().unwrap(), &[rtnl::add_veth(&veth)]);
        let error = netctl.ensure_link(&link).await.unwrap_err();
        assert!(matches!(error, Error::ForeignLink(_)), "{error}");
        assert!(matches!(netctl.remove_link(&link).await, Err(Error::ForeignLink(_))));
        assert!(netctl.observed().await.unwrap().links.is_empty());
        index_of(&link.host_name);
    });
}

#[test]
fn many_links_are_made_at_once() {
    on_a_host(|world| async move {
        let netctl = world.open().await;
        let links: Vec<Link> = (0..64).map(|number| link(number, &[&format!("10.200.1.{number}@10.200.1.0/24")])).collect();
        let started = Instant::now();
        let make = |netctl: &Netctl, link: &Link| {
            let (netctl, link) = (netctl.clone(), link.clone());
            tokio::spawn(async move { netctl.ensure_link(&link).await })
        };
        let tasks: Vec<_> = links.iter().map(|link| make(&netctl, link)).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        println!("{} links in {:?}", links.len(), started.elapsed());
        for link in &links {
            assert!(netctl.link_is_complete(link).await.unwrap());
        }
        assert_eq!(netctl.observed().await.unwrap().links.len(), links.len());
    });
}
