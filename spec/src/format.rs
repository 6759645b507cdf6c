//! The canonical form of a manifest's text: fields in the order of the model, two spaces of indentation, comments where they were.
//!
//! ```text
//!  text ──yaml──▶ nodes, comments ──attach──▶ Item ──order──▶ Item ──emit──▶ text
//!                        Manifest ──print──────────────────────────┘
//! ```
//!
//! What comes out is read again and compared with what went in, so that no comment and no meaning is ever lost.

mod attach;
mod emit;
mod item;
mod order;
mod print;
mod same;
mod scalar;

use std::borrow::Cow;

use crate::manifest::{self, Manifest};
use crate::problem::{Code, Problem};
use crate::shape::Model;
use crate::yaml::{self, Content, Document, MAX_BYTES, Node};

pub use print::print;

/// Returns the canonical form of a text, which need not be a valid manifest: a mapping in YAML is enough.
///
/// Fields that the language does not have stand after those it has. A text with anchors keeps its order, as an anchor stands
/// before what names it.
pub fn format(text: &str) -> Result<String, Vec<Problem>> {
    let document = yaml::parse(text).map_err(|fault| unreadable(text, fault.message))?;
    let unix = unix(text);
    let parsed = yaml::parse(&unix).map_err(|fault| unreadable(text, fault.message))?;
    let Some(root @ Node { content: Content::Mapping { .. }, .. }) = &parsed.root else {
        return Err(vec![
            Problem::at("", "a manifest is a mapping: it has `version`, `deployment` and `services`").code(Code::WrongType),
        ]);
    };
    let mut item = attach::attach(&unix, root, &parsed.comments);
    if !has_anchors(root) {
        order::order(&mut item, &Manifest::SHAPE);
        // A comment that came to the top with its field would be taken for one about the file the next time.
        attach::keep_on_top(&mut item);
    }
    let formatted = emit::emit(&item);
    if formatted.len() > MAX_BYTES {
        let message = format!("the canonical form has {} bytes; at most {MAX_BYTES} are read", formatted.len());
        return Err(vec![Problem::at("", message).code(Code::Limit).fix("split the manifest, or write it with fewer lines")]);
    }
    if is_faithful(&document, &formatted) { Ok(formatted) } else { Err(vec![unfaithful()]) }
}

/// Returns what reading says of a text that is no YAML.
fn unreadable(text: &str, message: String) -> Vec<Problem> {
    let problems = manifest::read(text).problems;
    if problems.is_empty() { vec![Problem::at("", message).code(Code::Syntax)] } else { problems }
}

/// Returns the text without a byte order mark, its lines ended by a line feed.
fn unix(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n").into() } else { text.into() }
}

fn has_anchors(node: &Node) -> bool {
    let below = node.items().iter().chain(node.entries().iter().flat_map(|entry| [&entry.key, &entry.value]));
    node.anchor().is_some() || node.alias().is_some() || below.into_iter().any(has_anchors)
}

/// The formatted text says the same as the document, comments included.
fn is_faithful(before: &Document, formatted: &str) -> bool {
    yaml::parse(formatted).is_ok_and(|after| same::same(before, &after))
}

fn unfaithful() -> Problem {
    let problem = Problem::at("", "this text cannot be formatted without changing what it says, so it is left as it is");
    problem.fix("format it by hand, and report it as a mistake of Stead's")
}
