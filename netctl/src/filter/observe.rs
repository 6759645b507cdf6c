//! From netlink messages to the table the kernel has.

use std::collections::BTreeMap;
use std::ffi::CStr;

use netlink_bindings::nftables::{
    DataAttrs, ExprOps, IterableRuleAttrs, IterableSetelemAttrs, Nfgenmsg, OpGetchainDump, OpGetgenDo, OpGetruleDump,
    OpGetsetDump, OpGetsetelemDump, OpGettableDump, Request,
};
use netlink_bindings::traits::{NetlinkRequest, Protocol};
use rustix::io::Errno;

use super::Counter;
use super::encode::header;
use super::table::{ChainOutline, Element, Hook, Outline, Set, Shape, Type};
use crate::socket::{self, Error, Socket};

/// Returns the number of the ruleset's generation, which every change by anyone raises by one.
pub(super) fn generation(socket: &mut Socket) -> Result<u32, Error> {
    let request = message(&Request::new().op_getgen_do(&Nfgenmsg::new()));
    socket.get(&request, |message| OpGetgenDo::decode_reply(message.body).1.get_id().map_err(malformed))?
}

/// Returns the table called `name`, `None` when there is none. What is read may be of several generations.
pub(super) fn table(socket: &mut Socket, name: &str) -> Result<Option<Outline>, Error> {
    if !exists(socket, name)? {
        return Ok(None);
    }
    let mut outline = Outline { sets: sets(socket, name)?, chains: chains(socket, name)? };
    for (chain, comment, _) in rules(socket, name)? {
        if let Some(found) = outline.chains.get_mut(&chain) {
            found.comments.push(comment);
        }
    }
    for (set, found) in &mut outline.sets {
        found.elements = elements(socket, name, set)?.into_iter().collect();
    }
    Ok(Some(outline))
}

/// Returns the counters of the rules that have a name.
pub(super) fn counters(socket: &mut Socket, table: &str) -> Result<BTreeMap<String, Counter>, Error> {
    let named = |(_, comment, counter): (String, String, Counter)| Some((comment.split_once(' ')?.0.to_owned(), counter));
    Ok(rules(socket, table)?.into_iter().filter_map(named).collect())
}

fn exists(socket: &mut Socket, name: &str) -> Result<bool, Error> {
    let request = message(&Request::new().op_gettable_dump(&header()));
    let names = socket.dump(&request, |message| text(OpGettableDump::decode_reply(message.body).1.get_name()).map(Some))?;
    Ok(names.iter().any(|found| found == name))
}

fn chains(socket: &mut Socket, table: &str) -> Result<BTreeMap<String, ChainOutline>, Error> {
    let request = message(&Request::new().op_getchain_dump(&header()));
    let found = socket.dump(&request, |message| {
        let (_, chain) = OpGetchainDump::decode_reply(message.body);
        if text(chain.get_table())? != table {
            return Ok(None);
        }
        let hook = match chain.get_hook() {
            Err(_) => None,
            Ok(hook) => Some(Hook {
                kind: text(chain.get_type())?,
                number: hook.get_num().map_err(malformed)?,
                priority: hook.get_priority().map_err(malformed)?,
                policy: chain.get_policy().map_err(malformed)?,
            }),
        };
        Ok(Some((text(chain.get_name())?, ChainOutline { hook, comments: Vec::new() })))
    })?;
    Ok(found.into_iter().collect())
}

/// Lists the rules of `table` in their order: chain, comment, counter.
fn rules(socket: &mut Socket, table: &str) -> Result<Vec<(String, String, Counter)>, Error> {
    let mut request = Request::new().op_getrule_dump(&header());
    request.encode().push_table_bytes(table.as_bytes());
    socket.dump(&message(&request), |message| {
        let (_, rule) = OpGetruleDump::decode_reply(message.body);
        // Older kernels list the rules of all tables, whatever the request names.
        if text(rule.get_table())? != table {
            return Ok(None);
        }
        Ok(Some((text(rule.get_chain())?, comment(&rule), counter(&rule))))
    })
}

fn comment(rule: &IterableRuleAttrs<'_>) -> String {
    match rule.get_userdata() {
        Ok([0, _, comment @ .., 0]) => String::from_utf8_lossy(comment).into_owned(),
        _ => String::new(),
    }
}

fn counter(rule: &IterableRuleAttrs<'_>) -> Counter {
    let Ok(expressions) = rule.get_expressions() else { return Counter::default() };
    let counters = expressions.get_elem().filter_map(|expression| match expression.get_data() {
        Ok(ExprOps::Counter(counter)) => {
            Some(Counter { packets: counter.get_packets().unwrap_or(0), bytes: counter.get_bytes().unwrap_or(0) })
        }
        _ => None,
    });
    counters.last().unwrap_or_default()
}

fn sets(socket: &mut Socket, table: &str) -> Result<BTreeMap<String, Set>, Error> {
    let mut request = Request::new().op_getset_dump(&header());
    request.encode().push_table_bytes(table.as_bytes());
    let found = socket.dump(&message(&request), |message| {
        let (_, set) = OpGetsetDump::decode_reply(message.body);
        if text(set.get_table())? != table {
            return Ok(None);
        }
        let key = key_types(set.get_key_type().unwrap_or(0));
        let shape = Shape { flags: set.get_flags().unwrap_or(0), key };
        Ok(Some((text(set.get_name())?, Set { shape, elements: Default::default() })))
    })?;
    Ok(found.into_iter().collect())
}

/// Reads a key's type as `nft` writes it; the parts that Stead does not use are left out, so that it compares unequal.
fn key_types(number: u32) -> Vec<Type> {
    let parts = (0..5).rev().map(|part| number >> (6 * part) & 0x3f);
    parts.filter_map(|part| [Type::Ipv4, Type::IfName].into_iter().find(|known| known.number() == part)).collect()
}

fn elements(socket: &mut Socket, table: &str, set: &str) -> Result<Vec<Element>, Error> {
    let mut request = Request::new().op_getsetelem_dump(&header());
    request.encode().push_table_bytes(table.as_bytes()).push_set_bytes(set.as_bytes());
    let found = socket.dump(&message(&request), |message| {
        let (_, list) = OpGetsetelemDump::decode_reply(message.body);
        let Ok(elements) = list.get_elements() else { return Ok(None) };
        elements.get_elem().map(|element| read_element(&element)).collect::<Result<Vec<_>, _>>().map(Some)
    });
    match found {
        // Deleted since the sets were listed; the generation has changed, so this is read again.
        Err(error) if error.errno() == Some(Errno::NOENT.raw_os_error()) => Ok(Vec::new()),
        found => Ok(found?.into_iter().flatten().collect()),
    }
}

fn read_element(element: &IterableSetelemAttrs<'_>) -> Result<Element, Error> {
    let key = element.get_key().and_then(|key| key.get_value()).map_err(malformed)?.to_vec();
    // NFTA_SET_ELEM_KEY_END is 10, which the crate calls `expressions`.
    let end = match element.get_expressions() {
        Ok(end) => Some(DataAttrs::new(end.get_buf()).get_value().map_err(malformed)?.to_vec()),
        Err(_) => None,
    };
    Ok(Element { key, end })
}

/// Makes a message of our socket from one of the crate's.
pub(crate) fn message(request: &impl NetlinkRequest) -> socket::Request {
    let Protocol::Raw { request_type, .. } = request.protocol() else { unreachable!("nf_tables is not generic netlink") };
    socket::Request { kind: request_type, flags: request.flags(), body: request.payload().to_vec() }
}

pub(crate) fn text(value: Result<&CStr, impl std::fmt::Display>) -> Result<String, Error> {
    Ok(value.map_err(malformed)?.to_string_lossy().into_owned())
}

pub(crate) fn malformed(error: impl std::fmt::Display) -> Error {
    Error::Malformed(error.to_string())
}
