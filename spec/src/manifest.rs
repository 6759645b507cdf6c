//! The manifest: the one file a person writes.
//!
//! Field names, meanings and defaults are those of the OCI Service Specification, Draft v1; the section is named with each
//! type. Fields of the language that this version cannot run yet are known by name ([`Later`]) and refused by [`validate`].

mod init;
mod locate;
mod parse;
mod validate;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::units::{Bytes, Cpu, Duration};

pub use init::{Action, Init, OnFailure, Run, RunCommand, STEP_TIMEOUT, Step, WaitHttp, WaitTcp};
pub use parse::{MAX_BYTES, parse};
pub use validate::{clashes, validate};

/// A whole manifest (section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: Version,
    pub deployment: String,
    pub services: BTreeMap<String, Service>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    V1,
}

/// One service (section 3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    #[serde(default)]
    pub rtype: Rtype,
    pub image: Image,
    #[serde(default, skip_serializing_if = "is_default")]
    pub command: Command,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub resources: Resources,
    #[serde(default, skip_serializing_if = "is_default")]
    pub init: Init,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,

    #[serde(default, skip_serializing)]
    pub network: Option<Later>,
    #[serde(default, skip_serializing)]
    pub depends: Option<Later>,
    #[serde(default, skip_serializing)]
    pub errors: Option<Later>,
    #[serde(default, skip_serializing)]
    pub rollout: Option<Later>,
    #[serde(default, skip_serializing)]
    pub volumes: Option<Later>,
    #[serde(default, skip_serializing)]
    pub job: Option<Later>,
    #[serde(default, skip_serializing)]
    pub schedule: Option<Later>,
    #[serde(default, skip_serializing)]
    pub timezone: Option<Later>,
    #[serde(default, skip_serializing)]
    pub concurrency: Option<Later>,
    #[serde(default, skip_serializing)]
    pub on_disconnect: Option<Later>,
}

/// The parts of a service that its containers are made from: what a revision freezes.
///
/// Defaults are left out of its JSON, so that a field added by a later Stead changes no hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Template {
    #[serde(skip_serializing_if = "is_default")]
    pub command: Command,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, EnvValue>,
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    #[serde(skip_serializing_if = "is_default")]
    pub init: Init,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Container port of the first endpoint: what is probed when `health` names no port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl Service {
    pub fn template(&self) -> Template {
        Template {
            command: self.command.clone(),
            env: self.env.clone(),
            resources: self.resources.clone(),
            init: self.init.clone(),
            health: self.health.clone(),
            port: self.endpoints.first().map(Endpoint::target),
        }
    }

    /// Returns how many replicas are asked for.
    pub fn replicas(&self) -> u32 {
        match self.scale {
            Some(Scale { replicas: Some(replicas), .. }) => replicas,
            _ => 1,
        }
    }
}

/// What a service is (section 4). Only `service` runs yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rtype {
    #[default]
    Service,
    Job,
    Cron,
}

/// Section 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    pub name: String,
    #[serde(default, skip_serializing_if = "is_default")]
    pub pull_policy: PullPolicy,
}

/// When a registry is asked: each time an image is resolved, only when the node has none by that name, or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

/// Overrides of the image's own command (section 5.5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Command {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
}

/// Upper bounds, not reservations (section 6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Bytes>,
}

/// Value of an environment variable (section 7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    Literal(String),
    /// `$E:NAME`: read on the node at each start.
    FromNode(String),
}

impl fmt::Display for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvValue::Literal(text) => f.write_str(text),
            EnvValue::FromNode(name) => write!(f, "$E:{name}"),
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
        let text = String::deserialize(deserializer)?;
        Ok(match text.strip_prefix("$E:") {
            Some(name) => EnvValue::FromNode(name.to_owned()),
            None => EnvValue::Literal(text),
        })
    }
}

/// Where traffic is bound (section 9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub name: String,
    pub protocol: Protocol,
    pub port: u16,
    /// Path prefix of whole segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default)]
    pub expose: Expose,
    /// The container's port, when it is not `port`. An addition to the specification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<u16>,

    #[serde(default, skip_serializing)]
    pub host: Option<Later>,
    #[serde(default, skip_serializing)]
    pub tls: Option<Later>,
}

impl Endpoint {
    /// Returns the port the container listens on.
    pub fn target(&self) -> u16 {
        self.target.unwrap_or(self.port)
    }

    /// Returns the path prefix without a slash at its end: `/` alone for all paths.
    pub fn path(&self) -> &str {
        let path = self.path.as_deref().unwrap_or("/").trim_end_matches('/');
        if path.is_empty() { "/" } else { path }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    Http,
    Https,
    Tcp,
    Udp,
    Websocket,
}

/// Who can reach an endpoint: nobody outside the deployment unless it says `public`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expose {
    Public,
    #[default]
    Internal,
}

/// Section 10. Only `fixed` runs yet; without `scale` a service has one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    #[serde(default)]
    pub mode: Mode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,

    #[serde(default, skip_serializing)]
    pub min: Option<Later>,
    #[serde(default, skip_serializing)]
    pub max: Option<Later>,
    #[serde(default, skip_serializing)]
    pub cooldown: Option<Later>,
    #[serde(default, skip_serializing)]
    pub targets: Option<Later>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Adaptive,
    Fixed,
    Manual,
}

/// Section 12, with the additions `port`, `path` and `expect_status` of the check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Failures do not count for this long after a start; default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_grace: Option<Duration>,
    /// Default 10 s once ready; before that it is asked more often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Default 2 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Failures in a row that count; default 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    pub check: Check,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    #[serde(rename = "type")]
    pub kind: CheckKind,
    /// Default: the container's port of the first endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// For `http`; default `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// For `http`; default any status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_status: Option<u16>,

    #[serde(default, skip_serializing)]
    pub command: Option<Later>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    Tcp,
    Http,
    Command,
}

/// A field of the language that this version knows and cannot run: any value, never kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Later;

impl<'de> Deserialize<'de> for Later {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Later)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
