//! The manifest: the one file a person writes.
//!
//! Field names, meanings and defaults are those of the OCI Service Specification, Draft v1; the section is named with each
//! type, and so is each addition. The doc comments are the users' reference ([`crate::shape`] says how they are read).
//!
//! ```text
//!  text ──yaml──▶ nodes ──read (by shape)──▶ Manifest ──check (across fields)──▶ problems
//! ```
//!
//! To add a field: a line in its struct. Its checks across fields go to [`check`], and what is not built yet says `Unbuilt.`.

mod check;
mod command;
mod depends;
mod endpoint;
mod env;
mod errors;
mod health;
mod image;
mod init;
mod locate;
mod network;
mod read;
mod rollout;
mod scale;
mod schedule;
mod service;
mod text;
mod unbuilt;
mod volume;

use std::collections::BTreeMap;

use crate::shape::model;

pub use check::{Checked, Source, check_all, check_file, clashes, parse, validate};
pub use command::{Command, CommandLine};
pub use depends::{Condition, Dependency, OnTimeout};
pub use endpoint::{Endpoint, Expose, Protocol, Tls};
pub use env::{EnvName, EnvValue, VariableName};
pub use errors::{Errors, InitFailure, OnInitFailure, OnPanic, Panic};
pub use health::{Check, CommandCheck, Health, HttpCheck, TcpCheck};
pub use image::{Image, ImageRef, PullPolicy, Reference};
pub use init::{Action, Init, OnFailure, Run, Step, WaitHttp, WaitTcp};
pub use locate::locate;
pub use network::{GlobalOverlay, Join, JoinMode, JoinScope, Network, Overlays, ServiceOverlay};
pub use read::{Reading, read, read_part};
pub use rollout::{OnRolloutFailure, Rollout, Strategy};
pub use scale::{Adaptive, Fixed, Manual, Scale, Targets};
pub use schedule::{Schedule, TimeZone};
pub use service::{Concurrency, OnDisconnect, Resources, Rtype, Service, Template};
pub use text::{AbsolutePath, Host, HostName, HttpUrl, Label, PathPrefix, RequestPath, ServiceName, Text};
pub use unbuilt::unbuilt;
pub use volume::Volume;

model! {
    /// A whole manifest: one deployment, in one file.
    #[section("3")]
    pub struct Manifest {
        /// Version of the language.
        ///
        /// Example: `version: v1`
        version: Version,
        /// Name of the deployment, unique on the servers it runs on.
        ///
        /// Applying a manifest again changes the deployment of that name; names of containers, logs and networks begin with it.
        ///
        /// Example: `deployment: shop`
        deployment: Label,
        /// The services by name: 1 to 1024, with at most 2000 replicas in all.
        ///
        /// A service is found by the others as `<name>.global`, so `global` and `service` cannot be names.
        ///
        /// Example: `services: {web: {image: {name: nginx:alpine}}}`
        services: BTreeMap<ServiceName, Service>,
    }
}

model! {
    /// Version of the language.
    #[section("3")]
    pub enum Version {
        /// The only one there is.
        V1 = "v1",
    }
}
