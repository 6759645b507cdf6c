//! Takes each leaf out of a compose file and looks whether anybody notices.

use std::fmt::Write;

use spec::compose::import;
use spec::yaml::{Content, Entry, Node, Style, parse};

/// Leaves that say what is so anyway: without them nothing changes. The first is the end of the path, the second the value.
const SAID_ANYWAY: &[(&str, &str)] = &[
    ("version", ""),
    ("restart", "always"),
    ("restart", "unless-stopped"),
    ("expose[0]", ""),
    ("expose[1]", ""),
    ("driver", "local"),
    ("external", "false"),
    ("mode", "replicated"),
    ("mode", "ingress"),
    ("mode", "host"),
    ("protocol", "tcp"),
    ("host_ip", "0.0.0.0"),
    ("type", "volume"),
    ("privileged", "false"),
    ("required", "true"),
    ("condition", "service_started"),
    ("condition", "on-failure"),
    ("healthcheck.interval", "30s"),
    ("healthcheck.retries", ""),
    // Without it, it is the interval where that is less than 30 s.
    ("es01.healthcheck.timeout", "10s"),
    // A path is bound by itself.
    ("type", "bind"),
    ("networks[1]", "default"),
    ("parallelism", "1"),
];

/// Returns the leaves that change nothing when they are gone, neither the manifest nor a note, and are in nothing that is left out.
pub(super) fn silent(name: &str, text: &str) -> Vec<String> {
    let root = parse(text).unwrap().root.unwrap();
    let whole = outcome(&root);
    let mut paths = Vec::new();
    leaves(&root, &mut Vec::new(), &mut paths);
    assert!(paths.len() > 3, "{name} has no leaves: {paths:?}");
    let left_out = left_out(text);
    let is_left_out = |path: &str| {
        left_out.iter().any(|out| path.strip_prefix(out).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '['])))
    };
    paths.retain(|(_, path, value)| !is_left_out(path) && !is_said_anyway(path, value));
    let unnoticed = paths.into_iter().filter(|(steps, _, _)| outcome(&without(&root, steps)) == whole);
    unnoticed.map(|(_, path, value)| format!("{name}: {path}: {value}")).collect()
}

/// Returns the paths of what is left out, or replaced, as a whole.
fn left_out(text: &str) -> Vec<String> {
    let notes = import(text, "folder").unwrap().notes;
    notes
        .into_iter()
        .filter(|note| note.message.contains("is left out: ") || note.message.starts_with("the check asks"))
        .map(|note| note.path)
        .collect()
}

fn is_said_anyway(path: &str, value: &str) -> bool {
    let said = |(end, said): &(&str, &str)| path.ends_with(end) && (said.is_empty() || value == *said);
    SAID_ANYWAY.iter().any(said)
}

/// Returns what comes of a tree, without places and indices, which move when something before them goes.
fn outcome(root: &Node) -> String {
    let mut text = String::new();
    print(root, 0, &mut text);
    match import(&text, "folder") {
        Ok(imported) => {
            let notes =
                imported.notes.iter().map(|note| (without_indices(&note.path), without_indices(&note.message), &note.fix));
            format!("{:?} {:?}", imported.manifest, notes.collect::<Vec<_>>())
        }
        Err(problems) => format!("{:?}", problems.iter().map(|problem| &problem.message).collect::<Vec<_>>()),
    }
}

fn without_indices(text: &str) -> String {
    let mut parts = text.split('[');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('[');
        plain.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    plain
}

type Steps = Vec<usize>;

/// Collects the leaves but for the empty ones and those of fragments, whose copies are looked at.
fn leaves(node: &Node, steps: &mut Steps, found: &mut Vec<(Steps, String, String)>) {
    walk(node, String::new(), steps, found);
}

fn walk(node: &Node, path: String, steps: &mut Steps, found: &mut Vec<(Steps, String, String)>) {
    let mut child = |index: usize, node: &Node, path: String| {
        steps.push(index);
        walk(node, path, steps, found);
        steps.pop();
    };
    match &node.content {
        Content::Scalar { text, .. } if !text.is_empty() && !node.is_null() => {
            found.push((steps.clone(), path, text.to_string()));
        }
        Content::Scalar { .. } => {}
        Content::Sequence { items, .. } => {
            items.iter().enumerate().for_each(|(index, item)| child(index, item, format!("{path}[{index}]")));
        }
        Content::Mapping { entries, .. } => {
            for (index, Entry { key, value }) in entries.iter().enumerate() {
                let key = key.text().unwrap_or_default();
                if !(path.is_empty() && key.starts_with("x-")) && key != "<<" {
                    let dot = if path.is_empty() { "" } else { "." };
                    child(index, value, format!("{path}{dot}{}", key.replace('\u{1b}', "\\u{1b}")));
                }
            }
        }
    }
}

/// Returns the tree without what the steps lead to.
fn without(node: &Node, steps: &[usize]) -> Node {
    let mut node = node.clone();
    let (first, rest) = steps.split_first().expect("the root stays");
    match &mut node.content {
        Content::Sequence { items, .. } if rest.is_empty() => drop(items.remove(*first)),
        Content::Sequence { items, .. } => items[*first] = without(&items[*first], rest),
        Content::Mapping { entries, .. } if rest.is_empty() => drop(entries.remove(*first)),
        Content::Mapping { entries, .. } => entries[*first].value = without(&entries[*first].value, rest),
        Content::Scalar { .. } => unreachable!("no step leads into a text"),
    }
    node
}

/// Writes a tree in blocks, with its tags, and with copies for aliases.
fn print(node: &Node, indent: usize, text: &mut String) {
    let tag = node.tag().map(|tag| format!("{tag} ")).unwrap_or_default();
    let space = " ".repeat(indent);
    match &node.content {
        Content::Scalar { text: scalar, style: Style::Plain } => writeln!(text, " {tag}{scalar}").unwrap(),
        Content::Scalar { text: scalar, .. } => writeln!(text, " {tag}{}", serde_json::to_string(scalar).unwrap()).unwrap(),
        Content::Sequence { items, .. } if items.is_empty() => writeln!(text, " {tag}[]").unwrap(),
        Content::Mapping { entries, .. } if entries.is_empty() => writeln!(text, " {tag}{{}}").unwrap(),
        Content::Sequence { items, .. } => {
            writeln!(text, " {tag}").unwrap();
            for item in items {
                write!(text, "{space}-").unwrap();
                print(item, indent + 2, text);
            }
        }
        Content::Mapping { entries, .. } => {
            writeln!(text, " {tag}").unwrap();
            for Entry { key, value } in entries {
                let name = key.text().unwrap_or_default();
                let name = if name == "<<" { name.to_owned() } else { serde_json::to_string(name).unwrap() };
                write!(text, "{space}{name}:").unwrap();
                print(value, indent + 2, text);
            }
        }
    }
}
