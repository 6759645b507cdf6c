//! Environment variables (section 7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::shape::scalar;
use crate::units::BadValue;

scalar! {
    /// Name of an environment variable in a container (POSIX.1-2017, section 8.1: no `=`), and not `<<`, which is a merge key for some
    /// readers of YAML.
    pub struct EnvName: "name of a variable",
    expected "the name of an environment variable: not empty, and without `=`",
    pattern r"^(?!<<$)[^=\u0000]+$",
    check |text| !text.is_empty() && text != "<<" && !text.contains(['=', '\0']);
}

scalar! {
    /// Name of a variable of the node, or of a secret.
    pub struct VariableName: "name of a variable",
    expected "letters, digits and `_`, not beginning with a digit",
    pattern r"^[A-Za-z_][A-Za-z0-9_]*$",
    check is_variable;
}

fn is_variable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

/// Value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    Literal(String),
    /// `$E:NAME`: read on the node at each start.
    FromNode(VariableName),
    /// `$S:NAME`: a secret of the deployment. An addition to the specification.
    Secret(VariableName),
}

const A_VALUE: &str = "a text, $E:NAME or $S:NAME, where NAME has letters, digits and `_`";

const A_REFERENCE: &str = "a reference: `$E:` or `$S:`, and a name of letters, digits and `_` that begins with no digit";

impl FromStr for EnvValue {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<EnvValue, BadValue> {
        let bad = |_| BadValue::new(text, A_REFERENCE);
        match text.split_at_checked(3) {
            Some(("$E:", name)) => name.parse().map(EnvValue::FromNode).map_err(bad),
            Some(("$S:", name)) => name.parse().map(EnvValue::Secret).map_err(bad),
            _ if text.contains('\0') => Err(BadValue::new(text, A_VALUE)),
            _ => Ok(EnvValue::Literal(text.to_owned())),
        }
    }
}

impl fmt::Display for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvValue::Literal(text) => f.write_str(text),
            EnvValue::FromNode(name) => write!(f, "$E:{name}"),
            EnvValue::Secret(name) => write!(f, "$S:{name}"),
        }
    }
}

impl Serialize for EnvValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

scalar! {
    @shape EnvValue, "text", A_VALUE, r"^(?:\$[ES]:[A-Za-z_][A-Za-z0-9_]*|(?!\$[ES]:)[^\u0000]*)$", None
}
