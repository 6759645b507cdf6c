//! The verdicts, rule by rule.
//!
//! The table judges only what comes from one of the node's links, goes to one, or claims to be for their gateway
//! address. Everything else passes it untouched, and whatever other tables say holds as well.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use spec::net::{Block, DNS_PORT, GATEWAY};

use super::Filter;
use super::table::{Chain, Element, Expression, Hook, REGISTER, Rule, Set, Shape, Table, Type};

/// Values of linux/netfilter.h and linux/netfilter/nf_tables.h.
const DROP: u32 = 0;
pub(super) const ACCEPT: u32 = 1;
const GOTO: u32 = -4i32 as u32;
const HOOK_INPUT: u32 = 1;
const HOOK_FORWARD: u32 = 2;
const HOOK_POSTROUTING: u32 = 4;
const PRIORITY_FILTER: i32 = 0;
const PRIORITY_SOURCE_NAT: i32 = 100;
const SET_INTERVAL: u32 = 0x4;
const SET_CONCAT: u32 = 0x80;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_NFPROTO: u32 = 15;
const META_L4PROTO: u32 = 16;
const BASE_NETWORK: u32 = 1;
const BASE_TRANSPORT: u32 = 2;
const NFPROTO_IPV4: u8 = 2;
const STATE_ESTABLISHED_OR_RELATED: u32 = 0x2 | 0x4;
const STATE_INVALID_OR_UNTRACKED: u32 = 0x1 | 0x40;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Every Stead link of any node begins so.
const LINK_PREFIX: &str = "st";

/// Where no container may go by way of the world outside, and what to call the rule.
const UNREACHABLE: [(&str, [u8; 4], u8); 5] = [
    ("link-local", [169, 254, 0, 0], 16),
    ("loopback", [127, 0, 0, 0], 8),
    ("this-network", [0, 0, 0, 0], 8),
    ("multicast", [224, 0, 0, 0], 4),
    // Class E with the broadcast address at its end.
    ("reserved", [240, 0, 0, 0], 4),
];

pub(super) fn table(filter: &Filter) -> Table {
    Table { sets: sets(filter), chains: chains(filter.pool) }
}

fn sets(filter: &Filter) -> BTreeMap<String, Set> {
    let ports = filter.links.iter().flat_map(|(name, addresses)| addresses.iter().map(|address| port(name, *address)));
    let set = |name: &str, shape, elements| (name.to_owned(), Set { shape, elements });
    let shape = |flags, types: &[Type]| Shape { flags, key: types.to_vec() };
    BTreeMap::from([
        set(
            "links",
            shape(0, &[Type::IfName]),
            filter.links.keys().map(|name| Element { key: ifname(name), end: None }).collect(),
        ),
        set("ports", shape(SET_CONCAT, &[Type::IfName, Type::Ipv4]), ports.collect()),
        set(
            "overlay",
            shape(SET_CONCAT | SET_INTERVAL, &[Type::Ipv4, Type::Ipv4]),
            outermost(&filter.overlays).map(within).collect(),
        ),
    ])
}

fn port(name: &str, address: Ipv4Addr) -> Element {
    Element { key: [ifname(name), address.octets().to_vec()].concat(), end: None }
}

/// Both the source and the destination in `overlay`.
fn within(overlay: &Block) -> Element {
    Element { key: overlay.first().octets().repeat(2), end: Some(overlay.last().octets().repeat(2)) }
}

/// Leaves out blocks inside other blocks: they say nothing new, and intervals of one set must not overlap.
fn outermost(blocks: &BTreeSet<Block>) -> impl Iterator<Item = &Block> {
    let is_inner = |block: &Block| blocks.iter().any(|other| other.prefix() < block.prefix() && other.overlaps(block));
    blocks.iter().filter(move |block| !is_inner(block))
}

fn ifname(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(Type::IfName.bytes() as usize, 0);
    key
}

fn chains(pool: Block) -> BTreeMap<String, Chain> {
    let base = |name: &str, kind: &str, number, priority, rules| {
        (name.to_owned(), Chain { hook: Some(Hook { kind: kind.to_owned(), number, priority, policy: ACCEPT }), rules })
    };
    let chain = |name: &str, rules| (name.to_owned(), Chain { hook: None, rules });
    BTreeMap::from([
        base("forward", "filter", HOOK_FORWARD, PRIORITY_FILTER, vec![from_link(goto("from_link")), to_link(goto("to_link"))]),
        base("input", "filter", HOOK_INPUT, PRIORITY_FILTER, vec![from_link(goto("to_host")), gateway_from_elsewhere()]),
        base("postrouting", "nat", HOOK_POSTROUTING, PRIORITY_SOURCE_NAT, vec![masquerade(pool)]),
        chain("from_link", forwarded_from_link(pool)),
        chain("to_link", forwarded_to_link()),
        chain("to_host", into_host()),
    ])
}

/// From a link to anywhere but the host itself.
fn forwarded_from_link(pool: Block) -> Vec<Rule> {
    let mut rules = vec![drop_ipv6("ipv6-from-link"), drop_spoofed("spoofed-forward"), accept_established()];
    rules.push(rule("", [of_one_overlay(), vec![verdict(ACCEPT)]]));
    rules.push(dropping("other-overlay", [oifname_in_links(false)]));
    let pool = ("pool", pool.first().octets(), pool.prefix());
    let unreachable = UNREACHABLE.iter().copied().chain([pool]);
    rules.extend(unreachable.map(|(name, network, prefix)| dropping(name, [to_network(network, prefix)])));
    // What has no connection is not masqueraded: it would leave with an address of the pool.
    rules.push(dropping("invalid", [in_state(STATE_INVALID_OR_UNTRACKED)]));
    rules.push(rule("", [vec![verdict(ACCEPT)]]));
    rules
}

/// From elsewhere to a link: only answers.
fn forwarded_to_link() -> Vec<Rule> {
    vec![drop_ipv6("ipv6-to-link"), accept_established(), dropping("from-outside", [])]
}

/// From a link to the host itself: only the name service, and answers to the host.
fn into_host() -> Vec<Rule> {
    let dns = |protocol| rule("", [to_address(GATEWAY), to_port(protocol, DNS_PORT), vec![verdict(ACCEPT)]]);
    vec![
        drop_ipv6("ipv6-to-host"),
        drop_spoofed("spoofed-input"),
        accept_established(),
        dns(UDP),
        dns(TCP),
        dropping("host-service", []),
    ]
}

/// The gateway address is for links alone; without this, neighbours on the host's other networks could use it.
fn gateway_from_elsewhere() -> Rule {
    let prefix = LINK_PREFIX.as_bytes().to_vec();
    let from_elsewhere = vec![
        Expression::Meta { key: META_IIFNAME, register: REGISTER },
        Expression::Compare { register: REGISTER, equal: false, value: prefix },
        Expression::Compare { register: REGISTER, equal: false, value: ifname("lo") },
    ];
    dropping("gateway-from-elsewhere", [ipv4(), from_elsewhere, to_address(GATEWAY)])
}

fn masquerade(pool: Block) -> Rule {
    let source = network(12, pool.first().octets(), pool.prefix());
    rule("masqueraded", [ipv4(), source, oifname_in_links(true), vec![Expression::Counter, Expression::Masquerade]])
}

fn accept_established() -> Rule {
    rule("", [in_state(STATE_ESTABLISHED_OR_RELATED), vec![verdict(ACCEPT)]])
}

fn in_state(states: u32) -> Vec<Expression> {
    vec![
        Expression::ConnectionState { register: REGISTER },
        Expression::Mask { register: REGISTER, mask: states.to_ne_bytes().to_vec() },
        Expression::Compare { register: REGISTER, equal: false, value: vec![0; 4] },
    ]
}

fn drop_ipv6(name: &'static str) -> Rule {
    let not_ipv4 = vec![
        Expression::Meta { key: META_NFPROTO, register: REGISTER },
        Expression::Compare { register: REGISTER, equal: false, value: vec![NFPROTO_IPV4] },
    ];
    dropping(name, [not_ipv4])
}

/// Before everything else that accepts: a false source must not slip into another replica's connection either.
fn drop_spoofed(name: &'static str) -> Rule {
    let unknown = vec![
        Expression::Meta { key: META_IIFNAME, register: REGISTER },
        source_address(REGISTER + 4),
        Expression::Lookup { set: "ports", register: REGISTER, inverted: true },
    ];
    dropping(name, [unknown])
}

/// On its way to a link, with both addresses in one overlay.
///
/// The destination must be a link: an address that no replica has is routed to the world outside.
fn of_one_overlay() -> Vec<Expression> {
    let mut expressions = oifname_in_links(false);
    expressions.extend([
        source_address(REGISTER),
        destination_address(REGISTER + 1),
        Expression::Lookup { set: "overlay", register: REGISTER, inverted: false },
    ]);
    expressions
}

fn from_link(then: Expression) -> Rule {
    let lookup = Expression::Lookup { set: "links", register: REGISTER, inverted: false };
    rule("", [vec![Expression::Meta { key: META_IIFNAME, register: REGISTER }, lookup, then]])
}

fn to_link(then: Expression) -> Rule {
    rule("", [oifname_in_links(false), vec![then]])
}

fn oifname_in_links(inverted: bool) -> Vec<Expression> {
    let lookup = Expression::Lookup { set: "links", register: REGISTER, inverted };
    vec![Expression::Meta { key: META_OIFNAME, register: REGISTER }, lookup]
}

fn ipv4() -> Vec<Expression> {
    vec![
        Expression::Meta { key: META_NFPROTO, register: REGISTER },
        Expression::Compare { register: REGISTER, equal: true, value: vec![NFPROTO_IPV4] },
    ]
}

fn source_address(register: u32) -> Expression {
    Expression::Payload { register, base: BASE_NETWORK, offset: 12, bytes: 4 }
}

fn destination_address(register: u32) -> Expression {
    Expression::Payload { register, base: BASE_NETWORK, offset: 16, bytes: 4 }
}

fn to_address(address: Ipv4Addr) -> Vec<Expression> {
    to_network(address.octets(), 32)
}

fn to_network(first: [u8; 4], prefix: u8) -> Vec<Expression> {
    network(16, first, prefix)
}

fn network(offset: u32, first: [u8; 4], prefix: u8) -> Vec<Expression> {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0).to_be_bytes();
    vec![
        Expression::Payload { register: REGISTER, base: BASE_NETWORK, offset, bytes: 4 },
        Expression::Mask { register: REGISTER, mask: mask.to_vec() },
        Expression::Compare { register: REGISTER, equal: true, value: first.to_vec() },
    ]
}

fn to_port(protocol: u8, port: u16) -> Vec<Expression> {
    vec![
        Expression::Meta { key: META_L4PROTO, register: REGISTER },
        Expression::Compare { register: REGISTER, equal: true, value: vec![protocol] },
        Expression::Payload { register: REGISTER, base: BASE_TRANSPORT, offset: 2, bytes: 2 },
        Expression::Compare { register: REGISTER, equal: true, value: port.to_be_bytes().to_vec() },
    ]
}

fn goto(chain: &'static str) -> Expression {
    Expression::Verdict { code: GOTO, chain: Some(chain) }
}

fn verdict(code: u32) -> Expression {
    Expression::Verdict { code, chain: None }
}

fn dropping<const N: usize>(name: &'static str, parts: [Vec<Expression>; N]) -> Rule {
    let mut rule = rule(name, parts);
    rule.expressions.extend([Expression::Counter, verdict(DROP)]);
    rule
}

fn rule<const N: usize>(name: &'static str, parts: [Vec<Expression>; N]) -> Rule {
    Rule { name, expressions: parts.into_iter().flatten().collect() }
}
