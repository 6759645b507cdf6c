//! Links, addresses, routes and neighbours as plain data, and the rtnetlink messages that list and change them.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    AfSpecInet, AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteScope, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use rtnetlink::packet_core::{NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use rustix::io::Errno;
use spec::net::Block;

use crate::socket::{Error, Message, Request, Socket};

pub(crate) const NETLINK_ROUTE: isize = 0;

pub(crate) type Mac = [u8; 6];

/// An interface as the kernel lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    pub(crate) index: u32,
    pub(crate) up: bool,
    pub(crate) mac: Vec<u8>,
    pub(crate) group: u32,
    pub(crate) is_veth: bool,
    /// Index of a veth's other end, in the other end's namespace.
    pub(crate) peer: Option<u32>,
    pub(crate) arp: bool,
    pub(crate) proxy_arp: bool,
    pub(crate) ipv6_disabled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InterfaceAddress {
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) link_scope: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Route {
    pub(crate) destination: Block,
    /// The next hop; without one the destination is on the link itself.
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) source: Option<Ipv4Addr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Neighbour {
    pub(crate) address: Ipv4Addr,
    pub(crate) mac: Mac,
}

/// What a new veth pair is made with.
pub(crate) struct NewVeth<'a> {
    pub(crate) name: &'a str,
    pub(crate) mac: Mac,
    pub(crate) group: u32,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_mac: Mac,
    pub(crate) peer_namespace: BorrowedFd<'a>,
}

pub(crate) fn open() -> Result<Socket, Error> {
    let socket = Socket::open(NETLINK_ROUTE)?;
    socket.filter_strictly()?;
    Ok(socket)
}

/// Returns the interface called `name`.
pub(crate) fn interface(socket: &mut Socket, name: &str) -> Result<Option<Interface>, Error> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::IfName(name.to_owned()), LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    match socket.get(&request(&RouteNetlinkMessage::GetLink(message), 0), read_interface) {
        Err(error) if error.errno() == Some(Errno::NODEV.raw_os_error()) => Ok(None),
        result => result?,
    }
}

pub(crate) fn interfaces(socket: &mut Socket) -> Result<Vec<Interface>, Error> {
    let mut message = LinkMessage::default();
    message.attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    socket.dump(&request(&RouteNetlinkMessage::GetLink(message), 0), read_interface)
}

/// Lists the IPv4 addresses of one interface.
pub(crate) fn addresses(socket: &mut Socket, index: u32) -> Result<Vec<InterfaceAddress>, Error> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = index;
    let found = socket.dump(&request(&RouteNetlinkMessage::GetAddress(message), 0), read_address)?;
    Ok(found.into_iter().filter_map(|(of, address)| (of == index).then_some(address)).collect())
}

/// Lists the IPv4 addresses of all interfaces, with the interface's index.
pub(crate) fn all_addresses(socket: &mut Socket) -> Result<Vec<(u32, InterfaceAddress)>, Error> {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    socket.dump(&request(&RouteNetlinkMessage::GetAddress(message), 0), read_address)
}

/// Lists the routes of the main table that leave by one interface.
pub(crate) fn routes(socket: &mut Socket, index: u32) -> Result<Vec<Route>, Error> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.attributes = vec![RouteAttribute::Oif(index)];
    let found = match socket.dump(&request(&RouteNetlinkMessage::GetRoute(message), 0), read_route) {
        // A namespace in which no route was ever set has no main table yet.
        Err(error) if error.errno() == Some(Errno::NOENT.raw_os_error()) => Vec::new(),
        result => result?,
    };
    let own = |(of, table, route)| (of == Some(index) && table == u32::from(RouteHeader::RT_TABLE_MAIN)).then_some(route);
    Ok(found.into_iter().filter_map(own).collect())
}

/// Lists the IPv4 routes of all tables, with the index of the interface they leave by.
pub(crate) fn all_routes(socket: &mut Socket) -> Result<Vec<(Option<u32>, Route)>, Error> {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    let found = socket.dump(&request(&RouteNetlinkMessage::GetRoute(message), 0), read_route)?;
    Ok(found.into_iter().map(|(of, _, route)| (of, route)).collect())
}

/// Lists the permanent neighbours of one interface.
pub(crate) fn neighbours(socket: &mut Socket, index: u32) -> Result<Vec<Neighbour>, Error> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.attributes = vec![NeighbourAttribute::IfIndex(index)];
    let found = socket.dump(&request(&RouteNetlinkMessage::GetNeighbour(message), 0), read_neighbour)?;
    Ok(found.into_iter().filter_map(|(of, neighbour)| (of == index).then_some(neighbour)).collect())
}

pub(crate) fn add_veth(veth: &NewVeth<'_>) -> Request {
    let mut peer = LinkMessageBuilder::<LinkUnspec>::default().name(veth.peer_name.to_owned()).build();
    peer.attributes.push(LinkAttribute::Address(veth.peer_mac.to_vec()));
    peer.attributes.push(LinkAttribute::NetNsFd(veth.peer_namespace.as_raw_fd()));
    let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(veth.name.to_owned())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .append_extra_attribute(LinkAttribute::Address(veth.mac.to_vec()))
        .append_extra_attribute(LinkAttribute::Group(veth.group))
        .build();
    request(&RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
}

pub(crate) fn delete_link(index: u32) -> Request {
    request(&RouteNetlinkMessage::DelLink(LinkUnspec::new_with_index(index).build()), 0)
}

pub(crate) fn set_up(index: u32) -> Request {
    request(&RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).up().build()), 0)
}

pub(crate) fn disable_arp(index: u32) -> Request {
    request(&RouteNetlinkMessage::SetLink(LinkUnspec::new_with_index(index).arp(false).build()), 0)
}

pub(crate) fn set_mac(index: u32, mac: Mac) -> Request {
    let message = LinkUnspec::new_with_index(index).append_extra_attribute(LinkAttribute::Address(mac.to_vec())).build();
    request(&RouteNetlinkMessage::SetLink(message), 0)
}

pub(crate) fn add_address(index: u32, address: &InterfaceAddress) -> Request {
    request(&RouteNetlinkMessage::NewAddress(address_message(index, address)), NLM_F_CREATE | NLM_F_REPLACE)
}

pub(crate) fn delete_address(index: u32, address: &InterfaceAddress) -> Request {
    request(&RouteNetlinkMessage::DelAddress(address_message(index, address)), 0)
}

pub(crate) fn add_route(index: u32, route: &Route) -> Request {
    request(&RouteNetlinkMessage::NewRoute(route_message(index, route)), NLM_F_CREATE | NLM_F_REPLACE)
}

pub(crate) fn delete_route(index: u32, route: &Route) -> Request {
    let mut message = route_message(index, route);
    // Whoever set it, and in whatever scope: the kernel takes these as wildcards.
    message.header.protocol = netlink_packet_route::route::RouteProtocol::Unspec;
    message.header.scope = RouteScope::NoWhere;
    request(&RouteNetlinkMessage::DelRoute(message), 0)
}

pub(crate) fn add_neighbour(index: u32, neighbour: &Neighbour) -> Request {
    request(&RouteNetlinkMessage::NewNeighbour(neighbour_message(index, neighbour)), NLM_F_CREATE | NLM_F_REPLACE)
}

pub(crate) fn delete_neighbour(index: u32, neighbour: &Neighbour) -> Request {
    request(&RouteNetlinkMessage::DelNeighbour(neighbour_message(index, neighbour)), 0)
}

fn address_message(index: u32, address: &InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.index = index;
    message.header.prefix_len = address.prefix;
    message.header.scope = if address.link_scope { AddressScope::Link } else { AddressScope::Universe };
    let ip = IpAddr::V4(address.address);
    message.attributes = vec![AddressAttribute::Local(ip), AddressAttribute::Address(ip)];
    message
}

fn route_message(index: u32, route: &Route) -> RouteMessage {
    let mut builder = RouteMessageBuilder::<Ipv4Addr>::new().output_interface(index);
    if route.destination.prefix() > 0 {
        builder = builder.destination_prefix(route.destination.first(), route.destination.prefix());
    }
    builder = match route.gateway {
        Some(gateway) => builder.gateway(gateway).onlink(),
        None => builder.scope(RouteScope::Link),
    };
    if let Some(source) = route.source {
        builder = builder.pref_source(source);
    }
    builder.build()
}

fn neighbour_message(index: u32, neighbour: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.ifindex = index;
    message.header.state = NeighbourState::Permanent;
    message.attributes = vec![
        NeighbourAttribute::Destination(NeighbourAddress::Inet(neighbour.address)),
        NeighbourAttribute::LinkLayerAddress(neighbour.mac.to_vec()),
    ];
    message
}

fn read_interface(message: &Message<'_>) -> Result<Option<Interface>, Error> {
    let RouteNetlinkMessage::NewLink(link) = parse(message)? else { return Ok(None) };
    let mut interface = Interface {
        name: String::new(),
        index: link.header.index,
        up: link.header.flags.contains(LinkFlags::Up),
        mac: Vec::new(),
        group: 0,
        is_veth: false,
        peer: None,
        arp: !link.header.flags.contains(LinkFlags::Noarp),
        proxy_arp: false,
        // A kernel without IPv6 says nothing of it.
        ipv6_disabled: true,
    };
    for attribute in link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name = name,
            LinkAttribute::Address(mac) => interface.mac = mac,
            LinkAttribute::Group(group) => interface.group = group,
            LinkAttribute::Link(peer) => interface.peer = Some(peer),
            LinkAttribute::LinkInfo(info) => interface.is_veth = info.contains(&LinkInfo::Kind(InfoKind::Veth)),
            LinkAttribute::AfSpecUnspec(families) => families.iter().for_each(|family| read_family(&mut interface, family)),
            _ => {}
        }
    }
    Ok(Some(interface))
}

fn read_family(interface: &mut Interface, family: &AfSpecUnspec) {
    match family {
        AfSpecUnspec::Inet(items) => {
            let on = |item: &AfSpecInet| matches!(item, AfSpecInet::DevConf(conf) if conf.proxy_arp != 0);
            interface.proxy_arp = items.iter().any(on);
        }
        AfSpecUnspec::Inet6(items) => {
            let on = |item: &AfSpecInet6| matches!(item, AfSpecInet6::DevConf(conf) if conf.disable_ipv6 == 0);
            interface.ipv6_disabled = !items.iter().any(on);
        }
        _ => {}
    }
}

fn read_address(message: &Message<'_>) -> Result<Option<(u32, InterfaceAddress)>, Error> {
    let RouteNetlinkMessage::NewAddress(found) = parse(message)? else { return Ok(None) };
    let local = found.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(IpAddr::V4(address)) => Some(*address),
        _ => None,
    });
    let link_scope = found.header.scope == AddressScope::Link;
    Ok(local.map(|address| (found.header.index, InterfaceAddress { address, prefix: found.header.prefix_len, link_scope })))
}

/// Reads a unicast route or one that refuses: interface, table, route.
fn read_route(message: &Message<'_>) -> Result<Option<(Option<u32>, u32, Route)>, Error> {
    let RouteNetlinkMessage::NewRoute(found) = parse(message)? else { return Ok(None) };
    if matches!(found.header.kind, RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast) {
        return Ok(None);
    }
    let mut first = Ipv4Addr::UNSPECIFIED;
    let (mut oif, mut table, mut gateway, mut source) = (None, u32::from(found.header.table), None, None);
    for attribute in found.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => first = address,
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => gateway = Some(address),
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => source = Some(address),
            RouteAttribute::Oif(index) => oif = Some(index),
            RouteAttribute::Table(number) => table = number,
            _ => {}
        }
    }
    let destination = Block::holding(first, found.header.destination_prefix_length);
    Ok(destination.map(|destination| (oif, table, Route { destination, gateway, source })))
}

fn read_neighbour(message: &Message<'_>) -> Result<Option<(u32, Neighbour)>, Error> {
    let RouteNetlinkMessage::NewNeighbour(found) = parse(message)? else { return Ok(None) };
    let (mut address, mut mac) = (None, None);
    for attribute in found.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => address = Some(ip),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = Mac::try_from(bytes).ok(),
            _ => {}
        }
    }
    let permanent = found.header.state == NeighbourState::Permanent;
    let neighbour = address.zip(mac).filter(|_| permanent);
    Ok(neighbour.map(|(address, mac)| (found.header.ifindex, Neighbour { address, mac })))
}

pub(crate) fn request(message: &RouteNetlinkMessage, flags: u16) -> Request {
    let mut body = vec![0; NetlinkSerializable::buffer_len(message)];
    message.serialize(&mut body);
    Request { kind: message.message_type(), flags, body }
}

pub(crate) fn parse(message: &Message<'_>) -> Result<RouteNetlinkMessage, Error> {
    let mut header = NetlinkHeader::default();
    header.message_type = message.kind;
    RouteNetlinkMessage::deserialize(&header, message.body).map_err(|error| Error::Malformed(error.to_string()))
}
