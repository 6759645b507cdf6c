//! Builds the tree from the parser's events, within a budget of depth and nodes.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, StrInput, StructureStyle, Tag, options};

use super::keys::Keys;
use super::weight::Weight;
use super::{Comment, Content, Document, Entry, Fault, Marks, Node, Span, Style, faults, quoted};

/// Longest text that is read.
pub const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 32;
/// Most nodes that are read, with the copies that are made for anchors and aliases: it is what ends an alias bomb.
pub const MAX_NODES: usize = 150_000;
/// Most anchors that are read.
const MAX_ANCHORS: usize = 1000;
/// Most bytes of text in such copies.
const MAX_COPIED_BYTES: usize = 4 << 20;

/// Reads a text of one document.
pub fn parse(text: &str) -> Result<Document, Fault> {
    read(text, true)
}

/// Reads a text of one document for its values alone, which is faster.
pub fn parse_without_comments(text: &str) -> Result<Document, Fault> {
    read(text, false)
}

fn read(text: &str, comments: bool) -> Result<Document, Fault> {
    if text.len() > MAX_BYTES {
        return Err(fault(Span::default(), format!("the text has {} bytes; at most {MAX_BYTES} are read", text.len())));
    }
    Builder::new(text, comments).document()
}

fn fault(span: Span, message: impl Into<String>) -> Fault {
    Fault { span, message: message.into(), fix: None, earlier: None }
}

fn too_deep(span: Span) -> Fault {
    fault(span, format!("this is nested deeper than {MAX_DEPTH} levels"))
}

/// Nesting is refused here, at a place and in words of ours, before the parser's own bounds are reached.
fn options(comments: bool) -> Options {
    options! {
        emit_comments: comments,
        disallow_directives: true,
        emit_anchor_events: true,
        flow_nesting_limit: 2 * MAX_DEPTH,
        block_nesting_limit: 2 * MAX_DEPTH,
        max_buffered_comment_events: 10_000,
    }
}

struct Builder<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    comments: Vec<Comment>,
    anchors: HashMap<usize, Node>,
    /// Anchors of nodes that are not complete yet.
    open: HashMap<usize, Box<str>>,
    weight: Weight,
}

type Item<'a> = (Event<'a>, Span);

impl<'a> Builder<'a> {
    fn new(text: &'a str, comments: bool) -> Builder<'a> {
        let parser = Parser::new_from_str_with_options(text, options(comments));
        Builder { text, parser, comments: Vec::new(), anchors: HashMap::new(), open: HashMap::new(), weight: Weight::default() }
    }

    fn document(mut self) -> Result<Document, Fault> {
        let mut root = None;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(Document { root, comments: self.comments }),
                Event::DocumentStart(..) if documents > 0 => {
                    return Err(Fault {
                        fix: Some("put each document into a file of its own"),
                        ..fault(span, "a second document begins here")
                    });
                }
                Event::DocumentStart(..) => documents += 1,
                Event::StreamStart | Event::DocumentEnd => {}
                event => root = Some(self.node((event, span), 0)?),
            }
        }
    }

    /// Returns the next event that is no comment; comments are put aside.
    fn next(&mut self) -> Result<Item<'a>, Fault> {
        loop {
            let Some(next) = self.parser.next_event() else { return Ok((Event::StreamEnd, Span::default())) };
            let (event, span) = next.map_err(|error| self.scan_error(&error))?;
            let span = self.span(&span);
            match event {
                Event::Comment(..) => self.comment(span),
                event => return Ok((event, span)),
            }
        }
    }

    fn comment(&mut self, span: Span) {
        let line = self.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let trailing = !self.text[line..span.start].trim_start_matches('\u{feff}').trim().is_empty();
        self.comments.push(Comment { span, text: self.text[span.start..span.end].trim_end().into(), trailing });
    }

    fn span(&self, span: &granit_parser::Span) -> Span {
        let at = |marker: &granit_parser::Marker| marker.byte_offset().unwrap_or_default().min(self.text.len());
        let (start, end) = (at(&span.start), at(&span.end));
        Span { start, end: end.max(start) }
    }

    fn scan_error(&self, error: &ScanError) -> Fault {
        let fault = faults::of(self.text, error);
        if matches!(error.kind(), ErrorKind::RecursionLimitExceeded) { too_deep(fault.span) } else { fault }
    }

    fn node(&mut self, (event, span): Item<'a>, depth: usize) -> Result<Node, Fault> {
        if depth > MAX_DEPTH {
            return Err(too_deep(span));
        }
        self.count(Weight { nodes: 1, bytes: 0 }, span)?;
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content = Content::Scalar { text: text.into(), style: self::style(style) };
                let name = self.anchor(anchor)?;
                self.done(anchor, name, span, content, tag)
            }
            Event::SequenceStart(style, anchor, tag) => {
                let name = self.anchor(anchor)?;
                let (items, end) = self.items(depth)?;
                let span = Span { end: end.max(span.start), ..span };
                self.done(anchor, name, span, Content::Sequence { items, flow: style == StructureStyle::Flow }, tag)
            }
            Event::MappingStart(style, anchor, tag) => {
                let name = self.anchor(anchor)?;
                let (entries, end) = self.entries(depth)?;
                let span = Span { end: end.max(span.start), ..span };
                self.done(anchor, name, span, Content::Mapping { entries, flow: style == StructureStyle::Flow }, tag)
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            _ => Err(fault(span, "a value belongs here")),
        }
    }

    fn items(&mut self, depth: usize) -> Result<(Vec<Node>, usize), Fault> {
        let mut items = Vec::new();
        let mut last = 0;
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => {
                    // Room for four is made for the first one, and most lists are short.
                    items.shrink_to_fit();
                    return Ok((items, self.end(span, last)));
                }
                item => items.push(self.node(item, depth + 1)?),
            }
            last = items.last().map_or(0, |item| item.span.end);
        }
    }

    fn entries(&mut self, depth: usize) -> Result<(Vec<Entry>, usize), Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut keys = Keys::default();
        let mut last = 0;
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, span) => {
                    entries.shrink_to_fit();
                    return Ok((entries, self.end(span, last)));
                }
                item => self.node(item, depth + 1)?,
            };
            let Some(name) = key.text() else {
                return Err(self.no_key(key.span));
            };
            if let Some(earlier) = keys.earlier(&entries, name) {
                let message = format!("the key {} is there twice", quoted(name));
                return Err(Fault { earlier: Some(earlier), fix: Some("keep one of the two"), ..fault(key.span, message) });
            }
            let item = self.next()?;
            let value = self.node(item, depth + 1)?;
            last = value.span.end.max(key.span.end);
            entries.push(Entry { key, value });
        }
    }

    /// A key is a list or a mapping; most often it is what others call a template.
    fn no_key(&self, span: Span) -> Fault {
        let (message, fix) = match self.text[..span.start].ends_with('{') && self.text[span.start..].starts_with('{') {
            true => (
                "there is no templating: `{{ … }}` stands for nothing",
                "write the value itself, or put a text with braces in quotes",
            ),
            false => ("a key is a text, not a list or a mapping", "put a text that begins with a bracket in quotes"),
        };
        Fault { fix: Some(fix), ..fault(span, message) }
    }

    /// A block ends where its last child does, not at the next token.
    fn end(&self, span: Span, last: usize) -> usize {
        let closes = self.text[span.start..span.end].ends_with([']', '}']);
        if closes || last == 0 { span.end } else { last }
    }

    /// Reads the event that follows an anchored node and names its anchor.
    fn anchor(&mut self, id: usize) -> Result<Option<Box<str>>, Fault> {
        if id == 0 {
            return Ok(None);
        }
        let name: Box<str> = match self.next()? {
            (Event::Anchor(_, name), _) => name.into(),
            (_, span) => return Err(fault(span, "an anchor has no name")),
        };
        self.open.insert(id, name.clone());
        Ok(Some(name))
    }

    fn done(
        &mut self,
        id: usize,
        name: Option<Box<str>>,
        span: Span,
        content: Content,
        tag: Option<Cow<'_, Tag>>,
    ) -> Result<Node, Fault> {
        let marks = tag.map(|tag| Box::new(Marks { tag: Some(tag.original().into()), ..Marks::default() }));
        let node = Node { span, content, marks };
        let Some(name) = name else { return Ok(node) };
        self.open.remove(&id);
        if self.anchors.len() >= MAX_ANCHORS {
            return Err(fault(span, format!("there are more than {MAX_ANCHORS} anchors")));
        }
        self.count(Weight::of(&node), span)?;
        let marks = node.marks.as_deref().cloned().unwrap_or_default();
        let copy = Marks { alias: Some(name.clone()), ..marks.clone() };
        self.anchors.insert(id, Node { marks: Some(Box::new(copy)), ..node.clone() });
        Ok(Node { marks: Some(Box::new(Marks { anchor: Some(name), ..marks })), ..node })
    }

    fn alias(&mut self, id: usize, span: Span) -> Result<Node, Fault> {
        if let Some(name) = self.open.get(&id) {
            let message = format!("`*{name}` stands inside what it names");
            return Err(Fault { fix: Some("write the value itself"), ..fault(span, message) });
        }
        let Some(weight) = self.anchors.get(&id).map(Weight::of) else {
            return Err(fault(span, "this alias names nothing"));
        };
        self.count(weight, span)?;
        Ok(Node { span, ..self.anchors[&id].clone() })
    }

    fn count(&mut self, more: Weight, span: Span) -> Result<(), Fault> {
        self.weight.add(more);
        if self.weight.nodes > MAX_NODES {
            return Err(fault(span, format!("this makes more than {MAX_NODES} values, counting those that aliases stand for")));
        }
        if self.weight.bytes > MAX_COPIED_BYTES {
            return Err(fault(
                span,
                format!("this makes more than {MAX_COPIED_BYTES} bytes of the texts that aliases stand for"),
            ));
        }
        Ok(())
    }
}

fn style(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted => Style::SingleQuoted,
        ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match parse(text) {
            Ok(document) => document.root.map(|root| show(&root)).unwrap_or_default(),
            Err(fault) => format!("{}..{} {}", fault.span.start, fault.span.end, fault.message),
        }
    }

    fn show(node: &Node) -> String {
        match &node.content {
            Content::Scalar { text, .. } => text.to_string(),
            Content::Sequence { items, .. } => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Content::Mapping { entries, .. } => {
                let entries = entries.iter().map(|entry| format!("{}={}", show(&entry.key), show(&entry.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn a_tree_is_built_and_aliases_are_copies() {
        assert_eq!(shown("a: [1, x]\nb: {c: 'd'}\n"), "{a=[1 x] b={c=d}}");
        assert_eq!(shown("a: &x [1, 2]\nb: *x"), "{a=[1 2] b=[1 2]}");
        assert_eq!(shown("# nothing\n"), "");
    }

    #[test]
    fn blocks_end_with_their_last_child() {
        let text = "a:\n  b: 1\n  c: 2\n\n# end\nd: [1,\n 2]\n";
        let root = parse(text).unwrap().root.unwrap();
        let part = |key: &str| root.get(key).map(|node| &text[node.span.start..node.span.end]).unwrap();
        assert_eq!((part("a"), part("d")), ("b: 1\n  c: 2", "[1,\n 2]"));
    }

    #[test]
    fn comments_are_kept_with_their_places() {
        let document = parse("# top\na: 1 # right\nb: 2\n# last\n").unwrap();
        let found: Vec<_> = document.comments.iter().map(|comment| (&*comment.text, comment.trailing)).collect();
        assert_eq!(found, [("# top", false), ("# right", true), ("# last", false)]);
    }

    #[test]
    fn what_is_not_read_is_said() {
        assert_eq!(shown("a: 1\na: 2"), "5..6 the key `a` is there twice");
        assert_eq!(shown("a: 1\n---\nb: 2"), "5..8 a second document begins here");
        assert_eq!(shown("&a [*a]"), "4..6 `*a` stands inside what it names");
        assert_eq!(shown("{[1]: 2}"), "1..4 a key is a text, not a list or a mapping");
        assert_eq!(shown(&"[".repeat(100_000)), "64..65 this is nested deeper than 32 levels");
    }

    #[test]
    fn bombs_end_within_the_budget() {
        let mut text = String::from("a0: &a0 [x]\n");
        for i in 1..60 {
            text.push_str(&format!("a{i}: &a{i} [{}]\n", format!("*a{}, ", i - 1).repeat(9)));
        }
        assert!(shown(&text).contains("more than 150000 values"), "{}", shown(&text));
    }
}
