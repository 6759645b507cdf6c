//! Gives each comment to the value it belongs to, by where it stands.
//!
//! ```text
//!  # head: apart from the first member by an empty line
//!
//!  # above
//!  key: # beside
//!    a: 1 # beside
//!    # foot of the inner mapping: it is indented further than `key`
//!  # above `other`
//!  other: 2
//!  # foot
//! ```

use super::item::{Collection, Comment, Item, Kind, Member};
use super::scalar::Scalar;
use crate::yaml::{self, Content, Node, Span, Style};

/// Returns the root with all comments.
pub(super) fn attach(text: &str, root: &Node, comments: &[yaml::Comment]) -> Item {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut attacher = Attacher { text, starts, comments, end: 0 };
    let (mut item, stray) = attacher.value(root, Vec::new(), Place { indentation: None, until: text.len() });
    if let Kind::Mapping(collection) | Kind::Sequence(collection) = &mut item.kind {
        collection.head.splice(0..0, stray);
        collection.flow = false;
        let rest = attacher.take(usize::MAX);
        collection.foot.extend(rest);
    }
    item
}

struct Attacher<'a> {
    text: &'a str,
    /// Where the lines begin.
    starts: Vec<usize>,
    /// Those that belong to nothing yet.
    comments: &'a [yaml::Comment],
    /// Where the last key, dash or value ended on its line.
    end: usize,
}

/// What surrounds a value.
#[derive(Clone, Copy)]
struct Place {
    /// Of the block it is in: what is indented further belongs to it.
    indentation: Option<usize>,
    /// Where the next value begins, or what is around it ends.
    until: usize,
}

/// A key, except in a sequence, and its value.
type Pair<'n> = (Option<&'n Node>, &'n Node);

impl<'a> Attacher<'a> {
    /// Returns a value with its comments, and those that have no place in it; those of `within` stand above its first member.
    fn value(&mut self, node: &Node, within: Vec<Comment>, place: Place) -> (Item, Vec<Comment>) {
        let is_literal = matches!(node.content, Content::Scalar { style: Style::Literal | Style::Folded, .. });
        let is_there = node.span.start < node.span.end;
        if node.alias.is_none() && is_literal {
            // It ends with its line.
            self.end = usize::MAX;
        } else if is_there && !is_block(node) {
            self.end = node.span.end;
        }
        if let Some(alias) = &node.alias {
            return (Item::of(Kind::Alias(alias.to_string())), within);
        }
        let (kind, stray) = match &node.content {
            Content::Scalar { .. } => (Kind::Scalar(Scalar::of(node, self.text)), within),
            Content::Mapping { entries, flow } => {
                let pairs: Vec<_> = entries.iter().map(|entry| (Some(&entry.key), &entry.value)).collect();
                let (collection, stray) = self.collection(&pairs, node.span, *flow, within, place);
                (Kind::Mapping(collection), stray)
            }
            Content::Sequence { items, flow } => {
                let pairs: Vec<_> = items.iter().map(|item| (None, item)).collect();
                let (collection, stray) = self.collection(&pairs, node.span, *flow, within, place);
                (Kind::Sequence(collection), stray)
            }
        };
        (Item { properties: properties(node), kind }, stray)
    }

    fn collection(
        &mut self,
        nodes: &[Pair<'_>],
        span: Span,
        flow: bool,
        mut within: Vec<Comment>,
        place: Place,
    ) -> (Collection, Vec<Comment>) {
        // The bracket that closes it comes before whatever is next.
        let until = if flow { span.end.saturating_sub(1) } else { place.until };
        let indentation = if flow { None } else { self.indentation(span, nodes, place) };
        let mut collection = Collection { flow, ..Collection::default() };
        let mut start = match nodes.first() {
            Some((Some(key), _)) => key.span.start,
            Some((None, item)) if flow => item.span.start,
            _ => span.start,
        };
        for (index, pair) in nodes.iter().enumerate() {
            let next = nodes.get(index + 1).map_or(until, |next| self.start(pair, next, flow));
            let place = Place { indentation, until: next };
            collection.members.push(self.member(*pair, start, std::mem::take(&mut within), place));
            start = next;
        }
        within.extend(if flow { self.take(until) } else { self.indented(place) });
        if collection.members.is_empty() {
            return (collection, within);
        }
        collection.foot = within;
        split_head(&mut collection);
        (collection, Vec::new())
    }

    /// Returns an entry or an item that begins at `start`.
    fn member(&mut self, (key, value): Pair<'_>, start: usize, mut above: Vec<Comment>, place: Place) -> Member {
        let blank = self.is_blank_above(start);
        let (mut beside, mut within) = (Vec::new(), Vec::new());
        above.extend(self.take(start));
        let key = key.map(|key| (self.value(key, Vec::new(), place).0, key.span.end));
        let line = self.line(key.as_ref().map_or(start, |(_, end)| *end));
        let is_block = is_block(value);
        // Its first member begins on the line of the dash.
        let is_compact = is_block && key.is_none() && value.anchor.is_none() && value.tag.is_none();
        for comment in self.pending(first(value)) {
            let has_room = comment.trailing && !is_compact && (!is_block || self.line(comment.span.start) == line);
            if has_room { beside.push(comment.text.to_string()) } else { within.push(self.own(comment)) }
        }
        let (item, stray) = self.value(value, within, place);
        above.extend(stray);
        let end = key.as_ref().map_or(0, |(_, end)| *end).max(value.span.end);
        if !matches!(value.content, Content::Scalar { style: Style::Literal | Style::Folded, .. }) {
            beside.extend(self.beside(end, place.until));
        }
        let last = beside.pop();
        above.extend(beside.into_iter().map(|text| Comment { text, blank: false }));
        Member { above, blank, key: key.map(|(key, _)| key), value: item, beside: last }
    }

    fn pending(&mut self, until: usize) -> &'a [yaml::Comment] {
        let (taken, rest) = self.comments.split_at(self.comments.partition_point(|comment| comment.span.start < until));
        self.comments = rest;
        taken
    }

    fn take(&mut self, until: usize) -> Vec<Comment> {
        self.pending(until).iter().map(|comment| self.own(comment)).collect()
    }

    /// Takes the comments below a block that are indented further than what is around it.
    fn indented(&mut self, place: Place) -> Vec<Comment> {
        let is_within = |comment: &yaml::Comment| {
            let further = place.indentation.is_none_or(|indentation| self.column(comment.span.start) > indentation);
            comment.span.start < place.until && !comment.trailing && further
        };
        let count = self.comments.iter().take_while(|comment| is_within(comment)).count();
        let (taken, rest) = self.comments.split_at(count);
        self.comments = rest;
        taken.iter().map(|comment| self.own(comment)).collect()
    }

    /// Takes the comment that follows on the line where something ends.
    fn beside(&mut self, end: usize, until: usize) -> Option<String> {
        let (comment, rest) = self.comments.split_first()?;
        let follows = comment.trailing && (end..until).contains(&comment.span.start);
        if !follows || self.text[end..comment.span.start].contains('\n') {
            return None;
        }
        self.comments = rest;
        Some(comment.text.to_string())
    }

    fn own(&self, comment: &yaml::Comment) -> Comment {
        Comment { text: comment.text.to_string(), blank: self.is_blank_above(comment.span.start) }
    }

    /// Returns where a pair begins that follows another one: at its key, or at its dash.
    fn start(&self, (_, before): &Pair<'_>, (key, value): &Pair<'_>, flow: bool) -> usize {
        let start = key.unwrap_or(value).span.start;
        if flow || key.is_some() {
            return start;
        }
        let mut between = self.text.get(before.span.end..start).unwrap_or_default();
        loop {
            between = between.trim_start();
            if !between.starts_with('#') {
                return start - between.len();
            }
            between = between.split_once('\n').map_or("", |(_, rest)| rest);
        }
    }

    /// Returns the column of a block's keys or dashes.
    fn indentation(&self, span: Span, nodes: &[Pair<'_>], place: Place) -> Option<usize> {
        match nodes.first() {
            Some((Some(key), _)) => Some(self.column(key.span.start)),
            // A span does not begin with its dash if that stands right below the key.
            Some((None, item)) if item.span.start == span.start || !self.text[span.start..].starts_with('-') => place.indentation,
            _ => Some(self.column(span.start)),
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    fn column(&self, offset: usize) -> usize {
        offset - self.starts[self.line(offset)]
    }

    fn is_blank_above(&self, offset: usize) -> bool {
        let line = self.line(offset);
        line > 0 && self.text[self.starts[line - 1]..self.starts[line]].trim().is_empty()
    }
}

fn is_block(value: &Node) -> bool {
    value.alias.is_none() && matches!(value.content, Content::Sequence { flow: false, .. } | Content::Mapping { flow: false, .. })
}

/// Returns where the first token of a value's content stands; of an empty value, before all.
fn first(value: &Node) -> usize {
    if value.alias.is_some() {
        return value.span.start;
    }
    match &value.content {
        Content::Scalar { style: Style::Plain, .. } if value.span.start == value.span.end => 0,
        // A comment within such a text's span stands beside its indicator.
        Content::Scalar { style: Style::Literal | Style::Folded, .. } => value.span.end,
        Content::Scalar { .. } | Content::Sequence { flow: false, .. } => value.span.start,
        Content::Sequence { items, .. } => items.first().map_or(value.span.end, |item| item.span.start),
        Content::Mapping { entries, .. } => entries.first().map_or(value.span.end, |entry| entry.key.span.start),
    }
}

/// Parts comments about the whole from those above the first member: an empty line stands between.
fn split_head(collection: &mut Collection) {
    let Some(first) = collection.members.first_mut() else { return };
    let parted = if first.blank { Some(first.above.len()) } else { first.above.iter().rposition(|comment| comment.blank) };
    let rest = first.above.split_off(parted.unwrap_or(0));
    collection.head = std::mem::replace(&mut first.above, rest);
}

fn properties(node: &Node) -> String {
    let anchor = node.anchor.as_ref().map(|anchor| format!("&{anchor}"));
    let tag = node.tag.as_ref().map(ToString::to_string);
    anchor.into_iter().chain(tag).collect::<Vec<_>>().join(" ")
}
