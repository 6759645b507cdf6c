//! The command line: one file for each command.
//!
//! How to add one: a file in `cli/` with its `Args` and `run`, a variant of [`Command`] and its line in [`run`].

mod apply;
mod daemon;
mod delete;
mod doctor;
mod explain;
mod fmt;
mod get;
mod image;
mod import;
mod input;
mod install;
mod logs;
mod paths;
mod plan;
mod problems;
mod progress;
mod replace;
mod schema;
mod show;
mod systemd;
mod uninstall;
mod up;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use api::Client;
use clap::{Parser, Subcommand};

/// First argument of a re-executed shim.
pub const SHIM: &str = "__shim";
/// First argument of the re-executed data plane.
pub const DATA_PLANE: &str = "__data-plane";

/// Runs containers on your servers from one typed file.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Examples:
  stead up hello.yaml          apply a manifest and wait until it serves
  stead plan hello.yaml        what would change, and what that does to what runs
  stead get replica            what runs
  stead logs web -f            follow the logs of a service
  stead doctor                 what the host has and lacks"
)]
struct Cli {
    /// The node's socket [default: /run/stead/stead.sock]
    #[arg(long, global = true, env = "STEAD_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Up(up::Args),
    Plan(plan::Args),
    Apply(apply::Args),
    Delete(delete::Args),
    Get(get::Args),
    Logs(logs::Args),
    Image(image::Args),
    Validate(validate::Args),
    Fmt(fmt::Args),
    Explain(explain::Args),
    Schema(schema::Args),
    Import(import::Args),
    Doctor(doctor::Args),
    Daemon(daemon::Args),
    Install(install::Args),
    Uninstall(uninstall::Args),
}

/// What every command may need.
struct Context {
    socket: PathBuf,
    /// The socket was named by the user, so no other node may be started in its stead.
    socket_named: bool,
}

impl Context {
    fn client(&self) -> Client {
        Client::new(self.socket.clone())
    }
}

/// Runs the command that the arguments ask for.
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| misused(&error));
    let context = Context {
        socket_named: cli.socket.is_some(),
        socket: cli.socket.unwrap_or_else(|| PathBuf::from(paths::RUN).join(paths::SOCKET)),
    };
    match run(cli.command, &context) {
        Ok(code) => code,
        Err(error) => {
            show::error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Shows help, or what is wrong with the arguments; these stand in it, and nothing in them may steer the terminal.
fn misused(error: &clap::Error) -> ! {
    let text = error.render().to_string();
    let said = text.chars().all(|c| c == '\n' || !spec::problem::is_harmful(c));
    match error.use_stderr() && !said {
        true => {
            eprint!("{}", show::plain(&text));
            std::process::exit(error.exit_code())
        }
        false => error.exit(),
    }
}

fn run(command: Command, context: &Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::Daemon(args) => daemon::run(args),
        Command::Fmt(args) => fmt::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Install(args) => block_on(install::run(&args)),
        Command::Doctor(args) => block_on(doctor::run(&args)),
        Command::Uninstall(args) => block_on(uninstall::run(&args, context)),
        Command::Up(args) => block_on(up::run(&args, context)),
        Command::Plan(args) => block_on(plan::run(&args, context)),
        Command::Validate(args) => block_on(validate::run(&args, context)),
        Command::Apply(args) => block_on(apply::run(&args, context)),
        Command::Delete(args) => block_on(delete::run(&args, context)),
        Command::Get(args) => block_on(get::run(&args, context)),
        Command::Logs(args) => block_on(logs::run(&args, context)),
        Command::Image(args) => block_on(image::run(&args, context)),
    }
}

/// Logs what a filter lets through, in colours when a person reads it.
pub fn log_to_stderr(filter: &str) {
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let filter = tracing_subscriber::EnvFilter::new(filter);
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}

/// A command needs no more than one thread.
fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn every_command_has_help_with_an_example() {
        let command = super::Cli::command();
        command.clone().debug_assert();
        for command in command.get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("stead "), "`{}` has no example", command.get_name());
        }
    }
}
