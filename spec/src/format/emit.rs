//! Writes values in the canonical form.

use super::item::{Collection, Comment, Item, Kind, Member};

/// Longest line that brackets make, in characters.
const LINE_MAX: usize = 100;
/// Spaces for each level.
const STEP: usize = 2;
/// Longest key that YAML takes without a `?` before it (YAML 1.2.2, section 7.4.2), with room for quotes and escapes.
const KEY_MAX: usize = 1000;

/// Returns the text of a document.
pub(super) fn emit(root: &Item) -> String {
    let mut emitter = Emitter { text: String::new(), joined: true };
    if !root.properties.is_empty() {
        emitter.text = format!("{}\n", root.properties);
    }
    match root.collection() {
        Some(collection) if !collection.members.is_empty() => emitter.block(collection, 0),
        Some(collection) => {
            emitter.comments(&collection.head, 0);
            emitter.text.push_str("{}");
            emitter.end(None);
            emitter.comments(&collection.foot, 0);
        }
        None => {}
    }
    emitter.text
}

struct Emitter {
    text: String,
    /// No empty line may come next: a block has just begun, or empty lines would be part of a text.
    joined: bool,
}

impl Emitter {
    /// Writes a collection on lines of its own.
    fn block(&mut self, collection: &Collection, indentation: usize) {
        self.joined = true;
        self.comments(&collection.head, indentation);
        for (index, member) in collection.members.iter().enumerate() {
            self.above(member, indentation, index == 0 && !collection.head.is_empty());
            self.indent(indentation);
            self.member(member, indentation);
        }
        self.comments(&collection.foot, indentation);
    }

    /// Writes a collection that begins on the line of a dash; what stands above its first member has been written.
    fn compact(&mut self, collection: &Collection, indentation: usize) {
        for (index, member) in collection.members.iter().enumerate() {
            if index > 0 {
                self.above(member, indentation, false);
                self.indent(indentation);
            }
            self.member(member, indentation);
        }
        self.comments(&collection.foot, indentation);
    }

    /// Writes what stands above a member, that of first members which begin on its line included.
    fn above(&mut self, mut member: &Member, indentation: usize, apart: bool) {
        if apart {
            self.blank();
        }
        self.comments(&member.above, indentation);
        if member.blank {
            self.blank();
        }
        let mut column = indentation;
        while let Some(collection) = beginning(member, column) {
            if let Some(text) = &member.beside {
                self.comment(text, indentation);
            }
            self.comments(&collection.head, indentation);
            member = &collection.members[0];
            self.comments(&member.above, indentation);
            column += STEP;
        }
    }

    fn member(&mut self, member: &Member, indentation: usize) {
        match &member.key {
            Some(key) => self.key(key, indentation),
            None => self.text.push('-'),
        }
        if let Some(collection) = beginning(member, indentation) {
            self.text.push(' ');
            return self.compact(collection, indentation + STEP);
        }
        self.word(&member.value.properties);
        match &member.value.kind {
            Kind::Alias(name) => self.word(&format!("*{name}")),
            Kind::Scalar(scalar) => match (scalar.inline(false), scalar.block()) {
                (_, Some((indicator, lines))) => return self.lines(&indicator, &lines, member, indentation),
                (text, None) => self.word(&text.unwrap_or_default()),
            },
            Kind::Mapping(collection) | Kind::Sequence(collection) => match flat(&member.value, self.column() + 1) {
                Some(text) => self.word(&text),
                None => {
                    self.end(member.beside.as_deref());
                    return self.block(collection, indentation + STEP);
                }
            },
        }
        self.end(member.beside.as_deref());
    }

    fn key(&mut self, key: &Item, indentation: usize) {
        let text = name(key, false);
        if text.len() > KEY_MAX {
            self.text.push_str("? ");
            self.text.push_str(&text);
            self.text.push('\n');
            self.indent(indentation);
        } else {
            self.text.push_str(&text);
        }
        self.text.push(':');
    }

    /// Writes a scalar that has lines of its own.
    fn lines(&mut self, indicator: &str, lines: &[&str], member: &Member, indentation: usize) {
        self.word(indicator);
        self.end(member.beside.as_deref());
        for line in lines {
            if !line.is_empty() {
                self.indent(indentation + STEP);
            }
            self.text.push_str(line);
            self.text.push('\n');
        }
        self.joined = indicator.ends_with('+') || lines.last().is_some_and(|line| line.trim().is_empty());
    }

    fn comments(&mut self, comments: &[Comment], indentation: usize) {
        for comment in comments {
            if comment.blank {
                self.blank();
            }
            self.comment(&comment.text, indentation);
        }
    }

    fn comment(&mut self, text: &str, indentation: usize) {
        self.indent(indentation);
        self.text.push_str(text);
        self.end(None);
    }

    fn blank(&mut self) {
        if !self.joined {
            self.text.push('\n');
            self.joined = true;
        }
    }

    fn indent(&mut self, indentation: usize) {
        self.text.extend(std::iter::repeat_n(' ', indentation));
    }

    fn word(&mut self, word: &str) {
        if !word.is_empty() {
            self.text.push(' ');
            self.text.push_str(word);
        }
    }

    fn end(&mut self, beside: Option<&str>) {
        self.word(beside.unwrap_or_default());
        self.text.push('\n');
        self.joined = false;
    }

    fn column(&self) -> usize {
        let line = self.text.rfind('\n').map_or(0, |at| at + 1);
        self.text[line..].chars().count()
    }
}

/// Returns the collection that begins on the line of its dash.
fn beginning(member: &Member, indentation: usize) -> Option<&Collection> {
    let item = &member.value;
    let collection = item.collection().filter(|_| member.key.is_none() && item.properties.is_empty())?;
    flat(item, indentation + STEP).is_none().then_some(collection)
}

/// Returns a collection in brackets, if it may stand so and fits in the line from `column` on.
fn flat(item: &Item, column: usize) -> Option<String> {
    let collection = item.collection()?;
    let may = collection.members.is_empty() || (collection.flow && !collection.has_comments());
    let mut text = String::new();
    (may && put_flat(item, LINE_MAX.saturating_sub(column), &mut text)).then_some(text)
}

/// Adds a collection in brackets, and returns whether that could be done within `most` characters.
fn put_flat(item: &Item, most: usize, text: &mut String) -> bool {
    let (collection, open, close) = match &item.kind {
        Kind::Mapping(collection) => (collection, '{', '}'),
        Kind::Sequence(collection) => (collection, '[', ']'),
        _ => {
            return one_line(item, true).is_some_and(|word| {
                text.push_str(&word);
                text.chars().count() <= most
            });
        }
    };
    text.push(open);
    for (index, member) in collection.members.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if let Some(key) = &member.key {
            text.push_str(&name(key, true));
            text.push_str(": ");
        }
        if member.value.collection().is_some() && !member.value.properties.is_empty() {
            text.push_str(&member.value.properties);
            text.push(' ');
        }
        if !put_flat(&member.value, most, text) {
            return false;
        }
    }
    text.push(close);
    collection.members.is_empty() || text.chars().count() <= most
}

/// Returns a key up to its colon, of which a space parts what could take it for its own.
fn name(key: &Item, flow: bool) -> String {
    let text = match &key.kind {
        Kind::Scalar(scalar) => join(&key.properties, &scalar.key(flow)),
        _ => one_line(key, flow).unwrap_or_default(),
    };
    let parted = matches!(key.kind, Kind::Alias(_)) || (!text.is_empty() && text == key.properties);
    if parted { text + " " } else { text }
}

/// Returns a value that is no collection as part of a line, with its properties; `None` for one that cannot be part of this line.
fn one_line(item: &Item, flow: bool) -> Option<String> {
    let word = match &item.kind {
        Kind::Alias(name) => format!("*{name}"),
        Kind::Scalar(scalar) => scalar.inline(flow)?,
        Kind::Mapping(_) | Kind::Sequence(_) => return None,
    };
    Some(join(&item.properties, &word))
}

fn join(properties: &str, word: &str) -> String {
    [properties, word].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
