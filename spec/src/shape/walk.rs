//! All fields of the language, each with its path, and what is said of it.

use serde_json::Value;

use super::{Doc, Field, Shape, Struct, Union, Variant, is_unbuilt};

/// One field of the language, wherever it comes from.
#[derive(Clone)]
pub struct Place {
    /// `services.<name>.endpoints[].port`
    pub path: String,
    pub name: &'static str,
    pub doc: Doc,
    pub kind: PlaceKind,
    /// The struct it is a field of; of a variant's field, the variant's.
    pub parent: &'static Struct,
    /// The value of the union's tag it goes with: `mode: adaptive`.
    pub with: Option<(&'static str, &'static str)>,
    /// Something above it cannot be run by this version, so it cannot either.
    pub within_unbuilt: bool,
}

#[derive(Clone, Copy)]
pub enum PlaceKind {
    Field(&'static Field),
    /// The tag of a union.
    Tag(&'static Union),
    /// The field that holds a union's other fields.
    Content(&'static Union),
}

impl Place {
    /// Returns the shape of its value; a tag and a union's content have none of their own.
    pub fn shape(&self) -> Option<&'static Shape> {
        match self.kind {
            PlaceKind::Field(field) => Some(field.shape),
            PlaceKind::Tag(_) | PlaceKind::Content(_) => None,
        }
    }

    pub fn required(&self) -> bool {
        match self.kind {
            PlaceKind::Field(field) => field.required(),
            PlaceKind::Tag(union) => union.default.is_none(),
            PlaceKind::Content(union) => union.variants.iter().all(|variant| variant.fields.fields.iter().any(Field::required)),
        }
    }

    /// Returns what its value is called: `duration`.
    pub fn type_name(&self) -> String {
        match self.kind {
            PlaceKind::Field(field) => field.shape.name(),
            PlaceKind::Tag(union) => union.variants.iter().map(|variant| variant.name).collect::<Vec<_>>().join(" | "),
            PlaceKind::Content(_) => "mapping".to_owned(),
        }
    }

    /// Returns what its absence means, where there is something to say; a value that is one is in backquotes.
    pub fn default(&self) -> Option<String> {
        match self.kind {
            PlaceKind::Tag(union) => union.default.map(|name| format!("`{name}`")),
            PlaceKind::Content(_) => None,
            PlaceKind::Field(field) => self.doc.default.clone().or_else(|| match field.default?() {
                Value::Null => Some("none".to_owned()),
                Value::Array(items) if items.is_empty() => Some("none".to_owned()),
                Value::Object(_) if matches!(field.shape, Shape::Map(_)) => Some("none".to_owned()),
                Value::String(text) => Some(format!("`{text}`")),
                value @ (Value::Bool(_) | Value::Number(_)) => Some(format!("`{value}`")),
                Value::Array(_) | Value::Object(_) => None,
            }),
        }
    }

    /// Returns the field as YAML, with a value that it can have.
    pub fn example(&self) -> Option<String> {
        match self.kind {
            PlaceKind::Field(_) => self.doc.example.clone(),
            PlaceKind::Tag(union) => {
                self.doc.example.clone().or_else(|| Some(format!("{}: {}", self.name, union.variants.first()?.name)))
            }
            PlaceKind::Content(union) => {
                let fields = union.variants.first()?.fields.fields.iter().filter(|field| field.required());
                let examples: Vec<_> = fields.filter_map(|field| Doc::of(field.doc).example).collect();
                Some(format!("{}: {{{}}}", self.name, examples.join(", ")))
            }
        }
    }

    /// Returns the section of the OCI Service Specification, Draft v1, that has it; `None` for an addition.
    pub fn section(&self) -> Option<&'static str> {
        let own = match (self.kind, self.shape()) {
            (PlaceKind::Content(union), _) => union.variants.first().map(|variant| variant.fields.section),
            (_, Some(Shape::Choice(choice))) => Some(choice.section),
            (_, shape) => shape.and_then(Shape::inner).map(|inner| inner.section),
        };
        own.or(Some(self.parent.section)).filter(|section| !section.is_empty() && !self.doc.addition)
    }

    /// It, or something above it, is valid and cannot be run by this version.
    pub fn is_unbuilt(&self) -> bool {
        self.doc.unbuilt || self.within_unbuilt
    }

    /// Returns what the paths of the fields below it begin with.
    pub fn inner_path(&self) -> String {
        self.shape().map_or_else(|| self.path.clone(), |shape| within(&self.path, shape))
    }

    /// Returns the fields right below it, those of all variants included.
    pub fn below(&self) -> Vec<Place> {
        match self.kind {
            PlaceKind::Field(field) => field.shape.inner().map(fields_of).unwrap_or_default(),
            PlaceKind::Tag(_) => Vec::new(),
            PlaceKind::Content(union) => union.variants.iter().flat_map(|variant| fields_with(union, variant)).collect(),
        }
    }
}

/// Visits all fields at or below `root`, parents before children, in the order in which they are written.
pub fn visit(root: &'static Struct, visitor: &mut dyn FnMut(&Place)) {
    fields(root, &Above { path: "", with: None, unbuilt: false }, visitor);
}

/// What fields have from what they are in.
struct Above<'a> {
    path: &'a str,
    with: Option<(&'static str, &'static str)>,
    unbuilt: bool,
}

/// Returns the fields of a struct alone, those of its variants included.
pub fn fields_of(of: &'static Struct) -> Vec<Place> {
    let mut all = Vec::new();
    visit(of, &mut |place| {
        if !place.path.contains(['.', '[']) {
            all.push(place.clone());
        }
    });
    all
}

/// Returns the fields of one variant of a union.
pub fn fields_with(union: &'static Union, variant: &'static Variant) -> Vec<Place> {
    let with = Some((union.tag, variant.name));
    fields_of(variant.fields).into_iter().map(|place| Place { with, ..place }).collect()
}

fn fields(parent: &'static Struct, above: &Above<'_>, visitor: &mut dyn FnMut(&Place)) {
    if let Some(union) = parent.union.filter(|union| union.after.is_none()) {
        self::union(parent, union, above, visitor);
    }
    for field in parent.fields {
        let place = above.place(parent, field.name, Doc::of(field.doc), PlaceKind::Field(field));
        visitor(&place);
        if let Some(inner) = field.shape.inner() {
            fields(inner, &Above { path: &place.inner_path(), with: None, unbuilt: place.is_unbuilt() }, visitor);
        }
        if let Some(union) = parent.union.filter(|union| union.after == Some(field.name)) {
            self::union(parent, union, above, visitor);
        }
    }
}

fn union(parent: &'static Struct, union: &'static Union, above: &Above<'_>, visitor: &mut dyn FnMut(&Place)) {
    visitor(&above.place(parent, union.tag, Doc::of(union.doc), PlaceKind::Tag(union)));
    let mut path = above.path.to_owned();
    if let Some(content) = union.content {
        let doc = Doc { paragraphs: vec![format!("Inputs of what `{}` names.", union.tag)], ..Doc::default() };
        let place = above.place(parent, content, doc, PlaceKind::Content(union));
        visitor(&place);
        path = place.path;
    }
    for Variant { name, fields: inner, doc, .. } in union.variants {
        let unbuilt = above.unbuilt || is_unbuilt(doc);
        fields(inner, &Above { path: &path, with: Some((union.tag, name)), unbuilt }, visitor);
    }
}

impl Above<'_> {
    fn place(&self, parent: &'static Struct, name: &'static str, doc: Doc, kind: PlaceKind) -> Place {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Place { path, name, doc, kind, parent, with: self.with, within_unbuilt: self.unbuilt }
    }
}

/// Returns the path of what is inside of a value: the user's own names and places in a list are left open.
fn within(path: &str, shape: &Shape) -> String {
    match shape {
        Shape::List(of) => within(&format!("{path}[]"), of),
        Shape::Map(of) => within(&format!("{path}.<name>"), of.value),
        _ => path.to_owned(),
    }
}
