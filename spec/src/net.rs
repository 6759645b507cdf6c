//! Addresses and links, as controllers decide them and `netctl` makes them so.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The address every replica's link answers on at the host's side: default gateway and DNS server of the replica.
///
/// It is link-local (RFC 3927), so it is never routed and the same for all links.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// The port of the node's DNS server on [`GATEWAY`].
pub const DNS_PORT: u16 = 53;

/// An IPv4 network in CIDR notation (RFC 4632), host bits zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block {
    first: Ipv4Addr,
    prefix: u8,
}

/// Why a text is no [`Block`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not an IPv4 network such as 10.192.0.0/12")]
pub struct BadBlock(String);

impl Block {
    /// Returns the network of length `prefix` that holds `address`; `None` when `prefix` is over 32.
    pub fn holding(address: Ipv4Addr, prefix: u8) -> Option<Block> {
        if prefix > 32 {
            return None;
        }
        Some(Block { first: Ipv4Addr::from_bits(address.to_bits() & mask(prefix)), prefix })
    }

    pub fn first(&self) -> Ipv4Addr {
        self.first
    }

    pub fn last(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits() | !mask(self.prefix))
    }

    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Returns the number of addresses, network and broadcast address included.
    pub fn size(&self) -> u64 {
        1 << (32 - self.prefix)
    }

    /// Returns the address at `offset` from the first one, if it lies inside.
    pub fn nth(&self, offset: u64) -> Option<Ipv4Addr> {
        let offset = u32::try_from(offset).ok()?;
        (u64::from(offset) < self.size()).then(|| Ipv4Addr::from_bits(self.first.to_bits() + offset))
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.first.to_bits()
    }

    pub fn overlaps(&self, other: &Block) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }

    /// Returns the blocks of length `prefix` inside this one, in order.
    pub fn split(&self, prefix: u8) -> impl Iterator<Item = Block> + use<> {
        let Block { first, prefix: own } = *self;
        let count = if (own..=32).contains(&prefix) { 1u64 << (prefix - own) } else { 0 };
        (0..count).map(move |i| Block { first: Ipv4Addr::from_bits(first.to_bits() + ((i as u32) << (32 - prefix))), prefix })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

impl FromStr for Block {
    type Err = BadBlock;

    fn from_str(text: &str) -> Result<Self, BadBlock> {
        let bad = || BadBlock(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let block = Block::holding(address, prefix.parse().map_err(|_| bad())?).ok_or_else(bad)?;
        if block.first == address { Ok(block) } else { Err(bad()) }
    }
}

impl Serialize for Block {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One address of a replica, and the overlay's block it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Address {
    pub address: Ipv4Addr,
    pub block: Block,
}

/// A replica's link: a veth whose one end is in the replica's own network namespace.
///
/// Inside, the interface is `eth0` with a /32 for each overlay, one route per overlay block with the right source
/// address, and a default route to [`GATEWAY`]. Outside, the host has a /32 route to each address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Name of the host's end; unique on the host, at most 15 bytes.
    pub host_name: String,
    /// Name of the network namespace's pin, a file in the run directory's `netns` folder.
    pub netns: String,
    /// The first address is the source of traffic that leaves all overlays.
    pub addresses: Vec<Address>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        text.parse().unwrap()
    }

    #[test]
    fn a_block_is_parsed_and_printed_alike() {
        assert_eq!(block("10.192.0.0/12").to_string(), "10.192.0.0/12");
        assert_eq!(block("0.0.0.0/0").size(), 1 << 32);
    }

    #[test]
    fn host_bits_and_nonsense_are_refused() {
        for text in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0", "x/8", "10.0.0.0/-1", ""] {
            assert_eq!(text.parse::<Block>(), Err(BadBlock(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_block_splits_into_disjoint_parts_that_cover_it() {
        let parts: Vec<_> = block("10.192.0.0/14").split(16).collect();
        assert_eq!(
            parts.iter().map(Block::to_string).collect::<Vec<_>>(),
            ["10.192.0.0/16", "10.193.0.0/16", "10.194.0.0/16", "10.195.0.0/16"]
        );
        assert!(parts.iter().all(|part| part.overlaps(&block("10.192.0.0/14"))));
        assert!(!parts[0].overlaps(&parts[1]));
        assert_eq!(block("10.0.0.0/24").split(16).count(), 0);
    }

    #[test]
    fn addresses_stay_inside() {
        let small = block("10.0.0.8/30");
        assert_eq!(small.nth(3), Some(small.last()));
        assert_eq!(small.nth(4), None);
        assert!(small.contains(Ipv4Addr::new(10, 0, 0, 11)) && !small.contains(Ipv4Addr::new(10, 0, 0, 12)));
    }
}
