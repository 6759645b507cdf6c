//! One nf_tables table as plain data.
//!
//! Sets and chains are compared part by part. Rules are compared by a fingerprint that each carries in its comment: the
//! kernel's own form of a rule cannot be compared with ours.

use std::collections::{BTreeMap, BTreeSet};

/// First of the registers of 4 bytes each (`NFT_REG32_00`): wider values take several in a row.
pub(super) const REGISTER: u32 = 8;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) sets: BTreeMap<String, Set>,
    pub(super) chains: BTreeMap<String, Chain>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) shape: Shape,
    pub(super) elements: BTreeSet<Element>,
}

/// What cannot be changed of a set once it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) flags: u32,
    /// The type of the key, or of its parts when it is a concatenation.
    pub(super) key: Vec<Type>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Ipv4,
    IfName,
}

impl Type {
    /// Returns the number the `nft` program has for it, by which it prints a set's elements.
    pub(super) fn number(self) -> u32 {
        match self {
            Type::Ipv4 => 7,
            Type::IfName => 41,
        }
    }

    pub(super) fn bytes(self) -> u32 {
        match self {
            Type::Ipv4 => 4,
            Type::IfName => 16,
        }
    }
}

impl Shape {
    /// Returns the key's type as `nft` writes it: 6 bits for each part.
    pub(super) fn key_type(&self) -> u32 {
        self.key.iter().fold(0, |number, part| number << 6 | part.number())
    }

    pub(super) fn key_bytes(&self) -> u32 {
        self.key.iter().map(|part| part.bytes()).sum()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    pub(super) key: Vec<u8>,
    /// Last key of an interval.
    pub(super) end: Option<Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) hook: Option<Hook>,
    pub(super) rules: Vec<Rule>,
}

/// Where packets enter a base chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hook {
    pub(super) kind: String,
    pub(super) number: u32,
    pub(super) priority: i32,
    pub(super) policy: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Names the rule's counter; empty for a rule that counts nothing.
    pub(super) name: &'static str,
    pub(super) expressions: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    /// Loads a fact about the packet.
    Meta {
        key: u32,
        register: u32,
    },
    /// Loads the state of the packet's connection.
    ConnectionState {
        register: u32,
    },
    /// Loads bytes of the packet.
    Payload {
        register: u32,
        base: u32,
        offset: u32,
        bytes: u32,
    },
    Mask {
        register: u32,
        mask: Vec<u8>,
    },
    Compare {
        register: u32,
        equal: bool,
        value: Vec<u8>,
    },
    /// Goes on if the set has the key, or, inverted, if it has not.
    Lookup {
        set: &'static str,
        register: u32,
        inverted: bool,
    },
    Counter,
    Masquerade,
    Verdict {
        code: u32,
        chain: Option<&'static str>,
    },
}

impl Rule {
    /// Returns the comment by which the rule is known again: its name and a fingerprint of its content.
    pub(super) fn comment(&self) -> String {
        // The digest must not change with the compiler, unlike that of std's hasher: the rules outlive the program.
        let fingerprint = spec::hash::hex(&[self.name, &format!("{:?}", self.expressions)], 16);
        if self.name.is_empty() { fingerprint } else { format!("{} {fingerprint}", self.name) }
    }
}

impl Table {
    /// Returns what can be compared with the kernel's table: everything, with rules by their comments.
    pub(super) fn outline(&self) -> Outline {
        let chain = |(name, chain): (&String, &Chain)| {
            (name.clone(), ChainOutline { hook: chain.hook.clone(), comments: chain.rules.iter().map(Rule::comment).collect() })
        };
        Outline { sets: self.sets.clone(), chains: self.chains.iter().map(chain).collect() }
    }
}

/// A table without what its rules say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) sets: BTreeMap<String, Set>,
    pub(super) chains: BTreeMap<String, ChainOutline>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ChainOutline {
    pub(super) hook: Option<Hook>,
    /// Its rules' comments, in order.
    pub(super) comments: Vec<String>,
}

impl Outline {
    /// Says whether the two differ at most in elements and rules, which can be changed one by one.
    pub(super) fn has_the_frame_of(&self, other: &Outline) -> bool {
        let shapes =
            |outline: &Outline| outline.sets.iter().map(|(name, set)| (name.clone(), set.shape.clone())).collect::<Vec<_>>();
        let hooks =
            |outline: &Outline| outline.chains.iter().map(|(name, chain)| (name.clone(), chain.hook.clone())).collect::<Vec<_>>();
        shapes(self) == shapes(other) && hooks(self) == hooks(other)
    }
}
