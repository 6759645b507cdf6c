//! One service (sections 3, 4 and 6), and the part of it that containers are made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Command, Dependency, Endpoint, EnvName, EnvValue, Errors, Health, Image, Init, Network, Rollout, Scale, Schedule, TimeZone,
    Volume,
};
use crate::shape::model;
use crate::units::{Bytes, Cpu, Duration, Port};

model! {
    /// One service: an image, how it runs, and who reaches it.
    #[section("3")]
    pub struct Service {
        /// What kind of work it is.
        ///
        /// Example: `rtype: service`
        rtype: Rtype = Rtype::Service,
        /// The image its containers are made from.
        ///
        /// Example: `image: {name: nginx:alpine}`
        image: Image,
        /// What runs instead of the image's own command.
        ///
        /// Default: the image's ENTRYPOINT, CMD and WORKDIR.
        /// Example: `command: {args: ["--port", "8080"]}`
        command: Command = Command::default(),
        /// When it runs, in the five fields of cron: minute, hour, day of the month, month, day of the week.
        ///
        /// Fields take numbers, names such as `MON` or `JAN`, ranges (`9-17`, also `22-2`), lists and steps (`*/15`); instead of all
        /// five, `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`. With both days given, either one is enough, as in cron.
        /// Goes with `rtype: cron`, which needs it.
        ///
        /// Addition.
        /// Unbuilt.
        /// Example: `schedule: "30 3 * * MON-FRI"`
        schedule: Option<Schedule> = None,
        /// The time zone of `schedule`, by its name in the IANA database.
        ///
        /// Default: UTC.
        /// Addition.
        /// Unbuilt.
        /// Example: `timezone: Europe/Vienna`
        timezone: Option<TimeZone> = None,
        /// What happens when a run is due while an earlier one has not ended; goes with `rtype: job` and `rtype: cron`.
        ///
        /// Default: `allow` for a job, `forbid` for a cron.
        /// Addition.
        /// Unbuilt.
        /// Example: `concurrency: forbid`
        concurrency: Option<Concurrency> = None,
        /// Longest time one run may take; it is then ended, and has failed. Goes with `rtype: job` and `rtype: cron`.
        ///
        /// Default: no bound.
        /// Addition.
        /// Unbuilt.
        /// Example: `timeout: 10m`
        timeout: Option<Duration> = None,
        /// How often a failed run is tried again, with backoff; goes with `rtype: job` and `rtype: cron`.
        ///
        /// Addition.
        /// Unbuilt.
        /// Example: `retries: 2`
        retries: u32 = 0,
        /// Environment variables by name.
        ///
        /// Values are texts, so numbers and `true` need quotes. `$E:NAME` is read on the node at each start, from its environment
        /// file and then from the daemon's own environment; `$S:NAME` is a secret of the deployment (an addition, and not built
        /// yet). Nothing else is replaced: there is no templating.
        ///
        /// Example: `env: {MODE: production, DATABASE_URL: $E:DATABASE_URL}`
        env: BTreeMap<EnvName, EnvValue> = BTreeMap::new(),
        /// Upper bounds of what each replica may use.
        ///
        /// Example: `resources: {cpu: 0.5, memory: 256Mi}`
        resources: Resources = Resources::default(),
        /// Files that outlive containers, and files of the node.
        ///
        /// Addition.
        /// Unbuilt.
        /// Example: `volumes: [{name: data, target: /var/lib/data}]`
        volumes: Vec<Volume> = Vec::new(),
        /// The networks it is in, and who may join it.
        ///
        /// Example: `network: {overlays: {global: {enabled: true}}}`
        network: Network = Network::default(),
        /// Services that must be there before it starts.
        ///
        /// Unbuilt.
        /// Example: `depends: [{service: db, condition: healthy, timeout: 60s}]`
        depends: Vec<Dependency> = Vec::new(),
        /// What runs before each start.
        ///
        /// Example: `init: {steps: [{id: migrate, uses: init.run, with: {command: /app/migrate}}]}`
        init: Init = Init::default(),
        /// Where traffic is bound.
        ///
        /// Nothing of a service is reachable from outside the deployment unless an endpoint says `expose: public`.
        ///
        /// Example: `endpoints: [{name: http, protocol: http, port: 80, target: 8080, expose: public}]`
        endpoints: Vec<Endpoint> = Vec::new(),
        /// How to find out whether it serves; goes with `rtype: service`.
        ///
        /// Default: with an endpoint, whether its port accepts, which gates traffic and restarts nothing; without one, that it has run
        /// for half a second.
        /// Example: `health: {check: {type: http, path: /healthz}}`
        health: Option<Health> = None,
        /// How many replicas there are; goes with `rtype: service`.
        ///
        /// Default: `adaptive` with `min: 1`: one replica.
        /// Example: `scale: {mode: fixed, replicas: 2}`
        scale: Option<Scale> = None,
        /// How a change reaches the replicas; goes with `rtype: service`.
        ///
        /// Addition.
        /// Example: `rollout: {strategy: rolling, max_surge: 1}`
        rollout: Rollout = Rollout::default(),
        /// What follows failures.
        ///
        /// Example: `errors: {on_panic: {action: restart}}`
        errors: Errors = Errors::default(),
        /// What becomes of a replica on a node that the server cannot reach; goes with `rtype: service`.
        ///
        /// Addition.
        /// Example: `on_disconnect: keep`
        on_disconnect: OnDisconnect = OnDisconnect::Keep,
    }
}

model! {
    /// What kind of work a service is.
    #[section("4")]
    pub enum Rtype {
        /// Runs all the time, receives traffic, is load-balanced and scaled.
        Service = "service",
        /// Runs to its end when something asks for it: an endpoint, the command line, the API.
        ///
        /// Unbuilt.
        Job = "job",
        /// A job that runs by a schedule.
        ///
        /// Unbuilt.
        Cron = "cron",
    }
}

model! {
    /// What happens when a run is due while an earlier one has not ended.
    #[section("")]
    pub enum Concurrency {
        /// Both run.
        Allow = "allow",
        /// The later one is left out, and an event says so.
        Forbid = "forbid",
        /// The earlier one is ended.
        Replace = "replace",
    }
}

model! {
    /// What becomes of a replica on a node that the server cannot reach.
    #[section("")]
    pub enum OnDisconnect {
        /// It goes on. Once the node is given up a replacement is started elsewhere, and the two overlap until the cut heals.
        Keep = "keep",
        /// It ends when the node has not heard from the server for a while, so that there are never two.
        ///
        /// Unbuilt.
        Stop = "stop",
    }
}

model! {
    /// Upper bounds of what one replica may use; nothing is reserved.
    #[section("6")]
    pub struct Resources {
        /// Processor time, in cores.
        ///
        /// Default: no bound.
        /// Example: `cpu: 0.5`
        cpu: Option<Cpu> = None,
        /// Memory, at least 4Mi. `Ki`, `Mi`, `Gi`, `Ti` count in 1024, `K`, `M`, `G`, `T` in 1000. A replica that uses more is
        /// killed, and its status says so.
        ///
        /// Default: no bound.
        /// Example: `memory: 512Mi`
        memory: Option<Bytes> = None,
    }
}

/// The parts of a service that its containers are made from: what a revision freezes.
///
/// Defaults are left out of its JSON, so that a field added by a later Stead changes no hash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Template {
    #[serde(skip_serializing_if = "is_default")]
    pub command: Command,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<EnvName, EnvValue>,
    #[serde(skip_serializing_if = "is_default")]
    pub resources: Resources,
    #[serde(skip_serializing_if = "is_default")]
    pub init: Init,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// Container port of the first endpoint: what is probed when `health` names no port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Service {
    /// Returns a service that says nothing but its image.
    pub fn of(image: &Image) -> Service {
        let text = serde_json::json!({ "image": image });
        serde_json::from_value(text).expect("all other fields have defaults")
    }

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

    /// Returns the scaling, or what its absence means.
    pub fn scale(&self) -> Scale {
        self.scale.clone().unwrap_or_default()
    }

    /// Returns how many replicas are asked for at first.
    pub fn replicas(&self) -> u32 {
        match self.rtype {
            Rtype::Service => self.scale().start(),
            Rtype::Job | Rtype::Cron => 0,
        }
    }

    /// Returns what happens when a run is due while another one runs.
    pub fn concurrency(&self) -> Concurrency {
        self.concurrency.unwrap_or(if self.rtype == Rtype::Cron { Concurrency::Forbid } else { Concurrency::Allow })
    }
}
