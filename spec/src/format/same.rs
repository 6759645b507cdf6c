//! Whether two texts say the same: the same values, but for the order of keys, and the same comments.

use std::collections::HashMap;

use crate::yaml::{Content, Document, Node, Plain};

/// Compares two documents, places and styles apart.
pub(super) fn same(one: &Document, other: &Document) -> bool {
    let comments = |document: &Document| {
        let mut texts: Vec<_> = document.comments.iter().map(|comment| comment.text.clone()).collect();
        texts.sort();
        texts
    };
    let roots = match (&one.root, &other.root) {
        (Some(one), Some(other)) => same_value(one, other),
        (one, other) => one.is_none() && other.is_none(),
    };
    roots && comments(one) == comments(other)
}

fn same_value(one: &Node, other: &Node) -> bool {
    let properties = |node: &Node| node.marks.clone();
    let contents = match (&one.content, &other.content) {
        (Content::Scalar { text, .. }, Content::Scalar { text: other_text, .. }) => {
            let (meaning, other_meaning) = (meaning(one), meaning(other));
            meaning == other_meaning && (text == other_text || meaning == Meaning::Nothing)
        }
        (Content::Sequence { items, .. }, Content::Sequence { items: others, .. }) => {
            items.len() == others.len() && items.iter().zip(others).all(|(one, other)| same_value(one, other))
        }
        (Content::Mapping { entries, .. }, Content::Mapping { entries: others, .. }) => {
            let others: HashMap<_, _> = others.iter().map(|entry| (entry.key.text(), entry)).collect();
            let found = |entry: &crate::yaml::Entry| {
                let other = others.get(&entry.key.text());
                other.is_some_and(|other| same_value(&entry.key, &other.key) && same_value(&entry.value, &other.value))
            };
            entries.len() == others.len() && entries.iter().all(found)
        }
        _ => false,
    };
    contents && properties(one) == properties(other)
}

/// What a scalar is for its readers.
#[derive(PartialEq)]
enum Meaning {
    Text,
    Nothing,
    /// A number, a boolean, or what some take for one.
    Other,
}

/// Quotes make no difference to texts, nor to what has a tag.
fn meaning(node: &Node) -> Meaning {
    match node.plain() {
        _ if node.tag().is_some() => Meaning::Text,
        None | Some(Plain::Text(_)) => Meaning::Text,
        Some(Plain::Null) => Meaning::Nothing,
        Some(_) => Meaning::Other,
    }
}
