//! From a compose file to a manifest: what carries over, and a note for each thing that does not.
//!
//! ```text
//!  text ──yaml──▶ tree ──fragments──▶ tree without merge keys and tags ──service, …──▶ Manifest + notes
//! ```
//!
//! Every mapping is read by going through its fields, and what no line knows gets a note: nothing is dropped in silence. Meanings
//! are those of the Compose Specification; where its reference implementation does something else, the comment there says so.
//!
//! To carry over one more field of a service: a line in [`service`], and out of the table in [`reasons`].

mod at;
mod command;
mod depends;
mod deploy;
mod environment;
mod fragments;
mod health;
mod image;
mod names;
mod notes;
mod ports;
mod probe;
mod quantity;
mod reasons;
mod service;
mod shared;
mod variables;
mod volumes;
mod words;

use std::collections::BTreeMap;

use crate::manifest::{self, Label, Manifest, Version};
use crate::problem::{Code, Problem};
use crate::yaml::{self, Content, MAX_BYTES, Node};

use at::At;
use names::Names;
use notes::Notes;

/// What came of importing a compose file.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub manifest: Manifest,
    /// What was left out, changed or guessed, as warnings in the order of the text. Paths are those of the compose file.
    pub notes: Vec<Problem>,
}

/// Everything that is shared while the services of one file are read.
struct Import<'a> {
    notes: Notes<'a>,
    names: Names,
    deployment: Label,
    /// Public ports, and the service that has each; datagrams apart.
    ports: BTreeMap<(bool, u16), String>,
    depends: Vec<depends::Wanted<'a>>,
    volumes: volumes::Uses,
    networks: shared::Networks<'a>,
    variables: environment::Variables<'a>,
}

/// Longest list of services that is looked at: no manifest has more.
const SERVICES_MAX: usize = 1024;

/// Reads a compose file. `name` is the deployment's where the file has none; any text will do.
///
/// The manifest passes [`manifest::parse`] when printed. Errors say why there is none.
pub fn import(text: &str, name: &str) -> Result<Imported, Vec<Problem>> {
    let document = yaml::parse(text).map_err(|fault| vec![notes::syntax(text, fault)])?;
    let mut notes = Notes::of(text);
    let Some(root) = document.root else { return Err(vec![missing(&notes, &At::nothing(&NOTHING))]) };
    let root = fragments::resolve(root, &mut notes);
    let root = At::root(&root);
    let services = services(&root, &notes).map_err(|problem| vec![*problem])?;
    let deployment = deployment(&root, name, &mut notes);
    let names = Names::of(&services, &mut notes);
    let mut import = Import {
        notes,
        names,
        deployment,
        ports: BTreeMap::new(),
        depends: Vec::new(),
        volumes: volumes::Uses::default(),
        networks: BTreeMap::new(),
        variables: environment::Variables::default(),
    };
    let services = services.fields().filter_map(|(key, at)| service::read(&mut import, key, &at)).collect();
    import.finish(&root, services)
}

static NOTHING: Node =
    Node { span: yaml::Span { start: 0, end: 0 }, content: Content::Sequence { items: Vec::new(), flow: false }, marks: None };

fn missing(notes: &Notes<'_>, at: &At<'_>) -> Problem {
    let problem = Problem::at("", "there are no services here").code(Code::MissingField);
    notes.problem(at, problem.fix("a compose file has `services:` with a name and an `image` for each"))
}

fn services<'a>(root: &At<'a>, notes: &Notes<'_>) -> Result<At<'a>, Box<Problem>> {
    let Some(services) = root.get("services") else {
        let old = root.fields().any(|(_, at)| at.get("image").or_else(|| at.get("build")).is_some());
        let fix = "this is the oldest form of compose files: indent the services below `services:`";
        let problem = missing(notes, root);
        return Err(Box::new(if old { problem.fix(fix) } else { problem }));
    };
    match services.fields().count() {
        0 => Err(Box::new(missing(notes, &services))),
        1..=SERVICES_MAX => Ok(services),
        count => {
            let problem =
                Problem::at("", format!("{count} services are more than the {SERVICES_MAX} of one deployment")).code(Code::Limit);
            Err(Box::new(notes.problem(&services, problem.fix("make it several deployments"))))
        }
    }
}

fn deployment(root: &At<'_>, fallback: &str, notes: &mut Notes<'_>) -> Label {
    let Some(at) = root.get("name") else { return names::label(fallback) };
    let Some(text) = at.text() else {
        notes.leave_out(&at, "a name is a text");
        return names::label(fallback);
    };
    let filled = variables::fill(text);
    let label = names::label(if filled.unset.is_empty() { &filled.text } else { fallback });
    if label != *text {
        notes.add(
            &at,
            format!("the deployment is called `{label}`: names are lower-case letters, digits and `-`, without variables"),
        );
    }
    label
}

impl<'a> Import<'a> {
    fn finish(
        mut self,
        root: &At<'a>,
        mut services: BTreeMap<manifest::ServiceName, manifest::Service>,
    ) -> Result<Imported, Vec<Problem>> {
        depends::settle(&mut self, &mut services);
        shared::read(&mut self, root);
        self.variables.tell(&mut self.notes);
        let manifest = Manifest { version: Version::V1, deployment: self.deployment, services };
        let errors: Vec<_> = manifest::validate(&manifest).into_iter().filter(Problem::is_error).collect();
        match too_long(&manifest) {
            _ if !errors.is_empty() => Err(errors),
            Some(problem) => Err(vec![problem]),
            None => Ok(Imported { manifest, notes: self.notes.finish() }),
        }
    }
}

/// A short list of ports or words may stand for a manifest that is longer than any that is read.
fn too_long(manifest: &Manifest) -> Option<Problem> {
    let length = crate::format::print(manifest).len();
    let message = format!("the manifest would have {length} bytes; at most {MAX_BYTES} are read");
    (length > MAX_BYTES).then(|| Problem::at("", message).code(Code::Limit).fix("make it several deployments"))
}
