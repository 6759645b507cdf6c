//! From a document to a typed manifest, by the shape of the language: every mistake with its place, and none of them twice.
//!
//! What is wrong is left out, so that the rest can still be checked; [`Reading::broken`] says what that is.

mod direct;
mod foreign;
mod instead;
mod scalar;
mod structure;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Manifest;
use crate::problem::{Code, Place, Problem, Related};
use crate::shape::{Model, Shape};
use crate::yaml::{self, Content, Document, Entry, Lines, Node, Path, Span, Steps, quoted};

/// Most problems that are told of one text: nobody reads more, and a bomb of mistakes stays small.
pub(super) const PROBLEMS_MAX: usize = 200;

/// What was read of a text.
pub struct Reading {
    pub document: Option<Document>,
    /// What could be read; `None` when not even the services could, or too much is wrong.
    pub manifest: Option<Manifest>,
    /// In the order of the text; at most 200.
    pub problems: Vec<Problem>,
    /// There are more problems than these.
    pub(super) more: bool,
    /// Paths of which the manifest says nothing, or nothing that counts, because something is wrong there.
    pub broken: BTreeSet<String>,
    /// Of lists of which items were left out: where those that are left stand in the text.
    left: BTreeMap<String, Vec<usize>>,
    /// Something may be said that this version cannot run.
    pub(super) names_unbuilt: bool,
}

impl Reading {
    /// Returns where in the text an item of the manifest's list at a path stands.
    pub(super) fn number(&self, list: &Steps<'_>, index: usize) -> usize {
        if self.left.is_empty() {
            return index;
        }
        self.left.get(&list.to_string()).and_then(|left| left.get(index)).copied().unwrap_or(index)
    }
}

/// Reads a manifest, of which only the types are checked.
pub fn read(text: &str) -> Reading {
    let mut reader = Reader::new(text);
    let document = match yaml::parse_without_comments(text) {
        Ok(document) => document,
        Err(fault) => {
            reader.fault(fault);
            return reader.reading(None, None);
        }
    };
    if let Some(right) = document.root.as_ref().and_then(direct::manifest) {
        let names_unbuilt = right.names_unbuilt;
        return Reading { names_unbuilt, ..reader.reading(Some(document), Some(right.manifest)) };
    }
    let value = match &document.root {
        Some(root) if !root.is_null() => reader.value(Here::root(root), &Manifest::SHAPE),
        _ => {
            let problem = Problem::at("", "the manifest is empty").code(Code::MissingField);
            reader.add(Span::default(), problem.fix("begin with `version: v1`, `deployment` and `services`"));
            None
        }
    };
    let manifest = value.filter(|_| !reader.more).and_then(|value| match serde_json::from_value(value) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            reader.problems.push(Problem::at("", format!("the manifest is not what it was read as: {error}")));
            None
        }
    });
    reader.reading(Some(document), manifest)
}

/// Reads one value of a shape; for examples and tests of a part of the language.
pub fn read_part(text: &str, node: &Node, shape: &Shape) -> (Option<Value>, Vec<Problem>) {
    let mut reader = Reader::new(text);
    let value = reader.value(Here::root(node), shape);
    (value, reader.problems)
}

struct Reader<'a> {
    text: &'a str,
    /// Made when the first problem needs it.
    lines: Option<Lines<'a>>,
    problems: Vec<Problem>,
    more: bool,
    broken: BTreeSet<String>,
    left: BTreeMap<String, Vec<usize>>,
}

/// A node and where it is.
#[derive(Clone, Copy)]
struct Here<'a> {
    node: &'a Node,
    /// What stands for it where the whole of it is meant: its key, or its first one.
    at: Span,
    path: Path<'a>,
}

impl<'a> Here<'a> {
    fn root(node: &'a Node) -> Here<'a> {
        Here { node, at: first_key(node), path: Path::ROOT }
    }

    /// Returns the place of the value, as a person sees it.
    fn span(&self) -> Span {
        match &self.node.content {
            Content::Scalar { .. } if self.node.span.end > self.node.span.start => self.node.span,
            Content::Mapping { flow: true, .. } | Content::Sequence { flow: true, .. } => self.node.span,
            _ => self.at,
        }
    }
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Reader<'a> {
        Reader { text, lines: None, problems: Vec::new(), more: false, broken: BTreeSet::new(), left: BTreeMap::new() }
    }

    fn reading(self, document: Option<Document>, manifest: Option<Manifest>) -> Reading {
        let Reader { problems, more, broken, left, .. } = self;
        Reading { document, manifest, problems, more, broken, left, names_unbuilt: true }
    }

    /// Tells of a text that is no YAML.
    fn fault(&mut self, fault: yaml::Fault) {
        let code = if fault.earlier.is_some() { Code::DuplicateKey } else { Code::Syntax };
        let mut problem = Problem { fix: fault.fix.map(str::to_owned), ..Problem::at("", fault.message).code(code) };
        if let Some(earlier) = fault.earlier {
            let place = self.place(earlier);
            problem.related.push(Related { path: String::new(), place, message: "the first one is here".to_owned() });
        }
        self.add(fault.span, problem);
        self.leave_out(String::new());
    }

    fn place(&mut self, span: Span) -> Place {
        place(self.lines.get_or_insert_with(|| Lines::of(self.text)), span)
    }

    fn add(&mut self, span: Span, problem: Problem) {
        if !self.is_full() {
            let place = self.place(span);
            self.problems.push(Problem { place, ..problem });
        }
    }

    /// There is no room for another problem: no more is read, and nothing is concluded from what was.
    fn is_full(&mut self) -> bool {
        if self.problems.len() >= PROBLEMS_MAX && !self.more {
            self.more = true;
            self.broken = BTreeSet::from([String::new()]);
        }
        self.more
    }

    fn leave_out(&mut self, path: String) {
        if !self.more {
            self.broken.insert(path);
        }
    }

    /// Says that there is something wrong with a value, which is left out.
    fn broken(&mut self, path: Path<'_>, span: Span, problem: Problem) {
        let path = path.to_string();
        self.leave_out(path.clone());
        self.add(span, Problem { path, ..problem });
    }

    /// Returns the value as JSON that the type of the shape takes; `None` when it must be left out.
    fn value(&mut self, here: Here<'_>, shape: &Shape) -> Option<Value> {
        if self.more {
            return None;
        }
        if let Some(tag) = here.node.tag() {
            let problem = Problem::at("", format!("{} is a tag, and the language has none", quoted(tag))).code(Code::Syntax);
            self.broken(here.path, here.span(), problem.fix("leave the tag out"));
            return None;
        }
        match (shape, &here.node.content) {
            (Shape::TextOrList(_, list), Content::Sequence { .. }) => self.value(here, list),
            (Shape::TextOrList(text, _), Content::Scalar { .. }) => self.value(here, text),
            (Shape::List(of), Content::Sequence { items, .. }) => Some(self.list(here, items, of)),
            (Shape::Map(map), Content::Mapping { entries, .. }) => Some(self.map(here, entries, map)),
            (Shape::Struct(inner), Content::Mapping { entries, .. }) => self.structure(here, entries, inner).map(Value::Object),
            _ => match scalar::value(here.node, shape, here.path.name()) {
                Ok(value) => Some(value),
                Err(problem) => {
                    self.broken(here.path, here.span(), *problem);
                    None
                }
            },
        }
    }

    fn list(&mut self, here: Here<'_>, items: &[Node], of: &Shape) -> Value {
        let read = |(index, node): (usize, &Node)| {
            let here = Here { node, at: first_key(node), path: here.path.index(index) };
            Some((index, self.value(here, of)?))
        };
        let (left, values): (Vec<usize>, Vec<Value>) = items.iter().enumerate().filter_map(read).unzip();
        if left.len() < items.len() {
            self.left.insert(here.path.to_string(), left);
        }
        Value::Array(values)
    }

    fn map(&mut self, here: Here<'_>, entries: &[Entry], map: &crate::shape::Map) -> Value {
        let mut values = Map::new();
        let mut before = None;
        for Entry { key, value } in entries {
            let name = key.text().unwrap_or_default();
            if before.is_some_and(Node::is_null) && is_stray(name, value, map) {
                continue;
            }
            before = Some(value);
            let path = here.path.key(name);
            let bad = (map.key.check)(name).err();
            let is_good = bad.is_none();
            if let Some(why) = bad {
                self.broken(path, key.span, words::bad_key(name, why, map));
            }
            // What a bad name is given to is looked at too, and left out.
            let value =
                if name == structure::MERGE { None } else { self.value(Here { node: value, at: key.span, path }, map.value) };
            values.extend(value.filter(|_| is_good).map(|value| (name.to_owned(), value)));
        }
        Value::Object(values)
    }
}

/// A field of what stands before it, and not indented as such: one mistake, of which is told there.
fn is_stray(name: &str, value: &Node, map: &crate::shape::Map) -> bool {
    let is_field = |inner: &crate::shape::Struct| inner.field(name).is_some();
    let has_fields =
        |inner: &crate::shape::Struct| inner.fields.iter().any(|field| field.required() && value.get(field.name).is_some());
    map.value.inner().is_some_and(|inner| is_field(inner) && !has_fields(inner))
}

/// Returns the place of a mapping's first key, which stands for it; of anything else, its beginning.
fn first_key(node: &Node) -> Span {
    let beginning = Span { end: node.span.end.min(node.span.start + 1), ..node.span };
    match &node.content {
        Content::Mapping { entries, .. } => entries.first().map_or(beginning, |entry| entry.key.span),
        Content::Scalar { .. } => node.span,
        Content::Sequence { .. } => beginning,
    }
}

/// Returns a span as lines and columns.
pub(super) fn place(lines: &Lines<'_>, span: Span) -> Place {
    let (start, end) = (lines.position(span.start), lines.position(span.end.max(span.start)));
    Place { file: String::new(), line: start.line, column: start.column, end_line: end.line, end_column: end.column }
}
