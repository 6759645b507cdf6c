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

mod layout;

use super::item::{Collection, Comment, Item, Kind, Member};
use super::scalar::Scalar;
use crate::yaml::{self, Content, Node, Span, Style};
use layout::Layout;

/// Returns the root with all comments.
pub(super) fn attach(text: &str, root: &Node, comments: &[yaml::Comment]) -> Item {
    let mut attacher = Attacher { text, layout: Layout::of(text), comments, end: Some(0) };
    let (mut item, stray) = attacher.value(root, Vec::new(), Place { indentation: None, until: text.len() });
    if let Kind::Mapping(collection) | Kind::Sequence(collection) = &mut item.kind {
        collection.head.splice(0..0, stray);
        collection.flow = false;
        collection.foot.extend(attacher.take(usize::MAX));
    }
    keep_on_top(&mut item);
    item
}

struct Attacher<'a> {
    text: &'a str,
    layout: Layout<'a>,
    /// Those that belong to nothing yet.
    comments: &'a [yaml::Comment],
    /// Where the last key, dash or value ended, if more may stand on its line.
    end: Option<usize>,
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
        if let Some(alias) = node.alias() {
            self.end = Some(node.span.end);
            return (Item::of(Kind::Alias(alias.to_string())), within);
        }
        let (kind, stray) = match &node.content {
            Content::Scalar { style, .. } => {
                match style {
                    Style::Literal | Style::Folded => self.end = None,
                    // The span of one that is not there is anywhere.
                    Style::Plain if node.span.start == node.span.end => {}
                    _ => self.end = Some(node.span.end),
                }
                (Kind::Scalar(Scalar::of(node, self.text)), within)
            }
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
        pairs: &[Pair<'_>],
        span: Span,
        flow: bool,
        mut within: Vec<Comment>,
        place: Place,
    ) -> (Collection, Vec<Comment>) {
        // The bracket that closes it comes before whatever is next.
        let until = if flow { span.end.saturating_sub(1) } else { place.until };
        let starts = self.starts(pairs, span, flow, place);
        let indentation = starts.first().filter(|_| !flow).map(|start| self.layout.column(*start));
        let mut collection = Collection { flow, ..Collection::default() };
        for (index, pair) in pairs.iter().enumerate() {
            let place = Place { indentation, until: starts.get(index + 1).copied().unwrap_or(until) };
            collection.members.push(self.member(*pair, starts[index], std::mem::take(&mut within), place));
        }
        if flow {
            within.extend(self.take(until));
            self.end = Some(span.end);
        } else {
            within.extend(self.indented(place));
        }
        if collection.members.is_empty() {
            return (collection, within);
        }
        collection.foot = within;
        split_head(&mut collection);
        (collection, Vec::new())
    }

    /// Returns where the members of a collection begin: at their keys, or at their dashes.
    fn starts(&self, pairs: &[Pair<'_>], span: Span, flow: bool, place: Place) -> Vec<usize> {
        let opening = |(key, value): &Pair<'_>| self.layout.opening(key.unwrap_or(value));
        let mut starts: Vec<usize> = pairs.iter().map(opening).collect();
        if let (Some((None, item)), false) = (pairs.first(), flow) {
            // A span does not begin with its dash if that stands right below the key.
            let is_dash = item.span.start > span.start && self.text[span.start..].starts_with('-');
            let column = if is_dash { self.layout.column(span.start) } else { place.indentation.unwrap_or(0) };
            let mut line = self.layout.line(if is_dash { span.start } else { self.end.unwrap_or(span.start) });
            for start in &mut starts {
                *start = self.layout.dash(line, column, *start);
                line = self.layout.line(*start) + 1;
            }
            if is_dash {
                starts[0] = span.start;
            }
        }
        starts
    }

    /// Returns an entry or an item that begins at `start`.
    fn member(&mut self, (key, value): Pair<'_>, start: usize, mut above: Vec<Comment>, place: Place) -> Member {
        let blank = self.layout.is_blank_above(start);
        let (mut beside, mut within) = (Vec::new(), Vec::new());
        above.extend(self.take(start));
        self.end = Some(start + 1);
        let key = key.map(|key| {
            self.end = Some(key.span.end.max(start));
            self.value(key, Vec::new(), place).0
        });
        let line = self.layout.line(self.end.unwrap_or(start));
        // The first member of such a block begins on the line of the dash.
        let is_compact = is_block(value) && key.is_none() && value.anchor().is_none() && value.tag().is_none();
        for comment in self.pending(first(value)) {
            let is_near = !is_block(value) || self.layout.line(comment.span.start) == line;
            let has_room = comment.trailing && !is_compact && is_near;
            if has_room { beside.push(comment.text.to_string()) } else { within.push(self.own(comment)) }
        }
        let (value, stray) = self.value(value, within, place);
        above.extend(stray);
        beside.extend(self.beside(place.until));
        let last = beside.pop();
        above.extend(beside.into_iter().map(|text| Comment { text, blank: false }));
        Member { above, blank, key, value, beside: last }
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
            let further = place.indentation.is_none_or(|indentation| self.layout.column(comment.span.start) > indentation);
            comment.span.start < place.until && !comment.trailing && further
        };
        let count = self.comments.iter().take_while(|comment| is_within(comment)).count();
        let (taken, rest) = self.comments.split_at(count);
        self.comments = rest;
        taken.iter().map(|comment| self.own(comment)).collect()
    }

    /// Takes the comment that follows on the line where the last value ended.
    fn beside(&mut self, until: usize) -> Option<String> {
        let (comment, rest) = self.comments.split_first()?;
        let follows = comment.trailing && (self.end?..until).contains(&comment.span.start);
        if !follows || self.text[self.end?..comment.span.start].contains('\n') {
            return None;
        }
        self.comments = rest;
        Some(comment.text.to_string())
    }

    fn own(&self, comment: &yaml::Comment) -> Comment {
        Comment { text: comment.text.to_string(), blank: self.layout.is_blank_above(comment.span.start) }
    }
}

fn is_block(value: &Node) -> bool {
    value.alias().is_none()
        && matches!(value.content, Content::Sequence { flow: false, .. } | Content::Mapping { flow: false, .. })
}

/// Returns where the first token of a value's content stands; of an empty value, before all.
fn first(value: &Node) -> usize {
    if value.alias().is_some() {
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

/// What stands at the very top is about the file, and stays there when another field comes first.
pub(super) fn keep_on_top(root: &mut Item) {
    let (Kind::Mapping(root) | Kind::Sequence(root)) = &mut root.kind else { return };
    let Some(first) = root.members.first_mut() else { return };
    let is_version = first.key.as_ref().is_some_and(|key| key.text() == Some("version"));
    // Below an empty line it is about the first field.
    if !is_version && root.head.is_empty() {
        root.head.append(&mut first.above);
    }
}

/// Parts comments about the whole from those above the first member: an empty line stands between.
fn split_head(collection: &mut Collection) {
    let Some(first) = collection.members.first_mut() else { return };
    let parted = if first.blank { Some(first.above.len()) } else { first.above.iter().rposition(|comment| comment.blank) };
    let rest = first.above.split_off(parted.unwrap_or(0));
    collection.head = std::mem::replace(&mut first.above, rest);
    // An empty line at the beginning is none wherever the member goes.
    first.blank = false;
    if let Some(comment) = first.above.first_mut() {
        comment.blank = false;
    }
}

fn properties(node: &Node) -> String {
    let anchor = node.anchor().map(|anchor| format!("&{anchor}"));
    let tag = node.tag().map(str::to_owned);
    anchor.into_iter().chain(tag).collect::<Vec<_>>().join(" ")
}
