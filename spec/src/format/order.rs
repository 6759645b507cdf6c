//! Puts fields in the order of the model, and services on lines of their own. What is the user's own keeps its order.

use super::item::{Item, Kind, Member};
use crate::shape::{Shape, Struct, Union, Variant};

/// Orders a value of a shape and all within.
pub(super) fn order(item: &mut Item, shape: &Shape) {
    match (&mut item.kind, shape) {
        (Kind::Sequence(list), Shape::List(of)) => list.members.iter_mut().for_each(|member| order(&mut member.value, of)),
        (Kind::Sequence(_), Shape::TextOrList(_, list)) => order(item, list),
        (Kind::Mapping(map), Shape::Map(of)) => {
            // The services are no detail for one line.
            map.flow &= !matches!(of.value, Shape::Struct(_));
            map.members.iter_mut().for_each(|member| order(&mut member.value, of.value));
        }
        (Kind::Mapping(map), Shape::Struct(of)) => {
            let fields = fields(of, &map.members);
            let rank = |member: &Member| fields.iter().position(|(name, _)| Some(*name) == name_of(member)).unwrap_or(usize::MAX);
            map.members.sort_by_key(rank);
            for member in &mut map.members {
                let field = fields.iter().find(|(name, _)| Some(*name) == name_of(member));
                if let Some((_, Some(shape))) = field {
                    order(&mut member.value, shape);
                }
            }
        }
        _ => {}
    }
}

fn name_of(member: &Member) -> Option<&str> {
    member.key.as_ref().and_then(Item::text)
}

/// A field's name, and its shape where it has one.
type Named = (&'static str, Option<Shape>);

/// Returns the fields that a struct with these members may have, in the order in which they are written.
fn fields(of: &Struct, members: &[Member]) -> Vec<Named> {
    let union = of.union.map(|union| (union, in_union(union, members)));
    let behind = |name: Option<&str>| {
        let here = union.iter().filter(move |(union, _)| union.after == name);
        here.flat_map(|(_, fields)| fields.iter().copied()).collect::<Vec<_>>()
    };
    let mut fields = behind(None);
    for field in of.fields {
        fields.push((field.name, Some(*field.shape)));
        fields.extend(behind(Some(field.name)));
    }
    fields
}

/// Returns the tag and what goes with it.
fn in_union(union: &Union, members: &[Member]) -> Vec<Named> {
    let tag = members.iter().find(|member| name_of(member) == Some(union.tag));
    let chosen = tag.and_then(|tag| tag.value.text()).or(union.default).and_then(|name| union.variant(name));
    let mut fields = vec![(union.tag, None)];
    match union.content {
        Some(content) => fields.push((content, chosen.map(|variant| Shape::Struct(variant.fields)))),
        None => fields.extend(chosen.map_or(union.variants, std::slice::from_ref).iter().flat_map(of_variant)),
    }
    fields
}

fn of_variant(variant: &Variant) -> impl Iterator<Item = Named> {
    variant.fields.fields.iter().map(|field| (field.name, Some(*field.shape)))
}
