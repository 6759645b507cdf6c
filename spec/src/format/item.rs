//! What is written: values with the comments that belong to them.

use super::scalar::Scalar;

/// A value.
pub(super) struct Item {
    /// `&anchor` and `!tag`, as they are written.
    pub(super) properties: String,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    /// `name` of `*name`.
    Alias(String),
    Scalar(Scalar),
    /// All members have a key.
    Mapping(Collection),
    /// No member has a key.
    Sequence(Collection),
}

#[derive(Default)]
pub(super) struct Collection {
    /// Comments about the whole, which stay at its beginning.
    pub(super) head: Vec<Comment>,
    pub(super) members: Vec<Member>,
    /// Comments after the last member.
    pub(super) foot: Vec<Comment>,
    /// It stands in brackets if it fits in a line.
    pub(super) flow: bool,
}

/// An entry of a mapping, or an item of a sequence.
pub(super) struct Member {
    /// Comments above.
    pub(super) above: Vec<Comment>,
    /// An empty line stands right above.
    pub(super) blank: bool,
    pub(super) key: Option<Item>,
    pub(super) value: Item,
    /// The comment at the end of its first line.
    pub(super) beside: Option<String>,
}

/// A comment on a line of its own.
pub(super) struct Comment {
    pub(super) text: String,
    /// An empty line stands right above.
    pub(super) blank: bool,
}

impl Item {
    pub(super) fn of(kind: Kind) -> Item {
        Item { properties: String::new(), kind }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    pub(super) fn collection(&self) -> Option<&Collection> {
        match &self.kind {
            Kind::Mapping(collection) | Kind::Sequence(collection) => Some(collection),
            _ => None,
        }
    }
}

impl Collection {
    pub(super) fn has_comments(&self) -> bool {
        let within = |item: &Item| item.collection().is_some_and(Collection::has_comments);
        let of_member = |member: &Member| !member.above.is_empty() || member.beside.is_some() || within(&member.value);
        !self.head.is_empty() || !self.foot.is_empty() || self.members.iter().any(of_member)
    }
}

impl Member {
    pub(super) fn of(key: Option<Item>, value: Item) -> Member {
        Member { above: Vec::new(), blank: false, key, value, beside: None }
    }
}
