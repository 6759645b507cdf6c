//! Where traffic is bound (section 9).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{HostName, Label, PathPrefix};
use crate::shape::{model, scalar};
use crate::units::{BadValue, Port};

model! {
    /// Where traffic is bound, and to which port of the containers it goes.
    #[section("9")]
    pub struct Endpoint {
        /// Name, unique in the service.
        ///
        /// Example: `name: http`
        name: Label,
        /// What is spoken.
        ///
        /// Example: `protocol: http`
        protocol: Protocol,
        /// Port on which the proxy listens and, unless `target` says otherwise, the container's port.
        ///
        /// Endpoints, also of other services and deployments, may share a port when they differ in `host` or `path`.
        ///
        /// Example: `port: 80`
        port: Port,
        /// The container's port.
        ///
        /// Default: `port`.
        /// Addition.
        /// Example: `target: 8080`
        target: Option<Port> = None,
        /// Takes only requests for this host (for `tcp`, TLS connections whose server name is this one, which are passed through).
        ///
        /// Default: any host.
        /// Addition.
        /// Unbuilt.
        /// Example: `host: shop.example.com`
        host: Option<HostName> = None,
        /// Takes only requests below this path, in whole segments: `/api` takes `/api` and `/api/x`, not `/apix`. The longest one
        /// wins. The path is passed on unchanged. For `http`, `https` and `websocket`.
        ///
        /// Default: `/`.
        /// Example: `path: /api`
        path: Option<PathPrefix> = None,
        /// Who can reach it.
        ///
        /// Example: `expose: public`
        expose: Expose = Expose::Internal,
        /// Where the certificate is from; for `https`, and for `websocket` over TLS.
        ///
        /// `auto` asks a public authority (ACME) for `host`, or Stead's own where that cannot be; `internal` is Stead's own;
        /// another text names a secret with a certificate and its key.
        ///
        /// Default: `auto` for `https`, no TLS for `websocket`.
        /// Addition.
        /// Unbuilt.
        /// Example: `tls: auto`
        tls: Option<Tls> = None,
    }
}

model! {
    /// What is spoken at an endpoint.
    #[section("9")]
    pub enum Protocol {
        /// HTTP without TLS.
        Http = "http",
        /// HTTP over TLS, which ends at the proxy.
        ///
        /// Unbuilt.
        Https = "https",
        /// Connections as they are.
        ///
        /// Unbuilt.
        Tcp = "tcp",
        /// Datagrams.
        ///
        /// Unbuilt.
        Udp = "udp",
        /// WebSocket, which begins as HTTP.
        ///
        /// Unbuilt.
        Websocket = "websocket",
    }
}

model! {
    /// Who can reach an endpoint.
    #[section("9")]
    pub enum Expose {
        /// Everybody who can reach the node: the proxy listens on the node's addresses.
        Public = "public",
        /// The services of the deployment, at the service's own address.
        ///
        /// Unbuilt.
        Internal = "internal",
    }
}

/// Where the certificate of an endpoint is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    Auto,
    Internal,
    Secret(Label),
}

const A_TLS: &str = "auto, internal, or the name of a secret";

impl FromStr for Tls {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Tls, BadValue> {
        match text {
            "auto" => Ok(Tls::Auto),
            "internal" => Ok(Tls::Internal),
            name => name.parse().map(Tls::Secret).map_err(|_| BadValue::new(text, A_TLS)),
        }
    }
}

impl fmt::Display for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tls::Auto => f.write_str("auto"),
            Tls::Internal => f.write_str("internal"),
            Tls::Secret(name) => name.fmt(f),
        }
    }
}

impl Serialize for Tls {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tls {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tls, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

scalar! { @shape Tls, "auto | internal | name of a secret", A_TLS, super::text::LABEL_PATTERN, None }

impl Endpoint {
    /// Returns the port the container listens on.
    pub fn target(&self) -> Port {
        self.target.unwrap_or(self.port)
    }

    /// Returns the path prefix without a slash at its end: `/` alone for all paths.
    pub fn path(&self) -> &str {
        let path = self.path.as_deref().unwrap_or("/").trim_end_matches('/');
        if path.is_empty() { "/" } else { path }
    }
}

impl Protocol {
    /// It is HTTP, or begins as HTTP: requests have a host and a path.
    pub fn is_http(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Https | Protocol::Websocket)
    }
}
