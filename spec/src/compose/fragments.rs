//! Merge keys and tags, which are gone before anything else is read.

use std::collections::HashSet;

use super::at::At;
use super::notes::Notes;
use crate::yaml::{Content, Entry, Marks, Node, Style};

/// Returns the tree with merge keys (<https://yaml.org/type/merge.html>) filled in and tags taken off.
pub(super) fn resolve(root: Node, notes: &mut Notes<'_>) -> Node {
    tell(&At::root(&root), notes);
    merged(root)
}

/// Says which tags there are, and what is merged and cannot be. Compose has two of its own, which are about other files than this one.
fn tell(at: &At<'_>, notes: &mut Notes<'_>) {
    match at.node.tag() {
        Some("!reset") => return notes.leave_out(at, "`!reset` takes it away, which is for files that are laid over others"),
        Some("!override") => notes.add(at, "`!override` is left out: there is no other file; the value is kept"),
        Some(tag) if !tag.starts_with("!!") && !tag.starts_with("!<tag:yaml.org,2002:") => {
            notes.add(at, format!("the tag {} is left out, the value is kept", crate::yaml::quoted(tag)));
        }
        _ => {}
    }
    for (entry, (_, at)) in at.node.entries().iter().zip(at.fields()) {
        if is_merge(&entry.key) {
            not_merged(&at, notes);
        }
        tell(&at, notes);
    }
    at.items().for_each(|at| tell(&at, notes));
}

fn not_merged(at: &At<'_>, notes: &mut Notes<'_>) {
    let sources = if at.is_list() { at.items().collect() } else { vec![at.clone()] };
    for source in sources.iter().filter(|source| !source.is_mapping()) {
        notes.leave_out(source, "only mappings can be merged");
    }
}

fn is_reset(node: &Node) -> bool {
    node.tag() == Some("!reset")
}

fn merged(node: Node) -> Node {
    let content = match node.content {
        Content::Mapping { entries, flow } => Content::Mapping { entries: mapping(entries), flow },
        Content::Sequence { items, flow } => {
            Content::Sequence { items: items.into_iter().filter(|item| !is_reset(item)).map(merged).collect(), flow }
        }
        scalar => scalar,
    };
    let marks = node.marks.map(|marks| Box::new(Marks { tag: None, ..*marks }));
    Node { content, marks, ..node }
}

/// Fields that are written win over merged ones, and earlier merged ones over later ones.
fn mapping(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, own): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| is_merge(&entry.key));
    let mut fields: Vec<Entry> = Vec::new();
    for entry in own.into_iter().filter(|entry| !is_reset(&entry.value)) {
        fields.push(Entry { key: entry.key, value: merged(entry.value) });
    }
    let mut there: HashSet<Box<str>> = fields.iter().filter_map(|entry| entry.key.text().map(Into::into)).collect();
    for source in merges.into_iter().flat_map(|entry| sources(entry.value)) {
        if let Content::Mapping { entries, .. } = merged(source).content {
            fields.extend(entries.into_iter().filter(|entry| there.insert(entry.key.text().unwrap_or_default().into())));
        }
    }
    fields
}

fn is_merge(key: &Node) -> bool {
    matches!(&key.content, Content::Scalar { text, style: Style::Plain } if &**text == "<<")
}

fn sources(value: Node) -> Vec<Node> {
    match value.content {
        Content::Sequence { items, .. } => items,
        _ => vec![value],
    }
}
