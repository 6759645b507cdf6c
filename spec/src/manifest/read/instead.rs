//! A value of another type than it should be, in the form that it should have.

use crate::shape::{Field, Map, Shape, Struct};
use crate::yaml::{Content, Node, Plain, shown};

/// Returns what to write instead of the node at the field `name`, where that can be told.
pub(super) fn instead(node: &Node, shape: &Shape, name: Option<&str>) -> Option<String> {
    if node.is_null() {
        return Some(nothing(shape, name));
    }
    let value = match (shape, &node.content) {
        (Shape::List(of), Content::Mapping { .. }) => return Some(item(node, of)),
        (Shape::List(Shape::Scalar(_)), Content::Scalar { text, .. }) => list(text.split_whitespace()),
        (Shape::List(of), _) => format!("[{}]", structure(node, of.inner()?)?),
        (Shape::Struct(inner), _) if inner.name == "Manifest" => {
            return Some("put version: v1, deployment and services at the beginning of lines, each with `: `".to_owned());
        }
        (Shape::Struct(inner), _) => structure(node, inner)?,
        (Shape::Map(map), Content::Sequence { items, .. }) => return pair(items.first()?, map),
        (Shape::Number(_), Content::Scalar { text, .. }) if cores(text).is_some() => cores(text)?,
        (Shape::Integer(_) | Shape::Number(_), Content::Scalar { text, .. }) => return number(node, text),
        (Shape::Scalar(scalar), Content::Mapping { flow: true, .. }) if scalar.name == "text" => {
            return Some("put a text with braces in quotes".to_owned());
        }
        (Shape::Scalar(scalar), Content::Sequence { flow: true, .. }) if scalar.name == "text" => {
            return Some("put a text with brackets in quotes".to_owned());
        }
        _ => return None,
    };
    Some(match name {
        Some(name) => format!("write `{}: {value}`", shown(name)),
        None => format!("write `{value}`"),
    })
}

/// A list is expected; a mapping is one of its items, or names them all.
fn item(node: &Node, of: &Shape) -> String {
    let named = || {
        let first = node.entries().first().filter(|entry| !entry.value.entries().is_empty())?;
        let field = of.inner()?.fields.iter().find(|field| field.required())?;
        let name = first.key.text().filter(|name| fits(field, name))?;
        Some(format!("`- {}: {}`", field.name, shown(name)))
    };
    let example = named().unwrap_or_else(|| "`- `".to_owned());
    format!("write a list: begin each item with {example}")
}

fn nothing(shape: &Shape, name: Option<&str>) -> String {
    match (shape, name) {
        (Shape::Scalar(scalar), _) if (scalar.check)("").is_ok() => "write \"\" for an empty text".to_owned(),
        (Shape::Struct(_) | Shape::Map(_), Some(name)) => {
            format!("indent what belongs to `{}` deeper, or leave it out", shown(name))
        }
        _ => no_value(name),
    }
}

fn no_value(name: Option<&str>) -> String {
    match name {
        Some(name) => format!("write a value behind `{}:`", shown(name)),
        None => "write a value, or leave it out".to_owned(),
    }
}

/// Returns the way out of a word that is not there.
pub(super) fn empty(node: &Node, name: &str) -> Option<String> {
    node.is_null().then(|| no_value(Some(name)))
}

/// Returns texts as a list.
fn list<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let texts: Vec<_> = texts.map(|text| format!("\"{}\"", shown(text))).collect();
    format!("[{}]", texts.join(", "))
}

/// Returns the mapping that a text, a number or a list probably stands for.
fn structure(node: &Node, inner: &Struct) -> Option<String> {
    let text = node.text().map(shown);
    match (inner.name, &text) {
        ("Command", Some(text)) => return Some(format!("{{args: {}}}", list(text.split_whitespace()))),
        ("Command", None) => return Some(format!("{{args: {}}}", list(node.items().iter().filter_map(Node::text)))),
        ("Service", Some(text)) => return Some(format!("{{image: {{name: {text}}}}}")),
        ("Scale", Some(text)) if text.bytes().all(|b| b.is_ascii_digit()) => {
            return Some(format!("{{mode: fixed, replicas: {text}}}"));
        }
        ("Scale", Some(text)) if inner.union.is_some_and(|union| union.variant(text).is_some()) => {
            return Some(format!("{{mode: {text}}}"));
        }
        ("Health" | "Check", Some(text)) if text.starts_with('/') => {
            let check = format!("{{type: http, path: {text}}}");
            return Some(if inner.name == "Health" { format!("{{check: {check}}}") } else { check });
        }
        ("Check", Some(text)) if matches!(text.as_str(), "http" | "tcp") => return Some(format!("{{type: {text}}}")),
        ("Volume", Some(text)) => return volume(text),
        ("Endpoint", Some(text)) => {
            let (port, target) = text.split_once(':').unwrap_or((text, ""));
            let port = port.parse::<u16>().ok()?;
            let target = target.parse::<u16>().map(|target| format!(", target: {target}")).unwrap_or_default();
            return Some(format!("{{name: http, protocol: http, port: {port}{target}, expose: public}}"));
        }
        _ => {}
    }
    if let (Some(field), Some(text)) = (only(inner), &text)
        && fits(field, text)
    {
        return Some(format!("{{{}: {text}}}", field.name));
    }
    let required = inner.fields.iter().filter(|field| field.required());
    let some: Vec<_> = required.chain(inner.fields.iter().filter(|field| !field.required())).take(2).collect();
    let some: Vec<_> = some.iter().map(|field| format!("{}: …", field.name)).collect();
    (!some.is_empty()).then(|| format!("{{{}}}", some.join(", ")))
}

/// Returns the one field that must be there, or the one there is.
fn only(inner: &Struct) -> Option<&Field> {
    let mut required = inner.fields.iter().filter(|field| field.required());
    match (required.next(), required.next(), inner.fields) {
        (Some(field), None, _) => Some(field),
        (None, _, [field]) => Some(field),
        _ => None,
    }
}

fn fits(field: &Field, text: &str) -> bool {
    match field.shape {
        Shape::Scalar(scalar) => (scalar.check)(text).is_ok(),
        Shape::Choice(choice) => choice.words.iter().any(|word| word.name == text),
        _ => false,
    }
}

/// `data:/var/lib/data` and `/etc/app.conf:/etc/app.conf` of others.
fn volume(text: &str) -> Option<String> {
    let mut parts = text.split(':');
    let (source, target) = (parts.next()?, parts.next()?);
    Some(match source.strip_prefix(['.', '~']) {
        Some(rest) => format!("{{bind: /…{rest}, target: {target}}}"),
        None if source.starts_with('/') => format!("{{bind: {source}, target: {target}}}"),
        None => format!("{{name: {source}, target: {target}}}"),
    })
}

/// `- NAME=value` and `- name: NAME` of others.
fn pair(item: &Node, map: &Map) -> Option<String> {
    let named = |field: &str| item.get(field).and_then(Node::text).map(shown);
    if let (Some(name), Some(_)) = (named("name"), map.value.inner()) {
        return Some(format!("write each as `{name}:`, without `- `, with its fields indented below it"));
    }
    let pair = match (item.text().and_then(|text| text.split_once('=')), item.entries()) {
        (Some((name, value)), _) => format!("{}: \"{}\"", shown(name), shown(value)),
        (None, [_, ..]) if named("name").is_some() => {
            format!("{}: \"{}\"", named("name")?, named("value").unwrap_or_else(|| "…".to_owned()))
        }
        (None, [entry, ..]) => format!("{}: …", shown(entry.key.text()?)),
        _ => return None,
    };
    Some(format!("put each on a line of its own, without `- `: {pair}"))
}

/// `500m` and `50%` of others are half a core.
fn cores(text: &str) -> Option<String> {
    let share = |number: &str, of: f64| number.parse::<u32>().ok().map(|number| (f64::from(number) / of).to_string());
    text.strip_suffix('m').and_then(|number| share(number, 1000.0)).or_else(|| share(text.strip_suffix('%')?, 100.0))
}

/// A number is expected; a text that is one in quotes only has quotes too many.
fn number(node: &Node, text: &str) -> Option<String> {
    let mapped = text.split_once(':').filter(|parts| parts.0.parse::<u16>().is_ok() && parts.1.parse::<u16>().is_ok());
    match (node.plain(), mapped) {
        (_, Some((port, target))) => Some(format!("write `port: {port}` and `target: {target}`")),
        (None, _) if text.parse::<f64>().is_ok() => Some(format!("write it without quotes: {}", shown(text))),
        (Some(Plain::Doubtful), _) if text.starts_with('0') && text.parse::<u32>().is_ok() => {
            Some(format!("write it without zeros before it: {}", text.trim_start_matches('0')))
        }
        (Some(Plain::Doubtful), _) => Some(format!("write it with the digits 0 to 9 alone: {}", shown(text).replace('_', ""))),
        _ => None,
    }
}
