//! YAML text as a tree of nodes that know their places, and its comments.
//!
//! ```text
//!  text ──granit-parser──▶ events ──build──▶ Node ──▶ read (the manifest), format, compose
//! ```
//!
//! Scalars are kept as they stand; what they mean is the reader's business. Aliases are replaced by copies of what they name,
//! within a budget, and remember their name. JSON is read by the same rules: it is a subset of YAML 1.2.

mod build;
mod faults;
mod keys;
mod lines;
mod path;
mod plain;
mod weight;

pub use build::{MAX_BYTES, MAX_DEPTH, MAX_NODES, parse, parse_without_comments};
pub use lines::{Lines, Position};
pub use path::Path;
pub(crate) use path::Steps;
pub use plain::Plain;

/// A document: its root, and the comments in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// `None` when there is nothing but comments.
    pub root: Option<Node>,
    pub comments: Vec<Comment>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it stands; of an alias, where the alias stands.
    pub span: Span,
    pub content: Content,
    /// What few have: apart, so that the many are small.
    pub marks: Option<Box<Marks>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Marks {
    /// `name` of `&name`.
    pub anchor: Option<Box<str>>,
    /// `name` of `*name`, of which the content is a copy.
    pub alias: Option<Box<str>>,
    /// A tag as it was written, such as `!!binary`.
    pub tag: Option<Box<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    Scalar { text: Box<str>, style: Style },
    Sequence { items: Vec<Node>, flow: bool },
    Mapping { entries: Vec<Entry>, flow: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: Node,
    pub value: Node,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may be a text, a number, `true`, nothing.
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// Bytes of the text from `start` up to `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A comment with its `#`, without its line's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    pub span: Span,
    pub text: Box<str>,
    /// It follows something on its line.
    pub trailing: bool,
}

/// Why a text is no YAML that is read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub span: Span,
    pub message: String,
    pub fix: Option<&'static str>,
    /// An earlier place that has to do with it: the first of two equal keys.
    pub earlier: Option<Span>,
}

/// Longest text of a user's that is repeated in a message, in characters.
const SHOWN_MAX: usize = 60;

/// Returns a text of the user's cut to what fits in a message, with nothing in it that could steer a terminal.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars().take(SHOWN_MAX) {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns a text of the user's in backquotes; one that is empty, in words.
pub(crate) fn quoted(text: &str) -> String {
    if text.is_empty() { "an empty text".to_owned() } else { format!("`{}`", shown(text)) }
}

impl Node {
    /// Returns the text of a scalar, whatever its style.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    pub fn anchor(&self) -> Option<&str> {
        self.marks.as_ref()?.anchor.as_deref()
    }

    pub fn alias(&self) -> Option<&str> {
        self.marks.as_ref()?.alias.as_deref()
    }

    pub fn tag(&self) -> Option<&str> {
        self.marks.as_ref()?.tag.as_deref()
    }

    pub fn entries(&self) -> &[Entry] {
        match &self.content {
            Content::Mapping { entries, .. } => entries,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::Sequence { items, .. } => items,
            _ => &[],
        }
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key.text() == Some(key)).map(|entry| &entry.value)
    }

    /// Returns what a scalar without quotes means; `None` for all else.
    pub fn plain(&self) -> Option<Plain<'_>> {
        match &self.content {
            Content::Scalar { text, style: Style::Plain } => Some(Plain::of(text)),
            _ => None,
        }
    }

    /// It is there and says nothing: an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.plain() == Some(Plain::Null)
    }
}

impl Span {
    pub fn contains(&self, offset: usize) -> bool {
        self.start <= offset && offset < self.end
    }
}
