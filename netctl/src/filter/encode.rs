//! From a table to netlink messages.
//!
//! `netlink-bindings` 0.3.5 has the numbers of a few attributes wrong; where it does, the attribute of the right number
//! is used and a comment says which one is meant (linux/netfilter/nf_tables.h is the reference).

use netlink_bindings::nftables::{Chained, Nfgenmsg, PushExprListAttrs, PushRuleAttrs, PushSetelemListElemAttrs, Request};
use netlink_bindings::traits::Pusher;
use netlink_bindings::utils::{RequestBuf, push_header};

use super::table::{Chain, Element, Expression, Rule, Set, Type};

/// Elements in one message: the length of an attribute has 16 bits, and an element takes up to 60 bytes.
const ELEMENTS_PER_MESSAGE: usize = 400;

const NFPROTO_INET: u8 = 1;

/// `NFNL_SUBSYS_NFTABLES`: the subsystem a batch is for.
const SUBSYSTEM: u16 = 10;

const NLMSG_HEADER_BYTES: usize = 16;
const NLM_F_ACK: u16 = 4;
const NFTA_DATA_VALUE: u16 = 1;
const LOOKUP_INVERTED: u32 = 1;
const VERDICT_REGISTER: u32 = 0;
const CMP_EQ: u32 = 0;
const CMP_NEQ: u32 = 1;
const CT_STATE: u32 = 0;

type Expressions<'a> = PushExprListAttrs<PushRuleAttrs<RequestBuf<'a>>>;

/// Messages about one table that the kernel takes together or not at all.
pub(super) struct Batch {
    chain: Chained<'static>,
    table: String,
    messages: u32,
}

impl Batch {
    /// Begins a batch for the ruleset of `generation`; the kernel refuses it if that has changed.
    pub(super) fn begin(table: &str, first_sequence: u32, generation: u32) -> Batch {
        let mut chain = Chained::new(first_sequence);
        chain.request().op_batch_begin_do(&batch_header()).encode().push_genid(generation);
        Batch { chain, table: table.to_owned(), messages: 1 }
    }

    /// Ends the batch and returns its bytes.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.request().op_batch_end_do(&batch_header());
        let mut done = self.chain.finalize();
        let mut bytes = std::mem::take(done.buf_mut());
        leave_out_acknowledgements(&mut bytes);
        bytes
    }

    pub(super) fn messages(&self) -> u32 {
        self.messages
    }

    pub(super) fn add_table(&mut self) {
        let table = self.table.clone();
        self.request().set_create().op_newtable_do(&header()).encode().push_name_bytes(table.as_bytes());
    }

    pub(super) fn delete_table(&mut self) {
        let table = self.table.clone();
        self.request().op_deltable_do(&header()).encode().push_name_bytes(table.as_bytes());
    }

    pub(super) fn add_set(&mut self, name: &str, set: &Set) {
        let (table, id) = (self.table.clone(), self.messages);
        let mut request = self.request().set_create().op_newset_do(&header());
        let mut attributes = request
            .encode()
            .push_table_bytes(table.as_bytes())
            .push_name_bytes(name.as_bytes())
            .push_flags(set.shape.flags)
            .push_key_type(set.shape.key_type())
            .push_key_len(set.shape.key_bytes())
            // The crate writes this one in the host's byte order.
            .push_id(id.to_be());
        if set.shape.key.len() > 1 {
            let mut parts = attributes.nested_desc().nested_concat();
            for part in &set.shape.key {
                parts = parts.nested_elem().push_len(part.bytes()).end_nested();
            }
            attributes = parts.end_nested().end_nested();
        }
        if set.shape.key == [Type::IfName] {
            // For the `nft` program alone: the key is in the host's byte order, or it prints nothing.
            attributes.push_userdata(&[0, 4, 1, 0, 0, 0]);
        }
    }

    pub(super) fn add_elements<'e>(&mut self, set: &str, elements: impl IntoIterator<Item = &'e Element>) {
        let (table, elements) = (self.table.clone(), elements.into_iter().collect::<Vec<_>>());
        for some in elements.chunks(ELEMENTS_PER_MESSAGE) {
            let mut request = self.request().set_create().op_newsetelem_do(&header());
            let list = request.encode().push_table_bytes(table.as_bytes()).push_set_bytes(set.as_bytes()).nested_elements();
            push_elements(list, some);
        }
    }

    pub(super) fn delete_elements<'e>(&mut self, set: &str, elements: impl IntoIterator<Item = &'e Element>) {
        let (table, elements) = (self.table.clone(), elements.into_iter().collect::<Vec<_>>());
        for some in elements.chunks(ELEMENTS_PER_MESSAGE) {
            let mut request = self.request().op_delsetelem_do(&header());
            let list = request.encode().push_table_bytes(table.as_bytes()).push_set_bytes(set.as_bytes()).nested_elements();
            push_elements(list, some);
        }
    }

    pub(super) fn add_chain(&mut self, name: &str, chain: &Chain) {
        let table = self.table.clone();
        let mut request = self.request().set_create().op_newchain_do(&header());
        let attributes = request.encode().push_table_bytes(table.as_bytes()).push_name_bytes(name.as_bytes());
        if let Some(hook) = &chain.hook {
            let attributes = attributes.nested_hook().push_num(hook.number).push_priority(hook.priority).end_nested();
            attributes.push_policy(hook.policy).push_type_bytes(hook.kind.as_bytes());
        }
    }

    pub(super) fn delete_rules(&mut self, chain: &str) {
        let table = self.table.clone();
        let mut request = self.request().op_delrule_do(&header());
        request.encode().push_table_bytes(table.as_bytes()).push_chain_bytes(chain.as_bytes());
    }

    pub(super) fn add_rule(&mut self, chain: &str, rule: &Rule) {
        let (table, comment) = (self.table.clone(), rule.comment());
        // A comment as the `nft` program writes it: type 0, length, text and a zero.
        let userdata = [&[0, comment.len() as u8 + 1], comment.as_bytes(), &[0]].concat();
        let request = self.request().set_create().set_append().op_newrule_do(&header());
        let mut list = request
            .into_encoder()
            .push_table_bytes(table.as_bytes())
            .push_chain_bytes(chain.as_bytes())
            .push_userdata(&userdata)
            .nested_expressions();
        for expression in &rule.expressions {
            list = push_expression(list, expression);
        }
    }

    fn request(&mut self) -> Request<'_> {
        self.messages += 1;
        self.chain.request()
    }
}

pub(super) fn header() -> Nfgenmsg {
    Nfgenmsg { nfgen_family: NFPROTO_INET, ..Nfgenmsg::default() }
}

fn batch_header() -> Nfgenmsg {
    let mut header = Nfgenmsg::new();
    header.set_res_id(SUBSYSTEM);
    header
}

/// Clears the flag by which each message would be acknowledged: a big batch would overflow the socket's queue.
fn leave_out_acknowledgements(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some(header) = bytes.get_mut(at..at + NLMSG_HEADER_BYTES) {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let flags = u16::from_ne_bytes([header[6], header[7]]) & !NLM_F_ACK;
        header[6..8].copy_from_slice(&flags.to_ne_bytes());
        at += length.max(NLMSG_HEADER_BYTES).next_multiple_of(4);
    }
}

fn push_elements<P: Pusher>(mut list: PushSetelemListElemAttrs<P>, elements: &[&Element]) {
    for element in elements {
        let mut item = list.nested_elem().nested_key().push_value(&element.key).end_nested();
        if let Some(end) = &element.end {
            // NFTA_SET_ELEM_KEY_END is 10, which the crate calls `expressions`.
            let mut key_end = item.nested_expressions();
            push_header(key_end.as_vec_mut(), NFTA_DATA_VALUE, end.len() as u16);
            key_end.as_vec_mut().extend(end);
            item = key_end.end_nested();
        }
        list = item.end_nested();
    }
}

fn push_expression<'a>(list: Expressions<'a>, expression: &Expression) -> Expressions<'a> {
    let item = list.nested_elem();
    match expression {
        Expression::Meta { key, register } => {
            item.nested_data_meta().push_key(*key).push_dreg(*register).end_nested().end_nested()
        }
        Expression::ConnectionState { register } => {
            item.nested_data_ct().push_key(CT_STATE).push_dreg(*register).end_nested().end_nested()
        }
        Expression::Payload { register, base, offset, bytes } => {
            let payload = item.nested_data_payload().push_dreg(*register).push_base(*base);
            payload.push_offset(*offset).push_len(*bytes).end_nested().end_nested()
        }
        Expression::Mask { register, mask } => {
            let bitwise = item.nested_data_bitwise().push_sreg(*register).push_dreg(*register).push_len(mask.len() as u32);
            let bitwise = bitwise.nested_mask().push_value(mask).end_nested();
            bitwise.nested_xor().push_value(&vec![0; mask.len()]).end_nested().end_nested().end_nested()
        }
        Expression::Compare { register, equal, value } => {
            let compare = item.nested_data_cmp().push_sreg(*register).push_op(if *equal { CMP_EQ } else { CMP_NEQ });
            compare.nested_data().push_value(value).end_nested().end_nested().end_nested()
        }
        Expression::Lookup { set, register, inverted } => {
            // NFTA_LOOKUP_SREG is 2, which the crate calls `set_id`.
            let lookup = item.nested_data_lookup().push_set_bytes(set.as_bytes()).push_set_id(*register);
            let lookup = if *inverted { lookup.push_flags(LOOKUP_INVERTED) } else { lookup };
            lookup.end_nested().end_nested()
        }
        Expression::Counter => item.nested_data_counter().end_nested().end_nested(),
        // The crate cannot write this expression's data, and it needs none.
        Expression::Masquerade => item.push_name(c"masq").end_nested(),
        Expression::Verdict { code, chain } => {
            let data = item.nested_data_immediate().push_dreg(VERDICT_REGISTER).nested_data();
            let verdict = data.nested_verdict().push_code(*code);
            let verdict = match chain {
                Some(chain) => verdict.push_chain_bytes(chain.as_bytes()),
                None => verdict,
            };
            verdict.end_nested().end_nested().end_nested().end_nested()
        }
    }
}
