//! Which names are this node's: its links, its pins, its table.

use std::path::PathBuf;

use spec::net::Link;

use crate::rtnl::Interface;
use crate::{Config, Error};

/// Longest name of an interface: `IFNAMSIZ` less the zero at the end.
const NAME_BYTES: usize = 15;

/// The names one node goes by. Several nodes can share a host.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    id: String,
    netns_dir: PathBuf,
    /// The interface group that all of the node's links carry, from birth.
    ///
    /// The name alone would not do: the links of node `abcdef` begin like those of node `abcd`.
    pub(crate) group: u32,
}

impl Node {
    pub(crate) fn new(config: &Config) -> Result<Node, Error> {
        let id = config.node_id.clone();
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !((4..=8).contains(&id.len()) && id.bytes().all(is_digit)) {
            return Err(Error::NodeId(id));
        }
        let group = u32::from_str_radix(&id, 16).map_err(|_| Error::NodeId(id.clone()))?;
        Ok(Node { id, netns_dir: config.netns_dir.clone(), group })
    }

    pub(crate) fn table(&self) -> String {
        format!("stead-{}", self.id)
    }

    pub(crate) fn pin(&self, name: &str) -> PathBuf {
        self.netns_dir.join(name)
    }

    pub(crate) fn netns_dir(&self) -> &PathBuf {
        &self.netns_dir
    }

    pub(crate) fn owns(&self, interface: &Interface) -> bool {
        interface.is_veth && interface.group == self.group && self.check_link_name(&interface.name).is_ok()
    }

    pub(crate) fn check_link(&self, link: &Link) -> Result<(), Error> {
        self.check_link_name(&link.host_name)?;
        self.check_pin_name(&link.netns)
    }

    pub(crate) fn check_link_name(&self, name: &str) -> Result<(), Error> {
        let rest = name.strip_prefix("st").and_then(|rest| rest.strip_prefix(&self.id));
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"/:%*".contains(&byte);
        if rest.is_some() && name.len() <= NAME_BYTES && name.bytes().all(is_plain) {
            return Ok(());
        }
        Err(Error::LinkName { name: name.to_owned(), node: self.id.clone() })
    }

    pub(crate) fn check_pin_name(&self, name: &str) -> Result<(), Error> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
        if !name.is_empty() && name.len() <= 255 && !name.starts_with('.') && name.bytes().all(is_plain) {
            return Ok(());
        }
        Err(Error::PinName(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str) -> Result<Node, Error> {
        Node::new(&Config { netns_dir: "/run/x".into(), node_id: id.into() })
    }

    #[test]
    fn a_node_id_is_4_to_8_hexadecimal_digits() {
        for id in ["abcd", "01234567"] {
            assert!(node(id).is_ok(), "{id}");
        }
        for id in ["", "abc", "012345678", "ABCD", "xyzw", "+abc", "ab/d"] {
            assert!(matches!(node(id), Err(Error::NodeId(_))), "{id}");
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let node = node("abcd").unwrap();
        assert!(node.check_link_name("stabcd01").is_ok());
        for name in ["eth0", "st1234", "stabcd0123456789", "stabcd/x", "stabcd x", "stabcd%d", ""] {
            assert!(matches!(node.check_link_name(name), Err(Error::LinkName { .. })), "{name}");
        }
        assert!(node.check_pin_name("db-0").is_ok());
        for name in ["", ".", "..", "../x", "a/b", "a b"] {
            assert!(matches!(node.check_pin_name(name), Err(Error::PinName(_))), "{name}");
        }
    }

    #[test]
    fn a_node_does_not_take_the_links_of_one_whose_id_is_longer() {
        let (short, long) = (node("abcd").unwrap(), node("abcdef").unwrap());
        let interface = |group| Interface {
            name: "stabcdef01".into(),
            index: 5,
            up: true,
            mac: Vec::new(),
            group,
            is_veth: true,
            peer: None,
            arp: false,
            proxy_arp: false,
            ipv6_disabled: true,
        };
        assert!(long.owns(&interface(long.group)) && !short.owns(&interface(long.group)));
        assert!(short.owns(&interface(short.group)) && !long.owns(&interface(short.group)));
    }
}
