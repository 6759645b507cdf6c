//! `stead image`: the node's images.

use std::path::PathBuf;
use std::process::ExitCode;

use anstream::println;
use anyhow::Context as _;

use super::{Context, show};

/// Load and list the node's images.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stead image load hello.tar    an OCI archive, as `skopeo copy … oci-archive:hello.tar` makes it
  stead image ls")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Load an OCI archive, so that deploying needs no registry
    #[command(after_help = "Examples:\n  stead image load hello.tar")]
    Load {
        /// An OCI archive
        file: PathBuf,
    },
    /// List the images
    #[command(after_help = "Examples:\n  stead image ls")]
    Ls,
}

pub(super) async fn run(args: &Args, context: &Context) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Load { file } => {
            let archive = tokio::fs::File::open(file).await.with_context(|| format!("{} cannot be read", file.display()))?;
            let loaded =
                context.client().load_image(archive).await.with_context(|| format!("{} was not loaded", file.display()))?;
            for image in loaded {
                let name = if image.reference.is_empty() { "an image without a name" } else { &image.reference };
                println!("loaded {} {}", show::plain(name), image.digest);
            }
        }
        Command::Ls => {
            let images = context.client().images().await?;
            let rows = images
                .into_iter()
                .map(|image| vec![image.references.join(" "), image.digest, show::size(image.size_bytes)])
                .collect();
            show::table(&["name", "digest", "size"], rows);
        }
    }
    Ok(ExitCode::SUCCESS)
}
