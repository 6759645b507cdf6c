//! `stead validate`: says what is wrong with manifests, before anything runs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anstream::{eprintln, println};
use api::Client;
use api::client::{Error, PutOptions};
use api::wire::ManifestType;
use serde::Serialize;
use spec::manifest::{Checked, Source, check_all};
use spec::problem::{Problem, Severity, render, summary};

use super::input::Input;
use super::show::{self, BAD, DIM, Format, GOOD};
use super::{Context, problems};

/// Say what is wrong with manifests, and apply nothing.
///
/// Several manifests are checked together, as if they were to run beside each other. Ends with 0 when there are no errors, and with
/// 1 otherwise. What this version of Stead cannot run yet is a warning here. If a node runs on this machine it is asked what it
/// would say; what it has against a manifest is a warning too.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead validate shop.yaml
  stead validate shop.yaml blog.yaml    also for what they would take from each other
  stead validate --format json - < shop.yaml
  stead validate --strict --offline *.yaml

JSON (docs/api.md says more):
  {\"files\": [{\"file\", \"valid\", \"problems\": [{\"severity\", \"code\", \"path\", \"file\",
    \"line\", \"column\", \"end_line\", \"end_column\", \"message\", \"label\", \"fix\", \"related\"}]}]}")]
pub(super) struct Args {
    /// The manifests, or - for standard input, which is called <stdin>
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Let nothing pass that there is a warning of
    #[arg(long)]
    strict: bool,
    /// Ask no node
    #[arg(long)]
    offline: bool,
}

/// Longest wait for a node: it can add something, and is not needed.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of one file.
#[derive(Serialize)]
struct Verdict {
    file: String,
    valid: bool,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct Report {
    files: Vec<Verdict>,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let mut files: Vec<&PathBuf> = Vec::new();
    for file in &args.files {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let inputs = files.into_iter().map(|file| Input::read(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let sources: Vec<Source<'_>> = inputs.iter().map(Input::source).collect();
    let mut checked = check_all(&sources, &[]);
    if !args.offline {
        ask_node(context, &inputs, &mut checked).await;
    }
    let report = Report::new(&inputs, checked, args.strict);
    match args.format {
        Format::Text => report.print(&sources),
        Format::Json => show::print_json(&report)?,
    }
    Ok(if report.files.iter().all(|file| file.valid) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Report {
    fn new(inputs: &[Input], checked: Vec<Checked>, strict: bool) -> Report {
        let verdict = |(input, Checked { problems, .. }): (&Input, Checked)| {
            let bars = |problem: &Problem| strict || problem.is_error();
            Verdict { file: input.name.clone(), valid: !problems.iter().any(bars), problems }
        };
        Report { files: inputs.iter().zip(checked).map(verdict).collect() }
    }

    fn print(&self, sources: &[Source<'_>]) {
        for file in self.files.iter().filter(|file| !file.problems.is_empty()) {
            println!("{}", render(&file.problems, &shown(&file.problems, sources), true));
        }
        for Verdict { file, valid, problems } in &self.files {
            let verdict = if *valid { show::paint(GOOD, "valid") } else { show::paint(BAD, "not valid") };
            let count = if problems.is_empty() { String::new() } else { format!(", {}", summary(problems)) };
            println!("{}: {verdict}{count}", show::line(file));
        }
    }
}

/// Returns the sources that problems are about: looking through all of many for each file takes long.
fn shown<'a>(problems: &[Problem], sources: &[Source<'a>]) -> Vec<Source<'a>> {
    let places = problems.iter().flat_map(|problem| problem.related.iter().map(|related| &related.place).chain([&problem.place]));
    let files: BTreeSet<&str> = places.map(|place| place.file.as_str()).collect();
    let is_about = |source: &&Source<'a>| sources.len() == 1 || files.contains(source.name);
    sources.iter().filter(is_about).map(|source| Source { name: source.name, text: source.text }).collect()
}

/// Adds what a node here would say to the manifests that are valid, if one answers.
async fn ask_node(context: &Context, inputs: &[Input], checked: &mut [Checked]) {
    let client = context.client();
    let ask = async {
        for (input, checked) in inputs.iter().zip(checked).filter(|(_, checked)| checked.manifest.is_some()) {
            let said = warnings_of(&client, input).await?;
            let more = problems::unknown(&said, &checked.problems);
            checked.problems.extend(more);
        }
        Ok::<(), Error>(())
    };
    let failed = match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it gave no answer within {PATIENCE:?}"),
    };
    // Whoever names a node wants to hear of it; without a name it is one that might have been there.
    if context.socket_named {
        eprintln!("{} the node was not asked: {}", show::paint(DIM, "note:"), show::plain(&failed));
    }
}

/// Returns what the node has against a manifest: no error, since the manifest is valid all the same.
async fn warnings_of(client: &Client, input: &Input) -> Result<Vec<Problem>, Error> {
    let said = match client.plan_manifest(&input.text, ManifestType::Yaml, PutOptions::default()).await {
        Ok(planned) => planned.warnings,
        Err(Error::Refused(document)) => document.problems,
        Err(error) => return Err(error),
    };
    let here = |mut problem: Problem| {
        problem.severity = Severity::Warning;
        problem.place.file.clone_from(&input.name);
        problem.related.iter_mut().for_each(|related| related.place.file.clone_from(&input.name));
        problem
    };
    Ok(said.into_iter().map(here).collect())
}
