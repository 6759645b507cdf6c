//! How to find out whether a replica serves (section 12).

use super::{CommandLine, RequestPath};
use crate::shape::model;
use crate::units::{Duration, HttpStatus, Port};

model! {
    /// How to find out whether a replica serves. One that fails gets no traffic, and is restarted.
    #[section("12")]
    pub struct Health {
        /// Failures do not count for this long after a start.
        ///
        /// Example: `start_grace: 10s`
        start_grace: Duration = Duration::seconds(0),
        /// Time between two checks. Before the first one passes it is asked more often, but failures count once an interval.
        ///
        /// Example: `interval: 5s`
        interval: Duration = Duration::seconds(10),
        /// Longest time one check may take.
        ///
        /// Example: `timeout: 1s`
        timeout: Duration = Duration::seconds(2),
        /// Failures in a row that make it unhealthy.
        ///
        /// Example: `retries: 5`
        retries: u32 = 3,
        /// What is checked, from inside the replica's network and at its own address: a program that listens on 127.0.0.1 alone fails.
        ///
        /// Example: `check: {type: http, path: /healthz}`
        check: Check,
    }
}

model! {
    /// What is checked.
    #[section("12")]
    pub enum Check by "type" {
        /// A port accepts connections.
        Tcp(TcpCheck) = "tcp",
        /// A page answers.
        Http(HttpCheck) = "http",
        /// A command in the container ends with 0.
        ///
        /// Unbuilt.
        Command(CommandCheck) = "command",
    }
}

model! {
    /// A port that accepts connections.
    #[section("12")]
    pub struct TcpCheck {
        /// Port of the container.
        ///
        /// Default: the container's port of the first endpoint.
        /// Addition.
        /// Example: `port: 5432`
        port: Option<Port> = None,
    }
}

model! {
    /// A page that answers.
    #[section("12")]
    pub struct HttpCheck {
        /// Port of the container.
        ///
        /// Default: the container's port of the first endpoint.
        /// Addition.
        /// Example: `port: 8080`
        port: Option<Port> = None,
        /// What is asked for.
        ///
        /// Default: `/`.
        /// Addition.
        /// Example: `path: /healthz`
        path: Option<RequestPath> = None,
        /// The status it answers with.
        ///
        /// Default: any from 200 to 399.
        /// Addition.
        /// Example: `expect_status: 204`
        expect_status: Option<HttpStatus> = None,
    }
}

model! {
    /// A command that ends with 0.
    #[section("12")]
    pub struct CommandCheck {
        /// A text for the image's `/bin/sh -c`, or a list that runs as it stands.
        ///
        /// Addition.
        /// Example: `command: pg_isready`
        command: CommandLine,
    }
}

impl Health {
    /// Returns a check with all times as they are when nothing is said.
    pub fn of(check: &Check) -> Health {
        let given = serde_json::json!({ "check": check });
        serde_json::from_value(given).expect("all other fields have defaults")
    }
}

impl Check {
    /// Returns the port it names.
    pub fn port(&self) -> Option<Port> {
        match self {
            Check::Tcp(check) => check.port,
            Check::Http(check) => check.port,
            Check::Command(_) => None,
        }
    }
}
