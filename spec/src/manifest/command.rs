//! Overrides of the image's own command (section 5.5), and commands that run beside it.

use serde::{Deserialize, Serialize};

use super::{AbsolutePath, Text};
use crate::shape::{Model, Shape, model};

model! {
    /// Overrides of the image's own command: each field replaces its own part, and leaves the others.
    #[section("5.5")]
    pub struct Command {
        /// Replaces the image's ENTRYPOINT, and leaves its CMD as arguments.
        ///
        /// Default: the image's ENTRYPOINT.
        /// Example: `entrypoint: ["/bin/sh", "-c"]`
        entrypoint: Option<Vec<Text>> = None,
        /// Replaces the image's CMD, which are the arguments of the entrypoint; `[]` drops them.
        ///
        /// Default: the image's CMD.
        /// Example: `args: ["--config", "/etc/app/production.yaml"]`
        args: Option<Vec<Text>> = None,
        /// Replaces the image's WORKDIR.
        ///
        /// Default: the image's WORKDIR.
        /// Example: `workdir: /app`
        workdir: Option<AbsolutePath> = None,
    }
}

/// A command that runs beside the container's own: a text by the image's `/bin/sh -c`, a list as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum CommandLine {
    Shell(Text),
    Direct(Vec<Text>),
}

impl Model for CommandLine {
    const SHAPE: Shape = Shape::TextOrList(&<Text as Model>::SHAPE, &<Vec<Text> as Model>::SHAPE);
}

impl CommandLine {
    pub fn is_empty(&self) -> bool {
        match self {
            CommandLine::Shell(text) => text.trim().is_empty(),
            CommandLine::Direct(args) => args.is_empty(),
        }
    }
}
