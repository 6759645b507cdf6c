//! `cargo xtask image`: packs one of the examples as an OCI archive, for `stead image load`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::oci::{self, Program};
use crate::workspace;

/// Pack an example program as an OCI archive, ready for `stead image load`.
#[derive(clap::Args)]
pub struct Image {
    /// The program, which is a package of the workspace.
    #[arg(value_parser = ["hello"])]
    program: String,
    /// Where to write the archive; by default <PROGRAM>.tar.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Image {
    pub fn run(self) -> Result<ExitCode> {
        let output = self.output.unwrap_or_else(|| PathBuf::from(format!("{}.tar", self.program)));
        let built = workspace::build(&[&self.program])?;
        let archive = pack(&self.program, &built[0])?;
        std::fs::write(&output, &archive).with_context(|| format!("cannot write {}", output.display()))?;
        println!("{}: {}:latest, {} KiB", output.display(), self.program, archive.len() >> 10);
        Ok(ExitCode::SUCCESS)
    }
}

/// Returns an archive of the image `<name>:latest` with the program at `path` in it.
pub(super) fn pack(name: &str, path: &Path) -> Result<Vec<u8>> {
    let program = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    oci::archive(&Program { reference: &format!("{name}:latest"), name, bytes: &program })
}
