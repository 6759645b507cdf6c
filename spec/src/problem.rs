//! What is wrong with an input: where, what, and the way out.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One mistake in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where, from the manifest's root: `services.web.endpoints[0].port`; empty for the whole.
    pub path: String,
    /// Line in the text given, from 1; 0 when there is no text.
    pub line: u64,
    /// Column in the line, from 1; 0 when there is no text.
    pub column: u64,
    pub message: String,
    /// What would put it right, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Problem {
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { path: path.into(), line: 0, column: 0, message: message.into(), fix: None }
    }

    pub fn fix(self, fix: impl Into<String>) -> Problem {
        Problem { fix: Some(fix.into()), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.fix {
            Some(fix) => write!(f, " ({fix})"),
            None => Ok(()),
        }
    }
}
