//! The language as a JSON Schema (draft 2020-12), from which editors complete and explain.
//!
//! It is kept flat, so that editors follow it and a validator's message names the field: one definition for each struct; the
//! fields of a union's variant are asked for by `if` and `then`, never by `oneOf`. It takes what [`crate::manifest::read`] takes;
//! what holds across fields is not in it.

mod text;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::manifest::Manifest;
use crate::shape::{Choice, Field, Model, Shape, Struct, Union, Variant, fields_of};

/// Name of the schema, which leads nowhere: it is brought by every Stead.
pub const ID: &str = "urn:stead:manifest:v1";

/// Returns the schema of a manifest.
pub fn schema() -> Value {
    let mut definitions = Definitions::default();
    let Shape::Struct(root) = Manifest::SHAPE else { unreachable!("a manifest is a mapping") };
    let mut schema = definitions.structure(root);
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("$id".to_owned(), ID.into());
    schema.insert("title".to_owned(), "Stead manifest, version v1".into());
    schema.insert("$defs".to_owned(), definitions.done.into_iter().collect());
    Value::Object(schema)
}

type Object = Map<String, Value>;

/// What is referred to by name.
#[derive(Default)]
struct Definitions {
    done: BTreeMap<String, Value>,
}

impl Definitions {
    /// Returns a reference to a struct's definition, which is made when it is first needed.
    fn reference(&mut self, of: &'static Struct) -> Value {
        if !self.done.contains_key(of.name) {
            self.done.insert(of.name.to_owned(), Value::Null);
            let definition = self.structure(of);
            self.done.insert(of.name.to_owned(), Value::Object(definition));
        }
        json!({ "$ref": format!("#/$defs/{}", of.name) })
    }

    fn value(&mut self, shape: &'static Shape) -> Value {
        match shape {
            Shape::Scalar(of) => json!({ "type": "string", "pattern": of.pattern }),
            Shape::Boolean => json!({ "type": "boolean" }),
            Shape::Integer(of) => json!({ "type": "integer", "minimum": of.min, "maximum": of.max }),
            Shape::Number(of) => json!({ "type": "number", "minimum": of.min, "maximum": of.max }),
            Shape::Choice(of) => choice(of),
            Shape::List(of) => json!({ "type": "array", "items": self.value(of) }),
            Shape::Map(of) => json!({
                "type": "object",
                "propertyNames": { "pattern": of.key.pattern },
                "additionalProperties": self.value(of.value),
            }),
            Shape::Struct(of) => self.reference(of),
            Shape::TextOrList(text, list) => self.text_or_list(text, list),
        }
    }

    /// Keywords of texts say nothing of lists, and the other way round, so both can stand beside each other.
    fn text_or_list(&mut self, text: &'static Shape, list: &'static Shape) -> Value {
        let (Value::Object(mut both), Value::Object(list)) = (self.value(text), self.value(list)) else {
            unreachable!("a schema is an object")
        };
        both.extend(list);
        both.insert("type".to_owned(), json!(["string", "array"]));
        Value::Object(both)
    }

    fn structure(&mut self, of: &'static Struct) -> Object {
        let required: Vec<_> = of.fields.iter().filter(|field| field.required()).map(|field| field.name).collect();
        let mut schema = object(&[("type", json!("object")), ("description", text::of_struct(of).into())]);
        schema.insert("properties".to_owned(), Value::Object(self.properties(of)));
        schema.insert("additionalProperties".to_owned(), false.into());
        schema.insert("required".to_owned(), required.into());
        if let Some(union) = of.union {
            self.union(of, union, &mut schema);
        }
        if schema["required"].as_array().is_some_and(Vec::is_empty) {
            schema.remove("required");
        }
        schema
    }

    /// Returns the schemas of the fields that need no tag to be known.
    fn properties(&mut self, of: &'static Struct) -> Object {
        let beside = of.union.is_some_and(|union| union.content.is_none());
        let places = fields_of(of).into_iter().filter(|place| !beside || place.with.is_none());
        let property = |place: crate::shape::Place| {
            let mut schema = match place.shape() {
                Some(shape) => self.value(shape),
                None => text::of_union(&place),
            };
            if let Value::Object(schema) = &mut schema {
                text::annotate(&place, schema);
            }
            (place.name.to_owned(), schema)
        };
        places.map(property).collect()
    }

    fn union(&mut self, of: &'static Struct, union: &'static Union, schema: &mut Object) {
        if union.default.is_none()
            && let Some(required) = schema["required"].as_array_mut()
        {
            required.push(union.tag.into());
        }
        let branches: Vec<Value> = union.variants.iter().map(|variant| self.branch(of, union, variant)).collect();
        schema.insert("allOf".to_owned(), branches.into());
        if union.content.is_none() {
            // Each variant says which fields there are.
            schema.remove("additionalProperties");
        }
    }

    fn branch(&mut self, of: &'static Struct, union: &'static Union, variant: &'static Variant) -> Value {
        let mut condition = json!({ "properties": { union.tag: { "const": variant.name } } });
        if union.default != Some(variant.name) {
            condition["required"] = json!([union.tag]);
        }
        let consequence = match union.content {
            Some(content) => {
                let needed = variant.fields.fields.iter().any(Field::required);
                let required: &[&str] = if needed { &[content] } else { &[] };
                json!({ "properties": { content: self.reference(variant.fields) }, "required": required })
            }
            None => self.beside(of, union, variant),
        };
        json!({ "if": condition, "then": consequence })
    }

    /// Returns the schema of a struct with the fields of one variant.
    fn beside(&mut self, of: &'static Struct, union: &'static Union, variant: &'static Variant) -> Value {
        let mut schema = self.structure(variant.fields);
        schema.remove("type");
        schema.remove("description");
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            // Said before; here only that they are no strangers.
            let known = of.fields.iter().map(|field| field.name).chain([union.tag]);
            properties.extend(known.map(|name| (name.to_owned(), true.into())));
        }
        Value::Object(schema)
    }
}

/// Returns a choice as editors know it: `enumDescriptions` is theirs, and no validator's.
fn choice(of: &Choice) -> Value {
    let names: Vec<_> = of.words.iter().map(|word| word.name).collect();
    let meanings: Vec<_> = of.words.iter().map(|word| text::of_lines(word.doc)).collect();
    json!({ "type": "string", "enum": names, "enumDescriptions": meanings })
}

fn object(fields: &[(&str, Value)]) -> Object {
    fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
