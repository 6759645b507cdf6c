//! What is said of fields that are missing, and of keys that are none.

use super::Here;
use super::structure::MERGE;
use crate::problem::{Code, Problem};
use crate::shape::{Doc, Field, Map, Union, Variant};
use crate::words::{either, quoted as all_quoted};
use crate::yaml::{Node, quoted};

/// Returns what a struct is called where it is something of its own, with its article.
pub(super) fn noun(name: &str) -> Option<&'static str> {
    Some(match name {
        "Manifest" => "a manifest",
        "Service" => "a service",
        "Endpoint" => "an endpoint",
        "Step" => "an init step",
        "Volume" => "a volume",
        "Dependency" => "a dependency",
        "Run" => "`init.run`",
        "WaitHttp" => "`init.wait_http`",
        "WaitTcp" => "`init.wait_tcp`",
        _ => return None,
    })
}

/// Returns what a struct is called in general: `an endpoint`, or its field.
pub(super) fn kind(here: Here<'_>, name: &str) -> String {
    noun(name).map_or_else(|| quoted(here.path.name().unwrap_or(name)), str::to_owned)
}

/// Returns what one struct is called: `endpoint` and its own name, where it has one.
fn thing(here: Here<'_>, name: &str) -> String {
    let own = |key: &str| here.node.get(key).and_then(Node::text);
    match (name, own("name"), own("id")) {
        ("Service", _, _) => format!("service {}", quoted(here.path.name().unwrap_or_default())),
        ("Endpoint", Some(name), _) => format!("endpoint {}", quoted(name)),
        ("Step", _, Some(id)) => format!("init step {}", quoted(id)),
        ("Scale" | "Check", _, _) => {
            let chosen = ["mode", "type"].into_iter().find_map(|tag| Some((tag, own(tag)?)));
            let with = chosen.map(|(tag, value)| format!(" with `{tag}: {}`", crate::yaml::shown(value))).unwrap_or_default();
            format!("{}{with}", kind(here, name))
        }
        _ => kind(here, name),
    }
}

/// Fields that must be there are not.
pub(super) fn missing_fields(here: Here<'_>, name: &str, fields: &[&Field]) -> Problem {
    let names = crate::words::and(&all_quoted(fields.iter().map(|field| field.name)));
    let problem = Problem::at("", format!("{} needs {names}", thing(here, name))).code(Code::MissingField);
    let examples: Vec<String> = fields.iter().filter_map(|field| Doc::of(field.doc).example).collect();
    let what = if fields.len() == 1 { "it" } else { "them" };
    problem.fix(match examples.is_empty() {
        true => format!("add {what}"),
        false => format!("add {what}, such as `{}`", examples.join("`, `")),
    })
}

/// The tag of a union is not there.
pub(super) fn missing_tag(here: Here<'_>, name: &str, union: &Union) -> Problem {
    let problem = Problem::at("", format!("{} needs `{}`", thing(here, name), union.tag)).code(Code::MissingField);
    let said = |variant: &Variant| {
        here.node.entries().iter().all(|entry| variant.fields.field(entry.key.text().unwrap_or_default()).is_some())
    };
    let fit: Vec<_> = union.variants.iter().filter(|variant| union.content.is_some() || said(variant)).collect();
    let fit = if fit.is_empty() { union.variants.iter().collect() } else { fit };
    let words: Vec<_> = fit.iter().map(|variant| format!("`{}: {}`", union.tag, variant.name)).collect();
    problem.fix(format!("add {}", either(&words)))
}

/// The inputs of an action are not there at all.
pub(super) fn missing_content(here: Here<'_>, name: &str, content: &str, variant: &Variant) -> Problem {
    let needed = variant.fields.fields.iter().filter(|field| field.required());
    let inputs: Vec<_> = needed.filter_map(|field| Doc::of(field.doc).example).collect();
    let message = format!("{} needs `{content}`, the inputs of `{}`", thing(here, name), variant.name);
    let problem = Problem::at("", message).code(Code::MissingField);
    problem.fix(format!("add them, such as `{content}: {{{}}}`", inputs.join(", ")))
}

/// A name in a mapping of the user's own names is none.
pub(super) fn bad_key(name: &str, why: String, map: &Map) -> Problem {
    if name == MERGE {
        return merge_key();
    }
    let problem = Problem::at("", why).code(Code::BadValue);
    let as_label = name.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    match (map.key.check)(&as_label) {
        Ok(()) => problem.fix(format!("write `{}`", crate::yaml::shown(&as_label))),
        Err(_) => problem,
    }
}

pub(super) fn merge_key() -> Problem {
    let problem = Problem::at("", "the language has no merge keys").code(Code::UnknownField);
    problem.fix("write the fields where they belong; `*name` may stand for a whole value")
}
