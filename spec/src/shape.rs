//! What the language looks like, as data: one description from which files are read, explained, formatted and documented.
//!
//! The types of [`crate::manifest`] are declared with [`model!`] and [`scalar!`]. Each declaration makes a Rust type, its JSON, and
//! its [`Shape`]; doc comments become the reference, so a field is described once.
//!
//! In the doc comment of a field, lines that begin with these words are understood:
//!
//! - `Example: ` and the field as YAML in backquotes;
//! - `Default: ` and what its absence means, where no value of its type says so;
//! - `Addition.` for what is not in the OCI Service Specification, Draft v1;
//! - `Unbuilt.` for what is valid and this version cannot run: it is refused by name where it would be applied. Words of a choice
//!   and variants of a union may say it too.

#[macro_use]
mod declare;
mod doc;
mod walk;

use serde_json::Value;

pub(crate) use declare::{model, scalar};
pub use doc::{Doc, is_unbuilt};
pub use walk::{Place, PlaceKind, fields_of, fields_with, visit};

/// A type of the language.
pub trait Model {
    const SHAPE: Shape;
}

/// An enum of structs, told apart by the value of a field.
pub trait Tagged {
    const UNION: Union;
}

#[derive(Clone, Copy)]
pub enum Shape {
    /// A text of a certain form.
    Scalar(&'static Scalar),
    Boolean,
    Integer(&'static Integer),
    /// A number that may have a fraction.
    Number(&'static Number),
    Choice(&'static Choice),
    List(&'static Shape),
    Map(&'static Map),
    Struct(&'static Struct),
    /// One of a text and a list.
    TextOrList(&'static Shape, &'static Shape),
}

pub struct Scalar {
    /// What it is called in explanations: `duration`.
    pub name: &'static str,
    /// Completes "expected …".
    pub expected: &'static str,
    /// The same as `check`, as a regular expression of ECMA-262 with the `u` flag.
    pub pattern: &'static str,
    /// Returns why a text is none.
    pub check: fn(&str) -> Result<(), String>,
    /// What a bare number probably lacks: `s`.
    pub unit: Option<&'static str>,
}

pub struct Integer {
    pub name: &'static str,
    pub expected: &'static str,
    pub min: u64,
    pub max: u64,
}

pub struct Number {
    pub name: &'static str,
    pub expected: &'static str,
    pub min: f64,
    pub max: f64,
}

/// One of a few words.
pub struct Choice {
    pub name: &'static str,
    pub section: &'static str,
    pub doc: &'static [&'static str],
    pub words: &'static [Word],
}

pub struct Word {
    pub name: &'static str,
    pub doc: &'static [&'static str],
    /// Its doc says so.
    pub unbuilt: bool,
}

/// A mapping whose keys are the user's.
pub struct Map {
    pub key: &'static Scalar,
    pub value: &'static Shape,
}

/// A mapping whose keys are the language's.
pub struct Struct {
    pub name: &'static str,
    /// Section of the OCI Service Specification, Draft v1; empty for an addition.
    pub section: &'static str,
    pub doc: &'static [&'static str],
    /// In the order in which they are written.
    pub fields: &'static [Field],
    pub union: Option<&'static Union>,
}

pub struct Field {
    pub name: &'static str,
    pub doc: &'static [&'static str],
    pub unbuilt: bool,
    pub shape: &'static Shape,
    /// The value that stands for absence; `None` when the field is required.
    pub default: Option<fn() -> Value>,
}

/// More fields of a struct, which depend on the value of one.
pub struct Union {
    /// The field that tells.
    pub tag: &'static str,
    pub doc: &'static [&'static str],
    /// What it is when it is not there; `None` when it must be.
    pub default: Option<&'static str>,
    /// The field that holds the others; `None` when they stand beside the tag.
    pub content: Option<&'static str>,
    /// The field of the struct behind which all this is written; `None` for the beginning.
    pub after: Option<&'static str>,
    pub variants: &'static [Variant],
}

pub struct Variant {
    pub name: &'static str,
    pub doc: &'static [&'static str],
    pub unbuilt: bool,
    pub fields: &'static Struct,
}

impl Shape {
    /// Returns what it is called in explanations: `list of text`.
    pub fn name(&self) -> String {
        match self {
            Shape::Scalar(scalar) => scalar.name.to_owned(),
            Shape::Boolean => "true or false".to_owned(),
            Shape::Integer(integer) => integer.name.to_owned(),
            Shape::Number(number) => number.name.to_owned(),
            Shape::Choice(choice) => choice.words.iter().map(|word| word.name).collect::<Vec<_>>().join(" | "),
            Shape::List(of) => match of {
                Shape::Struct(_) => "list of mappings".to_owned(),
                of => format!("list of {}", of.name()),
            },
            Shape::Map(map) => format!("mapping of {} to {}", map.key.name, map.value.name()),
            Shape::Struct(_) => "mapping".to_owned(),
            Shape::TextOrList(text, list) => format!("{}, or {}", text.name(), list.name()),
        }
    }

    /// Returns the struct that is written here, be it within a list or a mapping.
    pub fn inner(&self) -> Option<&'static Struct> {
        match self {
            Shape::Struct(inner) => Some(inner),
            Shape::List(of) => of.inner(),
            Shape::Map(map) => map.value.inner(),
            _ => None,
        }
    }
}

impl Field {
    pub fn required(&self) -> bool {
        self.default.is_none()
    }
}

impl Union {
    pub fn variant(&self, name: &str) -> Option<&'static Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }
}

impl Struct {
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

impl<T: Model> Model for Option<T> {
    const SHAPE: Shape = T::SHAPE;
}

impl<T: Model> Model for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
}

impl<K: Text, V: Model> Model for std::collections::BTreeMap<K, V> {
    const SHAPE: Shape = Shape::Map(&Map { key: K::SCALAR, value: &V::SHAPE });
}

/// A type that is written as a text of a certain form.
pub trait Text {
    const SCALAR: &'static Scalar;
}

impl Model for bool {
    const SHAPE: Shape = Shape::Boolean;
}

impl Model for u32 {
    const SHAPE: Shape =
        Shape::Integer(&Integer { name: "number", expected: "a whole number from 0 to 1000000", min: 0, max: 1_000_000 });
}
