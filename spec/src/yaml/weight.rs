//! How much there is to keep of a tree: what bounds copies.

use super::Node;

/// What there is to keep.
#[derive(Clone, Copy, Default)]
pub(super) struct Weight {
    pub(super) nodes: usize,
    /// Of texts in copies.
    pub(super) bytes: usize,
}

impl Weight {
    pub(super) fn add(&mut self, other: Weight) {
        self.nodes += other.nodes;
        self.bytes += other.bytes;
    }

    /// Weighs a copy of a tree.
    pub(super) fn of(node: &Node) -> Weight {
        let length = |text: Option<&str>| text.map_or(0, str::len);
        let mut total = Weight {
            nodes: 1,
            bytes: node.text().map_or(0, str::len) + length(node.tag()) + length(node.alias()) + length(node.anchor()),
        };
        node.items().iter().for_each(|item| total.add(Weight::of(item)));
        node.entries().iter().flat_map(|entry| [&entry.key, &entry.value]).for_each(|child| total.add(Weight::of(child)));
        total
    }
}
