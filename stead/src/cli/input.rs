//! Manifests as commands take them: from a file or from standard input, and checked before a node hears of them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use spec::manifest::{Checked, Manifest, Source, check_file};
use spec::problem::Problem;

use super::{problems, show};

/// Longest text that is read; one of this length is refused with its mistakes.
const BYTES_MAX: u64 = 2 << 20;

/// A text, under the name that its user gave it.
pub(super) struct Input {
    pub(super) name: String,
    pub(super) text: String,
}

impl Input {
    /// Reads a file, or standard input for `-`.
    pub(super) fn read(file: &Path) -> anyhow::Result<Input> {
        let name = if is_stdin(file) { "<stdin>".to_owned() } else { file.display().to_string() };
        if file.is_dir() {
            bail!("{} is a folder: name the files in it that are meant", show::name(file));
        }
        let mut text = String::new();
        let read = match is_stdin(file) {
            true => std::io::stdin().take(BYTES_MAX).read_to_string(&mut text),
            false => File::open(file).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)),
        };
        read.with_context(|| format!("{} cannot be read", show::line(&name)))?;
        Ok(Input { name, text })
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source { name: &self.name, text: &self.text }
    }
}

pub(super) fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// A manifest that this version can run.
pub(super) struct Ready {
    pub(super) input: Input,
    pub(super) manifest: Manifest,
    /// What has been told of it already.
    pub(super) warnings: Vec<Problem>,
}

impl Ready {
    /// Reads and checks a manifest, and tells what is wrong with it or doubtful: also while no node runs.
    pub(super) fn read(file: &Path) -> anyhow::Result<Ready> {
        let input = Input::read(file)?;
        let Checked { manifest, problems } = check_file(&input.text).to_run();
        problems::tell(&problems, &input);
        match manifest {
            Some(manifest) => Ok(Ready { input, manifest, warnings: problems }),
            None => bail!("{}: {}; nothing was applied", show::line(&input.name), spec::problem::summary(&problems)),
        }
    }

    /// Tells what the node warns of and was not told before.
    pub(super) fn tell(&self, warnings: &[Problem]) {
        problems::tell(&problems::unknown(warnings, &self.warnings), &self.input);
    }

    /// Tells what the node has against the manifest; returns the rest of its refusal.
    pub(super) fn refused(&self, error: api::client::Error) -> anyhow::Error {
        let Some(document) = error.problem().filter(|document| !document.problems.is_empty()) else {
            return anyhow::Error::new(error).context(format!("{} was not applied", show::line(&self.input.name)));
        };
        problems::tell(&problems::unknown(&document.problems, &self.warnings), &self.input);
        anyhow::anyhow!("{}: {}; nothing was applied", show::line(&self.input.name), document.detail)
    }
}
