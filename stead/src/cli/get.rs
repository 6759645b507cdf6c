//! `stead get`: shows objects.

mod columns;

use std::process::ExitCode;
use std::sync::Arc;

use anstream::println;
use anyhow::bail;
use api::wire::{Event, Query};
use futures_util::StreamExt as _;
use spec::{Key, Kind, Name, Object};

use super::{Context, show};

/// Show objects of a kind.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead get deployment
  stead get replica -o wide
  stead get service hello/web -o yaml
  stead get replica --watch")]
pub(super) struct Args {
    /// deployment, service, replica, endpoint, image, node, … (singular or plural)
    kind: Kind,
    /// Only the object of this name; a deployment's name shows all that is in it
    name: Option<Name>,
    /// How to print
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Go on with each change
    #[arg(short, long)]
    watch: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    Table,
    Wide,
    Json,
    Yaml,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    let client = context.client();
    let query = Query { kinds: vec![args.kind], ..Query::default() };
    if args.watch {
        let mut events = client.watch(&query, None).await?;
        while let Some(event) = events.next().await.transpose()? {
            match event {
                Event::Put(event) if args.wants(&event.object.key) => print(args.output, &[event.object], false)?,
                Event::Delete(event) if args.wants(&event.object.key) => println!("{} is gone", event.object.key),
                _ => {}
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut objects = client.list(&query).await?.objects;
    objects.retain(|object| args.wants(&object.key));
    match &args.name {
        Some(name) if objects.is_empty() => bail!("there is no {} {name}", args.kind),
        Some(name) if objects.len() == 1 && objects[0].key.name == *name => print_one(args.output, &objects[0])?,
        _ => print(args.output, &objects, true)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    fn wants(&self, key: &Key) -> bool {
        let Some(name) = &self.name else { return true };
        key.name == *name || key.name.as_str().strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

fn print_one(output: Output, object: &Arc<Object>) -> anyhow::Result<()> {
    match output {
        Output::Json => println!("{}", serde_json::to_string_pretty(object)?),
        Output::Yaml => print!("{}", serde_saphyr::to_string(object.as_ref())?),
        Output::Table | Output::Wide => print(output, std::slice::from_ref(object), true)?,
    }
    Ok(())
}

fn print(output: Output, objects: &[Arc<Object>], header: bool) -> anyhow::Result<()> {
    match output {
        Output::Json if header => println!("{}", serde_json::to_string_pretty(objects)?),
        Output::Json => objects.iter().try_for_each(|object| serde_json::to_string(object).map(|line| println!("{line}")))?,
        Output::Yaml => {
            for object in objects {
                print!("---\n{}", serde_saphyr::to_string(object.as_ref())?);
            }
        }
        Output::Table | Output::Wide => {
            let Some(first) = objects.first() else {
                eprintln!("there is none");
                return Ok(());
            };
            let titles = columns::titles(first.key.kind, output == Output::Wide);
            let rows = objects.iter().map(|object| columns::cells(object, output == Output::Wide)).collect();
            show::table(if header { &titles } else { &[] }, rows);
        }
    }
    Ok(())
}
