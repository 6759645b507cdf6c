//! A manifest as text, for one that has none.

use serde_json::Value;

use super::item::{Collection, Item, Kind, Member};
use super::scalar::{Form, Scalar, fits_literal};
use super::{emit, order};
use crate::manifest::Manifest;
use crate::shape::Model;

/// Returns a manifest as canonical text; what has its default value is left out.
pub fn print(manifest: &Manifest) -> String {
    let mut item = item(&serde_json::to_value(manifest).unwrap_or_default());
    order::order(&mut item, &Manifest::SHAPE);
    part_services(&mut item);
    emit::emit(&item)
}

/// Puts an empty line above each service, where its reader looks for the next one.
fn part_services(root: &mut Item) {
    let Kind::Mapping(root) = &mut root.kind else { return };
    for member in root.members.iter_mut().filter(|member| member.key.as_ref().and_then(Item::text) == Some("services")) {
        member.blank = true;
        if let Kind::Mapping(services) = &mut member.value.kind {
            services.members.iter_mut().skip(1).for_each(|service| service.blank = true);
        }
    }
}

fn item(value: &Value) -> Item {
    Item::of(match value {
        Value::String(text) if fits_literal(text) => Kind::Scalar(Scalar { text: text.clone(), form: Form::Literal }),
        Value::String(text) => Kind::Scalar(Scalar::text(text)),
        Value::Array(items) => {
            let members = items.iter().map(|value| Member::of(None, item(value))).collect();
            // Texts of one line stand in brackets, as they do in a command.
            let flow = items.iter().all(|item| !item.is_array() && !item.is_object());
            Kind::Sequence(Collection { members, flow, ..Collection::default() })
        }
        Value::Object(fields) => {
            let entry =
                |(name, value): (&String, &Value)| Member::of(Some(Item::of(Kind::Scalar(Scalar::text(name)))), item(value));
            Kind::Mapping(Collection { members: fields.iter().map(entry).collect(), ..Collection::default() })
        }
        plain => Kind::Scalar(Scalar::raw(plain.to_string())),
    })
}
