//! Finds the place of a path such as `services.web.endpoints[0].port` in a manifest's text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::parse::strict;

/// The text's nodes with their places.
pub(super) struct Locations(Option<Node>);

enum Node {
    Leaf,
    Sequence(Vec<Spanned<Node>>),
    Mapping(Vec<(Spanned<String>, Node)>),
}

impl Locations {
    pub(super) fn of(text: &str) -> Locations {
        let mut options = strict();
        options.no_schema = false;
        Locations(serde_saphyr::from_str_with_options(text, options).ok())
    }

    /// Returns line and column, from 1, of the deepest node on the path that is there; 1 and 1 when none is.
    pub(super) fn find(&self, path: &str) -> (u64, u64) {
        let mut place = (1, 1);
        let mut node = self.0.as_ref();
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
            let next = match node {
                Some(Node::Mapping(entries)) => {
                    entries.iter().find(|(key, _)| key.value == step).map(|(key, value)| (key.referenced, value))
                }
                Some(Node::Sequence(items)) => {
                    step.parse().ok().and_then(|index: usize| items.get(index)).map(|item| (item.referenced, &item.value))
                }
                _ => None,
            };
            let Some((at, value)) = next else { break };
            place = (at.line(), at.column());
            node = Some(value);
        }
        place
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(AnyNode)
    }
}

struct AnyNode;

macro_rules! leaves {
    ($($method:ident $type:ty),*) => {$(
        fn $method<E>(self, _: $type) -> Result<Node, E> {
            Ok(Node::Leaf)
        }
    )*};
}

impl<'de> Visitor<'de> for AnyNode {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    leaves!(visit_bool bool, visit_i64 i64, visit_u64 u64, visit_i128 i128, visit_u128 u128, visit_f64 f64, visit_str &str);

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Leaf)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Node::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Mapping(entries))
    }
}
