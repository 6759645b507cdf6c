//! Structs, and the unions some of them have: which fields there are, which are not, and which are too many.

use serde_json::{Map, Value, json};

use super::foreign::{self, Unknown};
use super::{Here, Reader, scalar, words};
use crate::problem::{Code, Problem, Related};
use crate::shape::{Field, Shape, Struct, Union, Variant};
use crate::yaml::{Entry, quoted};

/// What stands for required fields that could not be read, so that the rest of what they are in is checked too. No check across
/// fields looks at these.
const STAND_INS: [StandIn; 3] = [
    ("Manifest", "version", || json!("v1")),
    ("Manifest", "deployment", || json!("unnamed")),
    ("Service", "image", || json!({"name": "unnamed"})),
];

/// A struct, its field, and the value.
type StandIn = (&'static str, &'static str, fn() -> Value);

/// A merge key, which the language does not have; of what it would bring, nothing is missing.
pub(super) const MERGE: &str = "<<";

/// A struct as far as it was read.
struct Partial {
    values: Map<String, Value>,
    /// All fields that must be there are there and right.
    whole: bool,
    /// Fields that unknown ones were meant to be: they are not missing.
    meant: Vec<&'static str>,
    /// Fields that are not given; found when the first unknown one is.
    free: Option<Vec<&'static str>>,
}

/// The variant of a union that a struct has, if it names one.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    pub(super) union: &'static Union,
    pub(super) variant: Option<&'static Variant>,
}

impl Chosen {
    /// Returns the field of the variant that stands beside the tag.
    pub(super) fn field(&self, name: &str) -> Option<&'static Field> {
        self.variant.filter(|_| self.union.content.is_none())?.fields.field(name)
    }

    /// It is read elsewhere, or could be a field of the variant that was meant.
    fn knows(&self, name: &str) -> bool {
        let possible =
            || self.union.content.is_none() && self.union.variants.iter().any(|variant| variant.fields.field(name).is_some());
        name == self.union.tag || self.union.content == Some(name) || (self.variant.is_none() && possible())
    }
}

impl Reader<'_> {
    /// Reads the fields of a struct; `None` when one that must be there is not, or is broken.
    pub(super) fn structure(&mut self, here: Here<'_>, entries: &[Entry], shape: &'static Struct) -> Option<Map<String, Value>> {
        let chosen = shape.union.map(|union| Chosen { union, variant: self.variant(here, entries, shape, union) });
        let mut partial = Partial { values: Map::new(), whole: true, meant: Vec::new(), free: None };
        self.fields(here, entries, shape, chosen, &mut partial);
        self.all_there(here, entries, shape, shape.name, &mut partial);
        if let Some(Chosen { union, variant }) = chosen {
            let variant = variant?;
            partial.values.insert(union.tag.to_owned(), variant.name.into());
            match union.content {
                None => self.all_there(here, entries, variant.fields, shape.name, &mut partial),
                Some(content) => self.content(here, shape, content, variant, &mut partial),
            }
        }
        partial.whole.then_some(partial.values)
    }

    /// Returns the variant that the tag names. When it names none, any variant's fields are let through.
    fn variant(&mut self, here: Here<'_>, entries: &[Entry], shape: &Struct, union: &'static Union) -> Option<&'static Variant> {
        let path = here.path.key(union.tag);
        let Some(Entry { key, value }) = entry(entries, union.tag) else {
            if let Some(default) = union.default {
                return union.variant(default);
            }
            // Another word for the tag is told of where it stands.
            let another = |entry: &Entry| foreign::means(shape, union.tag, entry.key.text().unwrap_or_default());
            let told = entries.iter().any(another) || entry(entries, MERGE).is_some();
            if told {
                self.leave_out(path.to_string());
            } else {
                self.broken(path, here.at, words::missing_tag(here, shape.name, union));
            }
            return None;
        };
        let names = union.variants.iter().map(|variant| variant.name);
        match scalar::one_of(value, path.name(), names) {
            Ok(name) => union.variant(&name),
            Err(problem) => {
                self.broken(path, Here { node: value, at: key.span, path }.span(), *problem);
                None
            }
        }
    }

    /// Reads all fields that are there.
    fn fields(
        &mut self,
        here: Here<'_>,
        entries: &[Entry],
        shape: &'static Struct,
        chosen: Option<Chosen>,
        partial: &mut Partial,
    ) {
        for entry in entries {
            let Entry { key, value } = entry;
            let name = key.text().unwrap_or_default();
            let path = here.path.key(name);
            let field = shape.field(name).or_else(|| chosen.and_then(|chosen| chosen.field(name)));
            match field {
                Some(field) => {
                    let value = self.value(Here { node: value, at: key.span, path }, field.shape);
                    if let Some(value) = value.or_else(|| stand_in(shape, field)) {
                        partial.values.insert(name.to_owned(), value);
                    } else if field.required() {
                        partial.whole = false;
                    }
                }
                None if chosen.is_some_and(|chosen| chosen.knows(name)) => {}
                None => self.unknown(here, shape, chosen, entry, partial),
            }
        }
    }

    /// Tells of a field that the struct does not have.
    fn unknown(
        &mut self,
        here: Here<'_>,
        shape: &'static Struct,
        chosen: Option<Chosen>,
        stranger: &Entry,
        partial: &mut Partial,
    ) {
        if self.is_full() {
            return;
        }
        let name = stranger.key.text().unwrap_or_default();
        let free = partial.free.get_or_insert_with(|| foreign::free(here, shape, chosen));
        let Unknown { mut problem, meant } = foreign::unknown(here, shape, chosen, stranger, free);
        if let (Code::MisplacedField, Some(chosen)) = (problem.code, chosen)
            && let Some(Entry { value, .. }) = entry(here.node.entries(), chosen.union.tag)
        {
            let place = self.place(value.span);
            let message = format!("this is {}", quoted(value.text().unwrap_or_default()));
            problem.related.push(Related { path: here.path.key(chosen.union.tag).to_string(), place, message });
        }
        if let Some(meant) = meant {
            // What it was meant to be is neither missing nor absent.
            self.leave_out(here.path.key(meant).to_string());
            partial.meant.push(meant);
        }
        self.add(stranger.key.span, Problem { path: here.path.key(name).to_string(), ..problem });
    }

    /// Says which fields of `shape` are missing. `thing` is the name of the struct that they are missing in.
    fn all_there(&mut self, here: Here<'_>, entries: &[Entry], shape: &'static Struct, thing: &str, partial: &mut Partial) {
        let required = shape.fields.iter().filter(|field| field.required());
        let absent: Vec<_> = required.filter(|field| entry(entries, field.name).is_none()).collect();
        if !absent.is_empty() && self.is_full() {
            partial.whole = false;
            return;
        }
        for field in &absent {
            self.leave_out(here.path.key(field.name).to_string());
            match stand_in(shape, field) {
                Some(value) => drop(partial.values.insert(field.name.to_owned(), value)),
                None => partial.whole = false,
            }
        }
        let meant = |field: &str| partial.meant.contains(&field) || entry(entries, MERGE).is_some();
        let missing: Vec<_> = absent.into_iter().filter(|field| !meant(field.name)).collect();
        if let [first, ..] = missing[..] {
            self.broken(here.path.key(first.name), here.at, words::missing_fields(here, thing, &missing));
        }
    }

    /// Reads the fields of a variant that stand in a field of their own.
    fn content(
        &mut self,
        here: Here<'_>,
        shape: &'static Struct,
        content: &'static str,
        variant: &'static Variant,
        partial: &mut Partial,
    ) {
        let path = here.path.key(content);
        let inputs = match entry(here.node.entries(), content) {
            Some(Entry { key, value }) => self.value(Here { node: value, at: key.span, path }, &Shape::Struct(variant.fields)),
            None if variant.fields.fields.iter().any(Field::required) => {
                if partial.meant.contains(&content) || entry(here.node.entries(), MERGE).is_some() {
                    self.leave_out(path.to_string());
                } else {
                    self.broken(path, here.at, words::missing_content(here, shape.name, content, variant));
                }
                None
            }
            None => Some(json!({})),
        };
        partial.whole &= inputs.is_some();
        partial.values.insert(content.to_owned(), inputs.unwrap_or_default());
    }
}

pub(super) fn entry<'e>(entries: &'e [Entry], name: &str) -> Option<&'e Entry> {
    entries.iter().find(|entry| entry.key.text() == Some(name))
}

fn stand_in(shape: &Struct, field: &Field) -> Option<Value> {
    let found = STAND_INS.iter().find(|(name, required, _)| *name == shape.name && *required == field.name);
    found.map(|(_, _, value)| value())
}
