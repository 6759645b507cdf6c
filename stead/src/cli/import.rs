//! `stead import`: manifests from what other programs read.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::eprintln;
use anyhow::{Context as _, bail};
use spec::compose::Imported;

use super::input::{Input, is_stdin};
use super::problems;
use super::replace::replace;
use super::show::{self, DIM};

/// Make a manifest of a file that another program reads.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead import compose > shop.yaml")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Compose(Compose),
}

/// Make a manifest of a Docker Compose file, and say what could not be carried over.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead import compose > shop.yaml                     of the compose file in this folder
  stead import compose docker-compose.yml -o shop.yaml
  stead import compose --name shop - < compose.yaml")]
struct Compose {
    /// The compose file, or - for standard input [default: compose.yaml or docker-compose.yml, and their like, in this folder]
    file: Option<PathBuf>,
    /// Write the manifest here, and not to standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there already
    #[arg(long, requires = "output")]
    force: bool,
    /// Name of the deployment [default: the compose file's own, or that of its folder]
    #[arg(long)]
    name: Option<String>,
}

/// Names that compose files have, the usual ones first.
const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Compose(args) => compose(args),
    }
}

fn compose(args: &Compose) -> anyhow::Result<ExitCode> {
    let file = args.file.clone().map_or_else(find, Ok)?;
    let input = Input::read(&file)?;
    let Imported { mut manifest, notes } = match spec::compose::import(&input.text, &folder_name(&file)) {
        Ok(imported) => imported,
        Err(problems) => {
            problems::tell(&problems, &input);
            bail!("{}: {}; there is no manifest", show::line(&input.name), spec::problem::summary(&problems));
        }
    };
    if let Some(name) = &args.name {
        manifest.deployment = name.parse().map_err(|why| anyhow::anyhow!("--name {name}: {why}"))?;
    }
    let text = spec::format::print(&manifest);
    match &args.output {
        Some(output) => write(output, args.force, &text)?,
        None => show::print_whole(&text)?,
    }
    problems::tell(&notes, &input);
    eprintln!("{}: {}", show::line(&input.name), count(manifest.services.len(), notes.len()));
    let output = args.output.as_ref().map_or("FILE".to_owned(), |output| show::name(output));
    eprintln!("  {}", show::paint(DIM, format!("stead validate {output}    says what this version cannot run")));
    Ok(ExitCode::SUCCESS)
}

/// Looks for a compose file in the working folder.
fn find() -> anyhow::Result<PathBuf> {
    match NAMES.iter().find(|name| Path::new(name).is_file()) {
        Some(name) => Ok(PathBuf::from(name)),
        None => bail!("there is no {} here: say which file is meant", NAMES.join(", ")),
    }
}

/// Returns the name of the folder that a file is in.
fn folder_name(file: &Path) -> String {
    let file = if is_stdin(file) { Path::new("compose.yaml") } else { file };
    let file = std::path::absolute(file).unwrap_or_default();
    file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes a new file, or with `force` over one that is there; that one keeps its text when the new one cannot be written.
fn write(output: &Path, force: bool, text: &str) -> anyhow::Result<()> {
    let name = show::name(output);
    let written = if force && output.is_file() { replace(output, text) } else { create(output, force, text) };
    match written {
        Err(error) if !force && error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{name} is there already: --force writes over it")
        }
        written => written.with_context(|| format!("{name} cannot be written")),
    }
}

/// Writes a file that is not there, or with `force` something else than a file; one that cannot be written whole does not stay.
fn create(output: &Path, force: bool, text: &str) -> std::io::Result<()> {
    let mut options = File::options();
    let mut file = options.write(true).create_new(!force).create(true).truncate(true).open(output)?;
    file.write_all(text.as_bytes()).inspect_err(|_| {
        if !force {
            let _ = std::fs::remove_file(output);
        }
    })
}

fn count(services: usize, notes: usize) -> String {
    let services = if services == 1 { "1 service".to_owned() } else { format!("{services} services") };
    match notes {
        0 => format!("{services}, and all of the file was carried over"),
        1 => format!("{services}; 1 thing is not as it was"),
        _ => format!("{services}; {notes} things are not as they were"),
    }
}
