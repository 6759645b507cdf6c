//! Single values: texts, numbers, words; and what is said when one is of another type than it should be.

use serde_json::Value;

use super::{foreign, instead};
use crate::problem::{Code, Problem};
use crate::shape::{Integer, Number, Scalar, Shape};
use crate::words::{either, nearest, quoted as all_quoted};
use crate::yaml::{Content, Node, Plain, quoted, shown};

type Read = Result<Value, Box<Problem>>;

/// Reads a single value of the field `name`; whatever is no single value is of a wrong type.
pub(super) fn value(node: &Node, shape: &Shape, name: Option<&str>) -> Read {
    let read = match shape {
        Shape::Scalar(scalar) => text(node, scalar, name),
        Shape::Boolean => boolean(node, name),
        Shape::Integer(integer) => self::integer(node, integer),
        Shape::Number(number) => self::number(node, number),
        Shape::Choice(choice) => return one_of(node, name, choice.words.iter().map(|word| word.name)).map(Value::String),
        _ => None,
    };
    match read {
        Some(Ok(value)) => Ok(value),
        Some(Err(problem)) => Err(Box::new(problem)),
        None => Err(Box::new(mistyped(node, shape, name))),
    }
}

/// The value, what is wrong with it, or `None` where it is of another type.
type Found = Option<Result<Value, Problem>>;

fn text(node: &Node, scalar: &Scalar, name: Option<&str>) -> Found {
    let text = node.text()?;
    match node.plain() {
        None | Some(Plain::Text(_)) => {
            Some((scalar.check)(text).map(|()| text.into()).map_err(|why| bad_text(text, why, scalar)))
        }
        Some(Plain::Null) => None,
        Some(_) if (scalar.check)(text).is_ok() => Some(Err(match foreign::word(scalar.name, text) {
            Some(fix) => not_quoted(node, text).fix(fix),
            None => not_quoted(node, text),
        })),
        Some(_) => {
            let with_unit = with_unit(text, scalar)?;
            let problem = mistaken(name, scalar.expected, node);
            Some(Err(problem.fix(format!("write the unit, such as `{with_unit}`"))))
        }
    }
}

fn bad_text(text: &str, why: String, scalar: &Scalar) -> Problem {
    let problem = Problem::at("", why).code(Code::BadValue);
    let right = |other: &String| other != text && (scalar.check)(other).is_ok();
    if let Some(with_unit) = with_unit(text, scalar) {
        return problem.fix(format!("write the unit, such as `{with_unit}`"));
    }
    match near(text, scalar).into_iter().find(right) {
        Some(other) => problem.fix(format!("write `{}`", shown(&other))),
        None if ["${", "{{", "$E:", "$S:"].iter().any(|template| text.contains(template)) && scalar.name != "text" => {
            problem.fix("write the value itself: there is no templating, and `$E:` counts only in `env`")
        }
        None => problem,
    }
}

/// Returns texts that people mean who write `text`; the likely ones first.
fn near(text: &str, scalar: &Scalar) -> Vec<String> {
    let mut near = vec![text.trim().to_owned()];
    if scalar.unit.is_some() {
        let dense: String = text.split_whitespace().collect();
        let unit = dense.find(|c: char| c.is_ascii_alphabetic());
        let upper = dense.to_ascii_uppercase();
        near.extend([dense.clone(), upper.replace('I', "i"), upper, dense.to_ascii_lowercase()]);
        // `5 seconds` is `5s`.
        near.extend(unit.map(|unit| dense[..=unit].to_owned()));
    } else if text.starts_with("$E:") || text.starts_with("$S:") {
        near.push(text.replace('-', "_"));
    } else if scalar.name == "schedule" {
        let schedule = schedule(text);
        // Some have seconds before the minutes.
        near.extend(schedule.split_once(' ').map(|(_, rest)| rest.to_owned()));
        near.insert(1, schedule);
    } else {
        near.extend(text.split_once("://").map(|(_, rest)| rest.to_owned()));
        near.extend(form(text, scalar));
        near.extend([".global", ".service"].into_iter().filter_map(|end| text.strip_suffix(end)).map(str::to_owned));
        near.push(text.to_ascii_lowercase().replace(['_', ' '], "-"));
        near.extend((!text.starts_with(['.', '~', '$']) && !text.contains("://")).then(|| format!("/{text}")));
    }
    near
}

/// Returns a schedule with what other crons have as it is here.
fn schedule(text: &str) -> String {
    let field = |field: &str| match (field, field.strip_prefix("0/")) {
        ("?", _) => "*".to_owned(),
        (_, Some(step)) => format!("*/{step}"),
        (field, None) => field.to_ascii_uppercase(),
    };
    text.split_whitespace().map(field).collect::<Vec<_>>().join(" ")
}

/// Returns the part of a URL that is expected, or the URL of which only a part was written.
fn form(text: &str, scalar: &Scalar) -> Option<String> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    match scalar.name {
        "host" | "host name" => rest.split([':', '/']).next().map(str::to_owned),
        "path of a request" | "path prefix" => rest.find('/').map(|path| rest[path..].to_owned()).filter(|_| rest != text),
        "http URL" => Some(format!("http://{rest}")),
        _ => None,
    }
}

fn with_unit(text: &str, scalar: &Scalar) -> Option<String> {
    // What is too long for a size in `Mi` probably counts bytes.
    let with = [scalar.unit?, "B"].map(|unit| format!("{text}{unit}"));
    with.into_iter().find(|with_unit| (scalar.check)(with_unit).is_ok())
}

/// A text is expected, and without quotes this is something else.
fn not_quoted(node: &Node, text: &str) -> Problem {
    let message = format!("{} without quotes is {}, not a text", quoted(text), kind(node));
    let problem = Problem::at("", message).code(Code::AmbiguousText);
    problem.label("expected a text").fix(format!("put it in quotes: \"{}\"", shown(text)))
}

fn boolean(node: &Node, name: Option<&str>) -> Found {
    if let Some(Plain::Boolean(value)) = node.plain() {
        return Some(Ok(value.into()));
    }
    let fix = match node.text()?.to_ascii_lowercase().as_str() {
        "yes" | "on" | "y" | "true" | "1" | "enabled" => "write true",
        "no" | "off" | "n" | "false" | "0" | "disabled" => "write false",
        _ => return None,
    };
    let problem = mistaken(name, "true or false", node);
    Some(Err(problem.fix(fix)))
}

fn integer(node: &Node, integer: &Integer) -> Found {
    let outside = |text: &str| Problem::at("", format!("{} is not {}", quoted(text), integer.expected)).code(Code::BadValue);
    match node.plain()? {
        Plain::Integer(number) => Some(match u64::try_from(number) {
            Ok(number) if (integer.min..=integer.max).contains(&number) => Ok(number.into()),
            _ => Err(outside(node.text()?)),
        }),
        Plain::Float(_) => Some(Err(outside(node.text()?))),
        _ => None,
    }
}

fn number(node: &Node, number: &Number) -> Found {
    let (given, value) = match node.plain()? {
        Plain::Integer(given) => (given as f64, Value::from(given)),
        Plain::Float(given) => (given, Value::from(given)),
        _ => return None,
    };
    if (number.min..=number.max).contains(&given) {
        return Some(Ok(value));
    }
    Some(Err(Problem::at("", format!("{} is not {}", quoted(node.text()?), number.expected)).code(Code::BadValue)))
}

/// Returns the one of `names` that the node says.
pub(super) fn one_of(
    node: &Node,
    field: Option<&str>,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Result<String, Box<Problem>> {
    let expected = either(&all_quoted(names.clone()));
    let field = field.unwrap_or_default();
    let Some(text) = node.text().filter(|_| !node.is_null()) else {
        let problem = mistaken(Some(field), &expected, node);
        return Err(Box::new(match instead::empty(node, field) {
            Some(fix) => problem.fix(fix),
            None => problem,
        }));
    };
    if names.clone().any(|name| name == text) {
        return Ok(text.to_owned());
    }
    let message = format!("{} is no {}", quoted(text), noun(field));
    let problem = Problem::at("", message).code(Code::BadValue).label(format!("expected {expected}"));
    let only = names.clone().next().filter(|_| names.clone().count() == 1);
    Err(Box::new(match (foreign::word(field, text), nearest(text, names), only) {
        (Some(fix), _, _) => problem.fix(fix),
        (None, Some(near), _) => problem.fix(format!("did you mean `{near}`?")),
        (None, None, Some(only)) => problem.fix(format!("write `{only}`")),
        _ => problem,
    }))
}

/// Returns what the words of a field are called.
fn noun(field: &str) -> String {
    let noun = match field {
        "version" => "version of the language",
        "rtype" | "protocol" | "condition" => field,
        "pull_policy" => "pull policy",
        "uses" => "init action",
        "type" => "type of check",
        "strategy" => "strategy of a rollout",
        _ => return format!("value of `{field}`"),
    };
    noun.to_owned()
}

/// A value of another type than the shape has.
fn mistyped(node: &Node, shape: &Shape, name: Option<&str>) -> Problem {
    let problem = mistaken(name, &expected(shape), node);
    match instead::instead(node, shape, name) {
        Some(fix) => problem.fix(fix),
        None => problem,
    }
}

/// A value of the field `name` is of a wrong type.
fn mistaken(name: Option<&str>, expected: &str, node: &Node) -> Problem {
    let field = name.map(|name| format!("{}: ", quoted(name))).unwrap_or_default();
    Problem::at("", format!("{field}expected {expected}, found {}", what(node))).code(Code::WrongType)
}

fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Scalar(scalar) if scalar.name == "text" => "a text".to_owned(),
        Shape::Scalar(scalar) => scalar.expected.to_owned(),
        Shape::Integer(integer) => integer.expected.to_owned(),
        Shape::Number(number) => number.expected.to_owned(),
        Shape::Boolean => "true or false".to_owned(),
        Shape::Choice(choice) => either(&all_quoted(choice.words.iter().map(|word| word.name))),
        Shape::List(of) => match of.inner() {
            Some(_) => "a list of mappings".to_owned(),
            None => "a list of texts".to_owned(),
        },
        Shape::Map(map) => match map.value.inner() {
            Some(_) => "a mapping of names to services".to_owned(),
            None => "a mapping of names to texts".to_owned(),
        },
        Shape::Struct(inner) => match super::words::noun(inner.name) {
            Some(noun) if !noun.starts_with('`') => format!("{noun}, which is a mapping"),
            _ => "a mapping".to_owned(),
        },
        Shape::TextOrList(text, _) => format!("{} or a list of texts", expected(text)),
    }
}

/// Returns what a node is, in words.
fn what(node: &Node) -> String {
    match &node.content {
        Content::Sequence { .. } => "a list".to_owned(),
        Content::Mapping { .. } => "a mapping".to_owned(),
        Content::Scalar { .. } if node.is_null() => "nothing".to_owned(),
        Content::Scalar { text, .. } => match node.plain() {
            Some(Plain::Boolean(_)) => format!("the boolean {text}"),
            Some(Plain::Integer(_) | Plain::Float(_)) => format!("the number {}", shown(text)),
            Some(Plain::Doubtful) => format!("{}, {}", quoted(text), kind(node)),
            _ => format!("the text {}", quoted(text)),
        },
    }
}

/// Returns what a scalar without quotes is.
fn kind(node: &Node) -> String {
    let text = node.text().unwrap_or_default();
    let digits = text.trim_start_matches(['+', '-']);
    let doubtful = match digits.get(..2) {
        Some("0x" | "0X") => "a hexadecimal number",
        Some("0b") => "a binary number",
        Some(start) if start.starts_with('0') => "an octal number",
        _ if text.contains(':') => "a number to the base of 60",
        _ if digits.starts_with(|c: char| c.is_ascii_digit()) => "a number",
        _ if digits.starts_with('.') => "a number",
        _ if matches!(text, "<<" | "=") => "a special key",
        _ => "a boolean",
    };
    match node.plain() {
        Some(Plain::Boolean(_)) => "a boolean".to_owned(),
        Some(Plain::Integer(_) | Plain::Float(_)) => "a number".to_owned(),
        _ => format!("{doubtful} for some readers of YAML"),
    }
}
