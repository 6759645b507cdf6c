//! Other firewalls that would drop what Stead's filter lets through.
//!
//! A packet must pass every table. So a chain of another program's that drops by default cuts replicas off, whatever
//! Stead's own table says.

use std::collections::BTreeSet;
use std::fs;

use netlink_bindings::nftables::{ExprOps, IterableRuleAttrs, Nfgenmsg, OpGetchainDump, OpGetruleDump, Request};
use netlink_bindings::traits::NetlinkRequest;
use spec::net::{DNS_PORT, GATEWAY};

use super::{Finding, chain, good, problem, warning};
use crate::filter::kernel::NETLINK_NETFILTER;
use crate::filter::{malformed, message, text};
use crate::socket::{Error, Socket};

const NAME: &str = "other-firewalls";
const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;
const HOOK_INPUT: u32 = 1;
const HOOK_FORWARD: u32 = 2;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const LINK_PREFIX: &[u8] = b"st";

/// Tables of the old iptables, which nf_tables does not know of, that are in use in this namespace.
const OLD_TABLES: &str = "/proc/thread-self/net/ip_tables_names";

/// A chain through which packets for the host, or forwarded ones, must pass.
#[derive(Clone, Debug)]
struct BaseChain {
    table: Table,
    name: String,
    hook: u32,
    policy: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Table {
    family: u8,
    name: String,
}

/// What matters of a rule.
#[derive(Clone, Debug)]
struct Rule {
    table: Table,
    chain: String,
    /// Nothing passes it.
    drops_all: bool,
    /// It lets packets pass that come from (`iifname`) or go to (`oifname`) Stead's links.
    admits: BTreeSet<u32>,
}

pub(super) fn check() -> Vec<Finding> {
    let mut findings = match observe() {
        Ok((chains, rules)) => judge(&chains, &rules),
        Err(error) => vec![warning(NAME, format!("cannot list other firewalls' rules: {}", chain(&error)), "")],
    };
    findings.extend(old_iptables(&fs::read_to_string(OLD_TABLES).unwrap_or_default()));
    if findings.is_empty() {
        findings.push(good(NAME, "no other firewall drops what replicas send or get"));
    }
    findings
}

fn old_iptables(tables: &str) -> Option<Finding> {
    let in_use = tables.lines().any(|table| table == "filter");
    let detail =
        "the old iptables is in use, whose rules cannot be read here; if its FORWARD or INPUT drops, replicas are cut off";
    let fix = "run `iptables-legacy -I FORWARD -i st+ -j ACCEPT` and `iptables-legacy -I FORWARD -o st+ -j ACCEPT`";
    in_use.then(|| warning(NAME, detail, fix))
}

/// Returns a problem for each chain that drops what it does not know and knows nothing of Stead's links.
fn judge(chains: &[BaseChain], rules: &[Rule]) -> Vec<Finding> {
    chains.iter().filter(|chain| drops(chain, rules) && !admits(chain, rules)).map(|chain| report(chain, rules)).collect()
}

fn drops(chain: &BaseChain, rules: &[Rule]) -> bool {
    let last = rules.iter().rfind(|rule| rule.table == chain.table && rule.chain == chain.name);
    chain.policy == DROP || last.is_some_and(|rule| rule.drops_all)
}

/// Any chain of the table counts: firewalls have theirs for users' rules, such as Docker's DOCKER-USER.
fn admits(chain: &BaseChain, rules: &[Rule]) -> bool {
    let admitted: BTreeSet<u32> =
        rules.iter().filter(|rule| rule.table == chain.table).flat_map(|rule| &rule.admits).copied().collect();
    let needed: &[u32] = if chain.hook == HOOK_FORWARD { &[META_IIFNAME, META_OIFNAME] } else { &[META_IIFNAME] };
    needed.iter().all(|direction| admitted.contains(direction))
}

fn report(chain: &BaseChain, rules: &[Rule]) -> Finding {
    let family = if chain.table.family == FAMILY_IPV4 { "ip" } else { "inet" };
    let what = match chain.hook {
        HOOK_FORWARD => "what is forwarded, so replicas reach neither each other nor the world outside",
        _ => "what comes in, so replicas cannot ask for names",
    };
    let (table, name) = (&chain.table.name, &chain.name);
    let detail = format!("the chain {name} of the table {family} {table} drops {what}");
    let is_iptables = family == "ip" && table == "filter" && name.chars().all(|letter| letter.is_ascii_uppercase());
    let has_docker = rules.iter().any(|rule| rule.table == chain.table && rule.chain == "DOCKER-USER");
    let place = if has_docker && chain.hook == HOOK_FORWARD { "DOCKER-USER" } else { name };
    let commands: Vec<String> = match (is_iptables, chain.hook) {
        (true, HOOK_FORWARD) => ["-i", "-o"].iter().map(|way| format!("iptables -I {place} {way} st+ -j ACCEPT")).collect(),
        (true, _) => {
            let of = |protocol| format!("iptables -I {place} -i st+ -d {GATEWAY} -p {protocol} --dport {DNS_PORT} -j ACCEPT");
            ["udp", "tcp"].map(of).to_vec()
        }
        (false, HOOK_FORWARD) => {
            let of = |way| format!("nft insert rule {family} {table} {name} {way} 'st*' accept");
            ["iifname", "oifname"].map(of).to_vec()
        }
        (false, _) => {
            let of = |protocol| {
                format!(
                    "nft insert rule {family} {table} {name} iifname 'st*' ip daddr {GATEWAY} {protocol} dport {DNS_PORT} accept"
                )
            };
            ["udp", "tcp"].map(of).to_vec()
        }
    };
    problem(NAME, detail, &format!("run `{}`, and keep it in that firewall's own configuration", commands.join(" && ")))
}

fn observe() -> Result<(Vec<BaseChain>, Vec<Rule>), Error> {
    let mut socket = Socket::open(NETLINK_NETFILTER)?;
    let request = message(&Request::new().op_getchain_dump(&Nfgenmsg::new()));
    let chains = socket.dump(&request, |message| read_chain(message.body))?;
    let request = message(&Request::new().op_getrule_dump(&Nfgenmsg::new()));
    let rules = socket.dump(&request, |message| read_rule(message.body))?;
    Ok((chains, rules))
}

/// Reads a base chain of another program that sees IPv4 packets coming in or going through.
fn read_chain(body: &[u8]) -> Result<Option<BaseChain>, Error> {
    let (header, chain) = OpGetchainDump::decode_reply(body);
    let table = Table { family: header.nfgen_family, name: text(chain.get_table())? };
    let Ok(hook) = chain.get_hook() else { return Ok(None) };
    let hook = hook.get_num().map_err(malformed)?;
    let is_filter = text(chain.get_type())? == "filter";
    if !(is_filter && is_foreign(&table) && [HOOK_INPUT, HOOK_FORWARD].contains(&hook)) {
        return Ok(None);
    }
    let policy = chain.get_policy().unwrap_or(ACCEPT);
    Ok(Some(BaseChain { table, name: text(chain.get_name())?, hook, policy }))
}

fn is_foreign(table: &Table) -> bool {
    [FAMILY_INET, FAMILY_IPV4].contains(&table.family) && !table.name.starts_with("stead-")
}

fn read_rule(body: &[u8]) -> Result<Option<Rule>, Error> {
    let (header, rule) = OpGetruleDump::decode_reply(body);
    let table = Table { family: header.nfgen_family, name: text(rule.get_table())? };
    if !is_foreign(&table) {
        return Ok(None);
    }
    Ok(Some(Rule { table, chain: text(rule.get_chain())?, drops_all: drops_all(&rule), admits: admitted(&rule) }))
}

fn drops_all(rule: &IterableRuleAttrs<'_>) -> bool {
    let Ok(expressions) = rule.get_expressions() else { return false };
    let mut dropped = false;
    for expression in expressions.get_elem() {
        match expression.get_data() {
            Ok(ExprOps::Counter(_) | ExprOps::Log(_)) => {}
            Ok(ExprOps::Reject(_)) => dropped = true,
            Ok(immediate @ ExprOps::Immediate(_)) if verdict(&immediate) == Some(DROP) => dropped = true,
            // Whatever else it is, it may let something pass.
            _ => return false,
        }
    }
    dropped
}

fn admitted(rule: &IterableRuleAttrs<'_>) -> BTreeSet<u32> {
    let Ok(expressions) = rule.get_expressions() else { return BTreeSet::new() };
    let (mut loaded, mut directions, mut accepts) = (None, BTreeSet::new(), false);
    for expression in expressions.get_elem() {
        match expression.get_data() {
            Ok(ExprOps::Meta(meta)) => loaded = meta.get_key().ok(),
            Ok(ExprOps::Cmp(compare)) => {
                let value = compare.get_data().and_then(|data| data.get_value()).unwrap_or_default();
                directions.extend(loaded.filter(|key| is_direction(*key) && value.starts_with(LINK_PREFIX)));
            }
            Ok(immediate @ ExprOps::Immediate(_)) => accepts |= verdict(&immediate) == Some(ACCEPT),
            _ => {}
        }
    }
    if accepts { directions } else { BTreeSet::new() }
}

fn is_direction(key: u32) -> bool {
    [META_IIFNAME, META_OIFNAME].contains(&key)
}

fn verdict(expression: &ExprOps<'_>) -> Option<u32> {
    let ExprOps::Immediate(immediate) = expression else { return None };
    immediate.get_data().ok()?.get_verdict().ok()?.get_code().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(family: u8, name: &str) -> Table {
        Table { family, name: name.into() }
    }

    fn chain(table: Table, name: &str, hook: u32, policy: u32) -> BaseChain {
        BaseChain { table, name: name.into(), hook, policy }
    }

    fn rule(table: Table, chain: &str, drops_all: bool, admits: &[u32]) -> Rule {
        Rule { table, chain: chain.into(), drops_all, admits: admits.iter().copied().collect() }
    }

    fn say(chains: &[BaseChain], rules: &[Rule]) -> String {
        judge(chains, rules).iter().map(|it| format!("{:?}: {}\n{}\n", it.level, it.detail, it.fix)).collect()
    }

    #[test]
    fn dockers_forward_chain_is_named_with_the_rule_that_helps() {
        let docker = || table(FAMILY_IPV4, "filter");
        let chains = [chain(docker(), "FORWARD", HOOK_FORWARD, DROP), chain(docker(), "INPUT", HOOK_INPUT, ACCEPT)];
        insta::assert_snapshot!(say(&chains, &[rule(docker(), "DOCKER-USER", false, &[])]), @"
        Problem: the chain FORWARD of the table ip filter drops what is forwarded, so replicas reach neither each other nor the world outside
        run `iptables -I DOCKER-USER -i st+ -j ACCEPT && iptables -I DOCKER-USER -o st+ -j ACCEPT`, and keep it in that firewall's own configuration
        ");
        let helped =
            [rule(docker(), "DOCKER-USER", false, &[META_IIFNAME]), rule(docker(), "DOCKER-USER", false, &[META_OIFNAME])];
        assert_eq!(say(&chains, &helped), "");
    }

    #[test]
    fn ufws_input_chain_is_named_with_the_rules_that_help() {
        let ufw = || table(FAMILY_IPV4, "filter");
        insta::assert_snapshot!(say(&[chain(ufw(), "INPUT", HOOK_INPUT, DROP)], &[]), @"
        Problem: the chain INPUT of the table ip filter drops what comes in, so replicas cannot ask for names
        run `iptables -I INPUT -i st+ -d 169.254.1.1 -p udp --dport 53 -j ACCEPT && iptables -I INPUT -i st+ -d 169.254.1.1 -p tcp --dport 53 -j ACCEPT`, and keep it in that firewall's own configuration
        ");
    }

    #[test]
    fn a_chain_that_ends_in_a_rejection_counts_as_one_that_drops() {
        let firewalld = || table(FAMILY_INET, "firewalld");
        let chains = [chain(firewalld(), "filter_FORWARD", HOOK_FORWARD, ACCEPT)];
        let last = rule(firewalld(), "filter_FORWARD", true, &[]);
        insta::assert_snapshot!(say(&chains, std::slice::from_ref(&last)), @"
        Problem: the chain filter_FORWARD of the table inet firewalld drops what is forwarded, so replicas reach neither each other nor the world outside
        run `nft insert rule inet firewalld filter_FORWARD iifname 'st*' accept && nft insert rule inet firewalld filter_FORWARD oifname 'st*' accept`, and keep it in that firewall's own configuration
        ");
        let not_last = [last, rule(firewalld(), "filter_FORWARD", false, &[])];
        assert_eq!(say(&chains, &not_last), "");
    }

    #[test]
    fn the_old_iptables_is_mentioned_only_where_it_is_in_use() {
        assert_eq!(old_iptables("nat\n"), None);
        assert!(old_iptables("nat\nfilter\n").is_some());
    }
}
