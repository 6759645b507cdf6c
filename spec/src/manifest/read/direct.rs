//! The short way for what is right: from nodes to types, without values between.
//!
//! It is stricter than the long way, or just as strict. Where it meets anything else it gives up, and the long way tells.

use std::cell::Cell;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::structure::{Chosen, entry};
use crate::manifest::Manifest;
use crate::shape::{Model, Shape, Struct};
use crate::yaml::{Content, Entry, Node, Plain};

/// A manifest in which nothing is wrong.
pub(super) struct Right {
    pub(super) manifest: Manifest,
    /// Something is said that this version cannot run, be it only in words.
    pub(super) names_unbuilt: bool,
}

/// Reads a manifest; `None` when anything at all is wrong with it.
pub(super) fn manifest(root: &Node) -> Option<Right> {
    let names_unbuilt = Cell::new(false);
    let reader = Reader { node: root, shape: Manifest::SHAPE, names_unbuilt: &names_unbuilt };
    let manifest = Manifest::deserialize(reader).ok()?;
    Some(Right { manifest, names_unbuilt: names_unbuilt.get() })
}

/// Reads a node as a shape.
#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    shape: Shape,
    names_unbuilt: &'a Cell<bool>,
}

fn wrong() -> Error {
    Error::custom("")
}

impl<'a> Reader<'a> {
    fn of(self, node: &'a Node, shape: Shape) -> Reader<'a> {
        Reader { node, shape, ..self }
    }

    fn note(self, is_unbuilt: bool) {
        self.names_unbuilt.set(self.names_unbuilt.get() | is_unbuilt);
    }

    /// Returns the scalar's text, if nothing takes it for anything else.
    fn text(self) -> Result<&'a str, Error> {
        match self.node.plain() {
            None | Some(Plain::Text(_)) if self.node.tag().is_none() => self.node.text().ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn word(self) -> Result<&'a str, Error> {
        let text = self.text()?;
        if let Shape::Choice(choice) = self.shape {
            let word = choice.words.iter().find(|word| word.name == text).ok_or_else(wrong)?;
            self.note(word.unbuilt);
        }
        Ok(text)
    }

    fn number<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match (self.shape, self.node.plain()) {
            (Shape::Boolean, Some(Plain::Boolean(value))) => visitor.visit_bool(value),
            (Shape::Integer(integer), Some(Plain::Integer(value))) => match u64::try_from(value) {
                Ok(value) if (integer.min..=integer.max).contains(&value) => visitor.visit_u64(value),
                _ => Err(wrong()),
            },
            (Shape::Number(number), Some(Plain::Integer(value))) if (number.min..=number.max).contains(&(value as f64)) => {
                u64::try_from(value).map_err(|_| wrong()).and_then(|value| visitor.visit_u64(value))
            }
            (Shape::Number(number), Some(Plain::Float(value))) if (number.min..=number.max).contains(&value) => {
                visitor.visit_f64(value)
            }
            _ => Err(wrong()),
        }
    }
}

impl<'a> Deserializer<'a> for Reader<'a> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.tag().is_some() {
            return Err(wrong());
        }
        match (self.shape, &self.node.content) {
            (Shape::TextOrList(text, _), Content::Scalar { .. }) => self.of(self.node, *text).deserialize_any(visitor),
            (Shape::TextOrList(_, list), Content::Sequence { .. }) => self.of(self.node, *list).deserialize_any(visitor),
            (Shape::Scalar(_) | Shape::Choice(_), Content::Scalar { .. }) => visitor.visit_borrowed_str(self.word()?),
            (Shape::List(of), Content::Sequence { items, .. }) => {
                visitor.visit_seq(Items { reader: self, of: *of, items: items.iter() })
            }
            (Shape::Map(map), Content::Mapping { entries, .. }) => {
                visitor.visit_map(Named { reader: self, of: *map.value, entries: entries.iter(), value: None })
            }
            (Shape::Struct(of), Content::Mapping { entries, .. }) => visitor.visit_map(Fields::of(self, entries, of)?),
            _ => self.number(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'a>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'a>>(
        self,
        name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.shape {
            Shape::Choice(_) => visitor.visit_enum(BorrowedStrDeserializer::new(self.word()?)),
            _ => Err(Error::unknown_variant(name, words)),
        }
    }

    serde::forward_to_deserialize_any! {
        <W: Visitor<'a>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a> {
    reader: Reader<'a>,
    of: Shape,
    items: std::slice::Iter<'a, Node>,
}

impl<'a> SeqAccess<'a> for Items<'a> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.items.next().map(|item| seed.deserialize(self.reader.of(item, self.of))).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A mapping whose keys are the user's: any text, so each type of key checks its own.
struct Named<'a> {
    reader: Reader<'a>,
    of: Shape,
    entries: std::slice::Iter<'a, Entry>,
    value: Option<&'a Node>,
}

impl<'a> MapAccess<'a> for Named<'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(Entry { key, value }) = self.entries.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(BorrowedStrDeserializer::new(key.text().ok_or_else(wrong)?)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.reader.of(self.value.take().ok_or_else(wrong)?, self.of))
    }
}

/// The fields of a struct and of the variant of its union.
struct Fields<'a> {
    reader: Reader<'a>,
    of: &'static Struct,
    chosen: Option<Chosen>,
    /// The tag of a union that is not said, because it is the default.
    tag: Option<(&'static str, &'static str)>,
    /// The field of a union's inputs that is not said, because there are none.
    content: Option<&'static str>,
    entries: std::slice::Iter<'a, Entry>,
    value: Option<Field<'a>>,
}

/// What comes behind a key.
enum Field<'a> {
    Read(Reader<'a>),
    Word(&'a str),
    Nothing,
}

impl<'a> Fields<'a> {
    fn of(reader: Reader<'a>, entries: &'a [Entry], of: &'static Struct) -> Result<Fields<'a>, Error> {
        let mut fields = Fields { reader, of, chosen: None, tag: None, content: None, entries: entries.iter(), value: None };
        let Some(union) = of.union else { return Ok(fields) };
        let variant = match entry(entries, union.tag) {
            Some(entry) => union.variant(reader.of(&entry.value, reader.shape).text()?),
            None => union.variant(union.default.ok_or_else(wrong)?),
        };
        let variant = variant.ok_or_else(wrong)?;
        reader.note(variant.unbuilt);
        fields.tag = entry(entries, union.tag).is_none().then_some((union.tag, variant.name));
        fields.content = union.content.filter(|content| entry(entries, content).is_none());
        fields.chosen = Some(Chosen { union, variant: Some(variant) });
        Ok(fields)
    }

    /// Returns the next key, and puts what is behind it aside.
    fn key(&mut self) -> Result<Option<&'a str>, Error> {
        if let Some((tag, word)) = self.tag.take() {
            self.value = Some(Field::Word(word));
            return Ok(Some(tag));
        }
        let Some(Entry { key, value }) = self.entries.next() else {
            self.value = Some(Field::Nothing);
            return Ok(self.content.take());
        };
        let name = key.text().ok_or_else(wrong)?;
        self.value = Some(self.field(name, value)?);
        Ok(Some(name))
    }

    fn field(&self, name: &str, value: &'a Node) -> Result<Field<'a>, Error> {
        if let Some(field) = self.of.field(name).or_else(|| self.chosen.and_then(|chosen| chosen.field(name))) {
            self.reader.note(field.unbuilt);
            return Ok(Field::Read(self.reader.of(value, *field.shape)));
        }
        match self.chosen {
            Some(Chosen { union, .. }) if union.tag == name => Ok(Field::Word(self.reader.of(value, self.reader.shape).text()?)),
            Some(Chosen { union, variant: Some(variant) }) if union.content == Some(name) => {
                Ok(Field::Read(self.reader.of(value, Shape::Struct(variant.fields))))
            }
            _ => Err(wrong()),
        }
    }
}

impl<'a> MapAccess<'a> for Fields<'a> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.key()?.map(|key| seed.deserialize(BorrowedStrDeserializer::new(key))).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take().ok_or_else(wrong)? {
            Field::Read(reader) => seed.deserialize(reader),
            Field::Word(word) => seed.deserialize(BorrowedStrDeserializer::new(word)),
            Field::Nothing => seed.deserialize(serde::de::value::MapDeserializer::new(std::iter::empty::<(&str, &str)>())),
        }
    }
}
