//! A place in the compose file: a node, its path, and what a note points at.

use crate::yaml::{Content, Node, Span, shown};

#[derive(Clone)]
pub(super) struct At<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
    /// The last step of the path: a key, or a key and an index.
    name: String,
    /// The value where it is one that can be seen on its line, else its key.
    pub(super) span: Span,
}

impl<'a> At<'a> {
    pub(super) fn root(node: &'a Node) -> At<'a> {
        At { node, path: String::new(), name: String::new(), span: first_key(node) }
    }

    /// Returns the beginning of an empty text.
    pub(super) fn nothing(node: &'a Node) -> At<'a> {
        At::root(node)
    }

    /// Returns the fields of a mapping; of anything else, none.
    pub(super) fn fields(&self) -> impl Iterator<Item = (&'a str, At<'a>)> + use<'a> {
        let path = self.path.clone();
        self.node.entries().iter().map(move |entry| {
            let name = shown(entry.key.text().unwrap_or_default());
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let span = if visible(&entry.value) { entry.value.span } else { entry.key.span };
            (entry.key.text().unwrap_or_default(), At { node: &entry.value, path, name, span })
        })
    }

    /// Returns the items of a list; of anything else, none.
    pub(super) fn items(&self) -> impl Iterator<Item = At<'a>> + use<'a> {
        let (path, name) = (self.path.clone(), self.name.clone());
        self.node.items().iter().enumerate().map(move |(index, node)| {
            let span = if visible(node) { node.span } else { first_key(node) };
            At { node, path: format!("{path}[{index}]"), name: format!("{name}[{index}]"), span }
        })
    }

    pub(super) fn get(&self, key: &str) -> Option<At<'a>> {
        self.fields().find(|(name, _)| *name == key).map(|(_, at)| at)
    }

    /// Returns the text of a scalar that says something.
    pub(super) fn text(&self) -> Option<&'a str> {
        if self.node.is_null() { None } else { self.node.text() }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.content, Content::Sequence { .. })
    }

    pub(super) fn is_mapping(&self) -> bool {
        matches!(self.node.content, Content::Mapping { .. })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

/// It stands on one line and is not empty.
fn visible(node: &Node) -> bool {
    matches!(&node.content, Content::Scalar { .. }) && node.span.end > node.span.start
}

fn first_key(node: &Node) -> Span {
    let start = Span { end: node.span.end.min(node.span.start + 1), ..node.span };
    node.entries().first().map_or(start, |entry| entry.key.span)
}
