//! The table as data; and tables other than ours, for tests against the kernel.

use std::collections::{BTreeMap, BTreeSet};

use netlink_bindings::nftables::{OpGettableDump, Request};
use netlink_bindings::traits::NetlinkRequest;

use super::encode::Batch;
use super::kernel::NETLINK_NETFILTER;
use super::table::{Chain, Expression, Hook, Outline, Rule};
use super::{Filter, change, encode, observe, rules};
use crate::socket::Socket;

/// Lists the names of the tables of family inet.
pub(crate) fn tables() -> Vec<String> {
    let request = observe::message(&Request::new().op_gettable_dump(&encode::header()));
    let read =
        |message: &crate::socket::Message<'_>| observe::text(OpGettableDump::decode_reply(message.body).1.get_name()).map(Some);
    open().dump(&request, read).unwrap()
}

fn open() -> Socket {
    Socket::open(NETLINK_NETFILTER).unwrap()
}

/// Changes the ruleset as some other program would.
fn commit(table: &str, change: impl FnOnce(&mut Batch)) {
    let mut socket = open();
    let first_sequence = socket.reserve(1000);
    let generation = observe::generation(&mut socket).unwrap();
    let mut batch = Batch::begin(table, first_sequence, generation);
    change(&mut batch);
    socket.commit(&batch.end(), first_sequence).unwrap();
}

pub(crate) fn delete_table(name: &str) {
    commit(name, Batch::delete_table);
}

/// Deletes the rules of one of our chains.
pub(crate) fn delete_rules(table: &str, chain: &str) {
    commit(table, |batch| batch.delete_rules(chain));
}

/// Deletes the elements of one of our sets.
pub(crate) fn delete_elements(table: &str, set: &str) {
    let elements = observe::table(&mut open(), table).unwrap().unwrap().sets[set].elements.clone();
    assert!(!elements.is_empty());
    commit(table, |batch| batch.delete_elements(set, &elements));
}

/// Adds a rule to one of our chains.
pub(crate) fn add_rule(table: &str, chain: &str) {
    commit(table, |batch| batch.add_rule(chain, &Rule { name: "alien", expressions: vec![Expression::Counter] }));
}

/// Makes a whole table of another name, such as another program would have.
pub(crate) fn make_foreign_table(name: &str, filter: &Filter) {
    commit(name, |batch| assert!(change::difference(batch, &rules::table(filter), None)));
}

/// Makes a table with one base chain that drops everything, as a firewall would have.
pub(crate) fn make_firewall(table: &str, hook: u32) {
    let hook = Hook { kind: "filter".into(), number: hook, priority: 0, policy: 0 };
    commit(table, |batch| {
        batch.add_table();
        batch.add_chain("guard", &Chain { hook: Some(hook), rules: Vec::new() });
    });
}

/// Adds to a firewall's chain the rules that let packets from and to Stead's links pass.
pub(crate) fn admit_links(table: &str) {
    commit(table, |batch| {
        for key in [6, 7] {
            let name = Expression::Compare { register: 8, equal: true, value: b"st".to_vec() };
            let accept = Expression::Verdict { code: rules::ACCEPT, chain: None };
            let expressions = vec![Expression::Meta { key, register: 8 }, name, Expression::Counter, accept];
            batch.add_rule("guard", &Rule { name: "admit", expressions });
        }
    });
}

/// Describes a table as the kernel has it.
pub(crate) fn describe_table(name: &str) -> String {
    format!("{:#?}", observe::table(&mut open(), name).unwrap())
}

pub(super) fn filter(overlays: &[&str], links: usize) -> Filter {
    let link = |number: usize| {
        let address = std::net::Ipv4Addr::from_bits(0x0ac8_0000 + number as u32);
        (format!("stab12cd34{number:04x}"), BTreeSet::from([address]))
    };
    Filter {
        pool: "10.200.0.0/14".parse().unwrap(),
        overlays: overlays.iter().map(|text| text.parse().unwrap()).collect(),
        links: (0..links).map(link).collect::<BTreeMap<_, _>>(),
    }
}

fn messages(from: Option<&Filter>, to: &Filter) -> u32 {
    let observed: Option<Outline> = from.map(|filter| rules::table(filter).outline());
    let mut batch = Batch::begin("stead-test", 1, 1);
    let before = batch.messages();
    assert_eq!(change::difference(&mut batch, &rules::table(to), observed.as_ref()), batch.messages() != before);
    batch.messages() - before
}

#[test]
fn nothing_is_sent_when_nothing_differs() {
    let same = filter(&["10.200.1.0/24"], 100);
    assert_eq!(messages(Some(&same), &same), 0);
}

#[test]
fn a_change_costs_what_differs_and_not_what_is_there() {
    let (before, after) = (filter(&["10.200.1.0/24"], 1000), filter(&["10.200.1.0/24"], 1001));
    assert_eq!(messages(Some(&before), &after), 2, "one element each in `links` and `ports`");
    assert_eq!(messages(Some(&after), &before), 2);
}

#[test]
fn a_thousand_links_take_few_messages() {
    assert!(messages(None, &filter(&["10.200.1.0/24"], 1000)) < 60);
}

#[test]
fn overlays_inside_others_are_left_out() {
    let table = rules::table(&filter(&["10.200.0.0/16", "10.200.1.0/24", "10.201.0.0/16"], 0));
    assert_eq!(table.sets["overlay"].elements.len(), 2);
}

#[test]
fn rules_are_known_by_what_they_do() {
    let rule =
        |value: u8| Rule { name: "x", expressions: vec![Expression::Compare { register: 8, equal: true, value: vec![value] }] };
    assert_eq!(rule(1).comment(), rule(1).comment());
    assert_ne!(rule(1).comment(), rule(2).comment());
}

#[test]
fn a_comment_fits_its_length_byte_and_names_are_unique() {
    let table = rules::table(&filter(&["10.200.0.0/16"], 1));
    let all: Vec<&Rule> = table.chains.values().flat_map(|chain| &chain.rules).collect();
    assert!(all.iter().all(|rule| rule.comment().len() < 128));
    let names: Vec<_> = all.iter().map(|rule| rule.name).filter(|name| !name.is_empty()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
}
