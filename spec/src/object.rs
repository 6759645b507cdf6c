//! The envelope that all objects share: identity, revisions, ownership, and two halves.
//!
//! `spec` is what is desired, `status` what was observed. Each half of each kind has one writer.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::kind::{Kind, Spec, Status};

/// Version of the envelope and of all kinds' shapes, written into every object.
pub const SCHEMA: u16 = 1;

/// Longest component of a [`Name`], in bytes: a `sha256-` digest fits.
pub const COMPONENT_MAX: usize = 96;

/// Path of an object within its kind: `<deployment>[/<service>[/<replica>]]`.
///
/// Components are lower-case letters, digits, `-`, `.` and `_`, start with a letter or digit, and are never empty, so a name is
/// also a safe relative path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no [`Name`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{0}` is not a name: up to {MAX_DEPTH} parts separated by `/`, each of at most {COMPONENT_MAX} lower-case letters, digits, `-`, `.` or `_`, and starting with a letter or digit"
)]
pub struct BadName(String);

const MAX_DEPTH: usize = 6;

impl Name {
    /// Sorts before all names, and is none itself.
    pub(crate) const FIRST: Name = Name(String::new());

    /// Returns the name with one more component.
    pub fn child(&self, component: &str) -> Result<Name, BadName> {
        format!("{}/{component}", self.0).parse()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Returns the first component: the deployment, for what belongs to one.
    pub fn root(&self) -> &str {
        self.components().next().unwrap_or_default()
    }

    /// Returns the last component.
    pub fn leaf(&self) -> &str {
        self.components().last().unwrap_or_default()
    }

    /// Returns the name without its last component.
    pub fn parent(&self) -> Option<Name> {
        self.0.rsplit_once('/').map(|(parent, _)| Name(parent.to_owned()))
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let is_component = |part: &str| {
            part.len() <= COMPONENT_MAX
                && part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
        };
        if text.split('/').all(is_component) && text.split('/').count() <= MAX_DEPTH {
            Ok(Name(text.to_owned()))
        } else {
            Err(BadName(text.chars().take(2 * COMPONENT_MAX).collect()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Identity of an object at one time: a kind and a name. What reuses a name later has another [`Uid`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub kind: Kind,
    pub name: Name,
}

impl Key {
    pub fn new(kind: Kind, name: Name) -> Key {
        Key { kind, name }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// Tells two objects of the same name apart; made by the store and never used twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub String);

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The two halves of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    Spec,
    Status,
}

/// One object of the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub key: Key,
    pub uid: Uid,
    /// Store revision of the last change of anything in it.
    pub revision: u64,
    /// Store revision of the last change of `spec`.
    pub spec_revision: u64,
    /// Store revision of the last change of `status`; 0 before the first.
    pub status_revision: u64,
    /// Counts changes of `spec`, from 1.
    pub generation: u64,
    /// The generation that `status` speaks of; 0 before the first status.
    pub observed_generation: u64,
    /// Deleting the owner deletes this object.
    pub owner: Option<Key>,
    pub labels: BTreeMap<String, String>,
    /// Marked for deletion: it goes once what it owns and holds is gone.
    pub deleting: bool,
    pub spec: Spec,
    pub status: Option<Status>,
}

#[derive(Serialize)]
struct WireOut<'a> {
    schema: u16,
    kind: Kind,
    name: &'a Name,
    uid: &'a Uid,
    revision: u64,
    spec_revision: u64,
    status_revision: u64,
    generation: u64,
    observed_generation: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a Key>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleting: bool,
    spec: &'a Spec,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a Status>,
}

#[derive(Deserialize)]
struct WireIn {
    schema: u16,
    kind: Kind,
    name: Name,
    uid: Uid,
    revision: u64,
    spec_revision: u64,
    status_revision: u64,
    generation: u64,
    observed_generation: u64,
    #[serde(default)]
    owner: Option<Key>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    deleting: bool,
    spec: serde_json::Value,
    #[serde(default)]
    status: Option<serde_json::Value>,
}

impl Serialize for Object {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        WireOut {
            schema: SCHEMA,
            kind: self.key.kind,
            name: &self.key.name,
            uid: &self.uid,
            revision: self.revision,
            spec_revision: self.spec_revision,
            status_revision: self.status_revision,
            generation: self.generation,
            observed_generation: self.observed_generation,
            owner: self.owner.as_ref(),
            labels: &self.labels,
            deleting: self.deleting,
            spec: &self.spec,
            status: self.status.as_ref(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let wire = WireIn::deserialize(deserializer)?;
        if wire.schema != SCHEMA {
            return Err(D::Error::custom(format_args!(
                "object schema {} is not {SCHEMA}, the one this version of Stead reads",
                wire.schema
            )));
        }
        Ok(Object {
            spec: Spec::from_json(wire.kind, wire.spec).map_err(D::Error::custom)?,
            status: wire.status.map(|status| Status::from_json(wire.kind, status)).transpose().map_err(D::Error::custom)?,
            key: Key { kind: wire.kind, name: wire.name },
            uid: wire.uid,
            revision: wire.revision,
            spec_revision: wire.spec_revision,
            status_revision: wire.status_revision,
            generation: wire.generation,
            observed_generation: wire.observed_generation,
            owner: wire.owner,
            labels: wire.labels,
            deleting: wire.deleting,
        })
    }
}

/// A kind as a type, so that a spec or status comes out typed: implemented for the marker types in [`crate::kind`].
pub trait Resource {
    const KIND: Kind;
    type Spec;
    type Status;

    fn spec(spec: &Spec) -> Option<&Self::Spec>;
    fn status(status: &Status) -> Option<&Self::Status>;
    fn to_spec(spec: Self::Spec) -> Spec;
    fn to_status(status: Self::Status) -> Status;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_safe_relative_path() {
        for good in ["hello", "hello/web/0", "sha256-00ff", "a.b_c"] {
            assert_eq!(good.parse::<Name>().unwrap().as_str(), good);
        }
        let long = "a".repeat(COMPONENT_MAX + 1);
        for bad in ["", "/", "a/", "/a", "..", "a/../b", "a/./b", "A", "a b", "a\n", "-a", "é", "a/b/c/d/e/f/g", long.as_str()] {
            assert!(bad.parse::<Name>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_parts_of_a_name() {
        let name: Name = "hello/web/0".parse().unwrap();
        assert_eq!((name.root(), name.leaf(), name.parent().unwrap().as_str()), ("hello", "0", "hello/web"));
        assert_eq!(name.child("x").unwrap().as_str(), "hello/web/0/x");
        assert!(name.child("..").is_err());
    }
}
