//! `init.run`: runs a command in the replica's own root.

use std::time::Duration;

use spec::kind::container::Cause;
use spec::manifest::{self, CommandLine, Step};

use super::{Action, Context};
use crate::container::{Error, Launch, Role, Running};

pub(super) const ACTION: Action =
    Action { name: "init.run", try_once: |context, index, step| Box::pin(run(context, index, step)) };

/// How long a killed command may take to be gone.
const KILL_PATIENCE: Duration = Duration::from_secs(5);

const SHELL: &str = "/bin/sh";

async fn run(context: &Context, index: usize, step: &Step) -> Result<(), String> {
    let manifest::Action::Run(wanted) = &step.action else { return Err("it is another action".to_owned()) };
    let args = match &wanted.command {
        CommandLine::Shell(script) => vec![SHELL.to_owned(), "-c".to_owned(), script.to_string()],
        CommandLine::Direct(args) => args.iter().map(ToString::to_string).collect(),
    };
    let role = Role::Step { index, id: step.id.to_string(), args };
    let started = context.containers.start(Launch { role, ..context.launch.clone() }).await;
    let mut running = started.map_err(|error| refused(&wanted.command, &error))?;
    match tokio::time::timeout(step.timeout.into(), running.wait()).await {
        Ok(record) if record.cause == Cause::Code(0) => Ok(()),
        Ok(record) => Err(record.cause.to_string()),
        Err(_) => {
            kill(&mut running).await;
            Err(format!("not done within {}", step.timeout))
        }
    }
}

fn refused(command: &CommandLine, error: &Error) -> String {
    match (command, error) {
        (CommandLine::Shell(_), Error::NotStarted(why)) if why.starts_with("exec: ") && why.contains(SHELL) => {
            format!("the image has no {SHELL} to run a text with; give the command as a list: {why}")
        }
        _ => error.to_string(),
    }
}

/// Ends it now, so that a next try finds its place free.
async fn kill(running: &mut Running) {
    let _ = running.stop("SIGKILL", Duration::ZERO).await;
    let _ = tokio::time::timeout(KILL_PATIENCE, running.wait()).await;
}
