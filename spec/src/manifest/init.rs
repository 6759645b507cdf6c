//! Init steps: what runs before each start (section 13), and the actions there are (section 14).

use super::{CommandLine, Host, HttpUrl, Label};
use crate::shape::model;
use crate::units::{Duration, HttpStatus, Port};

model! {
    /// What runs before each start of a replica, restarts included.
    #[section("13")]
    pub struct Init {
        /// Steps, which run in order, in the replica's own image, network, environment and limits. Their output is in its logs.
        ///
        /// Example: `steps: [{id: wait-db, uses: init.wait_tcp, with: {host: db.global, port: 5432}}]`
        steps: Vec<Step> = Vec::new(),
    }
}

model! {
    /// One step before a start.
    #[section("13")]
    pub struct Step {
        /// Name, unique in the service.
        ///
        /// Example: `id: migrate`
        id: Label,
        /// Tries after the first one.
        ///
        /// Example: `retry: 2`
        retry: u32 = 0,
        /// Longest time one try may take.
        ///
        /// Example: `timeout: 60s`
        timeout: Duration = Duration::seconds(300),
        /// What happens when all tries failed.
        ///
        /// Example: `on_failure: continue`
        on_failure: OnFailure = OnFailure::Fail,
        ..action: Action,
    }
}

model! {
    /// What a step does, and the inputs of that.
    ///
    /// Example: `uses: init.wait_tcp`
    pub enum Action by "uses" in "with" after "id" {
        /// Runs a command of the image.
        Run(Run) = "init.run",
        /// Waits until a page answers.
        WaitHttp(WaitHttp) = "init.wait_http",
        /// Waits until a port accepts.
        WaitTcp(WaitTcp) = "init.wait_tcp",
    }
}

model! {
    /// Inputs of `init.run`.
    #[section("14")]
    pub struct Run {
        /// A text for the image's `/bin/sh -c`, or a list that runs as it stands.
        ///
        /// Example: `command: python /app/migrate.py --apply`
        command: CommandLine,
    }
}

model! {
    /// Inputs of `init.wait_http`.
    #[section("14")]
    pub struct WaitHttp {
        /// What is asked for, until it answers as expected. `https://` is not built yet.
        ///
        /// Example: `url: http://api.global:8080/healthz`
        url: HttpUrl,
        /// The status it answers with.
        ///
        /// Default: any from 200 to 399.
        /// Example: `expect_status: 200`
        expect_status: Option<HttpStatus> = None,
    }
}

model! {
    /// Inputs of `init.wait_tcp`.
    #[section("14")]
    pub struct WaitTcp {
        /// Name or address.
        ///
        /// Example: `host: db.global`
        host: Host,
        /// Port that is to accept.
        ///
        /// Example: `port: 5432`
        port: Port,
    }
}

model! {
    /// What happens when a step failed.
    #[section("13")]
    pub enum OnFailure {
        /// This start has failed; `errors.on_init_failure` says what follows.
        Fail = "fail",
        /// The next step runs, and the logs say so.
        Warn = "warn",
        /// The next step runs.
        Continue = "continue",
    }
}
