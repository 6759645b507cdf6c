//! What is wrong with an input: where, what, and the way out.

mod render;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use render::{is_harmful, render, summary};

/// One mistake in a manifest, or a doubt about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub severity: Severity,
    /// For programs: stable.
    #[serde(default)]
    pub code: Code,
    /// Where, from the manifest's root: `services.web.endpoints[0].port`; empty for the whole.
    pub path: String,
    #[serde(flatten)]
    pub place: Place,
    /// What is wrong, in one sentence without its full stop.
    pub message: String,
    /// A few words for the very place: what was expected there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What would put it right, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Other places that have to do with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

/// Another place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    pub path: String,
    #[serde(flatten)]
    pub place: Place,
    /// What there is to know about it: `the first one is here`.
    pub message: String,
}

/// A stretch of a text: from line and column up to, and without, the end; both count from 1, columns in characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// Name of the file, where several are looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// 0 when there is no text.
    pub line: u64,
    pub column: u64,
    #[serde(default)]
    pub end_line: u64,
    #[serde(default)]
    pub end_column: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing is applied.
    #[default]
    Error,
    /// It is applied; it may not do what was meant.
    Warning,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The text is no YAML that is read here.
    Syntax,
    /// A key is there twice.
    DuplicateKey,
    /// The language has no such field.
    UnknownField,
    /// A field that must be there is not.
    MissingField,
    /// A field that goes with another choice than the one that was made.
    MisplacedField,
    /// A text where a number belongs, a mapping where a list belongs, and the like.
    WrongType,
    /// Without quotes, it is no text for some readers of YAML.
    AmbiguousText,
    /// The right type, and not a value of it.
    BadValue,
    /// Too many of something.
    Limit,
    /// Two of the same name.
    DuplicateName,
    /// Two that cannot both be had.
    Clash,
    /// A name of a service that there is not.
    UnknownService,
    /// Services that wait for each other.
    Cycle,
    /// Something that can never come.
    Unreachable,
    /// Fields that contradict each other.
    Contradiction,
    /// Valid, and this version of Stead cannot run it.
    Unbuilt,
    /// A variable that the node does not have.
    UnsetVariable,
    /// Valid, and probably not what was meant.
    Suspicious,
    /// This node does not take it.
    NotAdmitted,
    #[default]
    #[serde(other)]
    Other,
}

impl Code {
    /// Returns the name as it is written for programs: `unknown_field`.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

impl Problem {
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            code: Code::Other,
            path: path.into(),
            place: Place::default(),
            message: message.into(),
            label: None,
            fix: None,
            related: Vec::new(),
        }
    }

    pub fn code(self, code: Code) -> Problem {
        Problem { code, ..self }
    }

    pub fn warning(self) -> Problem {
        Problem { severity: Severity::Warning, ..self }
    }

    pub fn label(self, label: impl Into<String>) -> Problem {
        Problem { label: Some(label.into()), ..self }
    }

    pub fn fix(self, fix: impl Into<String>) -> Problem {
        Problem { fix: Some(fix.into()), ..self }
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.line > 0 {
            write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
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
