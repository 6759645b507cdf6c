//! The kinds of object, one file for each, and the one list that names them all.
//!
//! To add a kind: one file here with its `Spec` and `Status`, and one line in the list below.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::object::Resource;

macro_rules! kinds {
    ($($kind:ident $module:ident,)*) => {
        $(pub mod $module;)*

        /// What an object is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Kind { $($kind,)* }

        impl Kind {
            /// All kinds, sorted by name.
            pub const ALL: &[Kind] = &[$(Kind::$kind,)*];

            /// Returns the kind's name as it stands in JSON and on the command line.
            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$kind => stringify!($module),)* }
            }
        }

        /// The desired half of an object.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Spec { $($kind(Arc<$module::Spec>),)* }

        /// The observed half of an object.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Status { $($kind(Arc<$module::Status>),)* }

        impl Spec {
            pub fn kind(&self) -> Kind {
                match self { $(Spec::$kind(_) => Kind::$kind,)* }
            }

            /// Reads the spec of a `kind` from its JSON form.
            pub fn from_json(kind: Kind, value: serde_json::Value) -> Result<Spec, serde_json::Error> {
                Ok(match kind { $(Kind::$kind => Spec::$kind(Arc::new(serde_json::from_value(value)?)),)* })
            }
        }

        impl Status {
            pub fn kind(&self) -> Kind {
                match self { $(Status::$kind(_) => Kind::$kind,)* }
            }

            /// Reads the status of a `kind` from its JSON form.
            pub fn from_json(kind: Kind, value: serde_json::Value) -> Result<Status, serde_json::Error> {
                Ok(match kind { $(Kind::$kind => Status::$kind(Arc::new(serde_json::from_value(value)?)),)* })
            }
        }

        impl Serialize for Spec {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Spec::$kind(spec) => spec.serialize(serializer),)* }
            }
        }

        impl Serialize for Status {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self { $(Status::$kind(status) => status.serialize(serializer),)* }
            }
        }

        $(
            /// The kind as a type: see [`Resource`].
            #[derive(Clone, Copy, Debug)]
            pub enum $kind {}

            impl Resource for $kind {
                const KIND: Kind = Kind::$kind;
                type Spec = $module::Spec;
                type Status = $module::Status;

                fn spec(spec: &Spec) -> Option<&$module::Spec> {
                    match spec { Spec::$kind(spec) => Some(spec), _ => None }
                }

                fn status(status: &Status) -> Option<&$module::Status> {
                    match status { Status::$kind(status) => Some(status), _ => None }
                }

                fn to_spec(spec: $module::Spec) -> Spec {
                    Spec::$kind(Arc::new(spec))
                }

                fn to_status(status: $module::Status) -> Status {
                    Status::$kind(Arc::new(status))
                }
            }
        )*
    };
}

kinds! {
    Container container,
    Deployment deployment,
    Endpoint endpoint,
    Event event,
    Image image,
    Init init,
    Node node,
    Overlay overlay,
    Replica replica,
    Resolution resolution,
    Revision revision,
    Service service,
}

impl Kind {
    /// Returns the place in the order in which an owner's children go: lower goes first.
    ///
    /// Traffic is turned away before what serves it stops; what runs stops before what it runs on goes.
    pub fn teardown_rank(self) -> u8 {
        match self {
            Kind::Endpoint => 0,
            Kind::Init => 1,
            Kind::Container => 2,
            Kind::Replica => 3,
            Kind::Revision | Kind::Resolution => 4,
            Kind::Service => 5,
            Kind::Overlay => 6,
            Kind::Event => 7,
            Kind::Image | Kind::Node | Kind::Deployment => 8,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no [`Kind`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{given}` is not a kind of object; the kinds are {}", Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", "))]
pub struct BadKind {
    given: String,
}

impl FromStr for Kind {
    type Err = BadKind;

    /// Takes the kind's name, in any case, also in the plural.
    fn from_str(text: &str) -> Result<Self, BadKind> {
        let lower = text.to_ascii_lowercase();
        let is = |kind: &Kind| lower == kind.as_str() || lower.strip_suffix('s') == Some(kind.as_str());
        Kind::ALL.iter().copied().find(is).ok_or_else(|| BadKind { given: text.chars().take(64).collect() })
    }
}

/// The status of a kind that reports nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoStatus {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_kinds_is_sorted() {
        assert!(Kind::ALL.is_sorted_by_key(|kind| kind.as_str()));
    }

    #[test]
    fn a_kind_is_found_by_singular_and_plural() {
        assert_eq!("Services".parse(), Ok(Kind::Service));
        assert_eq!("replica".parse(), Ok(Kind::Replica));
        assert!("pods".parse::<Kind>().unwrap_err().to_string().contains("container, deployment"));
    }
}
