//! Where a request may go.

use std::net::IpAddr;

use url::{Host, Url};

use super::address::is_public;
use crate::image::Error;

/// Which addresses a request may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// The user named the place.
    Any,
    /// A registry named it.
    Public,
}

/// What the user has said about places.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    /// The registry of the image's reference.
    pub(super) named: &'a Url,
    pub(super) insecure: &'a [String],
    pub(super) trusted: &'a [String],
}

/// Decides whether `from` may send this node to `to`, and which addresses that may have.
pub(super) fn route(from: &Url, to: &Url, rules: Rules<'_>) -> Result<Reach, Error> {
    let refused = |reason| Error::Refused { from: bare(from), to: bare(to), reason };
    let authority = authority(to).ok_or_else(|| refused("not an http or https address"))?;
    if !to.username().is_empty() || to.password().is_some() {
        return Err(refused("an address with credentials in it"));
    }
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(refused("from https to http"));
    }
    if to.scheme() == "http" && !speaks_plain_http(&authority, rules.insecure) {
        return Err(refused("plain http to a host that is not listed as insecure"));
    }
    let is_listed = rules.trusted.iter().chain(rules.insecure).any(|entry| matches(entry, to));
    if is_listed || is_same_place(to, rules.named) {
        return Ok(Reach::Any);
    }
    match literal(to) {
        Some(address) if !is_public(address) => Err(refused(NOT_PUBLIC)),
        _ => Ok(Reach::Public),
    }
}

pub(super) const NOT_PUBLIC: &str = "an address that is not public, which the user did not name";

/// Whether two addresses have scheme, host and port in common.
pub(super) fn is_same_place(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme() && authority(one) == authority(other)
}

/// Whether a registry, `host` or `host:port`, is spoken to in plain http.
pub(super) fn speaks_plain_http(authority: &str, insecure: &[String]) -> bool {
    let Ok(url) = Url::parse(&format!("http://{authority}")) else { return false };
    let is_loopback = literal(&url).map_or(url.host_str() == Some("localhost"), |address| address.is_loopback());
    is_loopback || insecure.iter().any(|entry| matches(entry, &url))
}

/// An entry without a port means the scheme's own.
fn matches(entry: &str, url: &Url) -> bool {
    let parsed = Url::parse(&format!("{}://{entry}", url.scheme()));
    parsed.is_ok_and(|parsed| authority(&parsed).is_some() && authority(&parsed) == authority(url))
}

/// Returns `host:port`.
fn authority(url: &Url) -> Option<String> {
    let is_web = matches!(url.scheme(), "http" | "https");
    is_web.then(|| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)))?
}

fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// Returns an address for a message: signed addresses carry secrets in their query.
pub(super) fn bare(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn decide(from: &str, to: &str) -> Result<Reach, String> {
        let (named, from) = (url("https://registry.example"), url(from));
        let lists = (["plain.example:81".to_owned()], ["auth.corp".to_owned(), "10.0.0.9:8443".to_owned()]);
        let rules = Rules { named: &named, insecure: &lists.0, trusted: &lists.1 };
        route(&from, &url(to), rules).map_err(|error| {
            assert!(error.is_permanent());
            error.to_string()
        })
    }

    #[test]
    fn a_registry_may_name_public_places_and_those_of_the_user() {
        let from = "https://registry.example/v2/";
        assert_eq!(decide(from, "https://registry.example:443/x"), Ok(Reach::Any));
        assert_eq!(decide(from, "https://cdn.example/x"), Ok(Reach::Public));
        assert_eq!(decide(from, "https://1.1.1.1/x"), Ok(Reach::Public));
        assert_eq!(decide(from, "https://auth.corp/x"), Ok(Reach::Any));
        assert_eq!(decide(from, "https://auth.corp:8443/x"), Ok(Reach::Public));
        assert_eq!(decide(from, "https://10.0.0.9:8443/x"), Ok(Reach::Any));
        assert_eq!(decide("http://127.0.0.1:5000/", "http://plain.example:81/x"), Ok(Reach::Any));
    }

    #[test]
    fn a_registry_may_not_name_what_only_the_node_reaches() {
        let from = "https://registry.example/v2/";
        let refusals: Vec<String> = [
            (from, "https://127.0.0.1/x"),
            (from, "https://2130706433/x"),
            (from, "https://0x7f.1/x"),
            (from, "https://[::1]/x"),
            (from, "https://[::ffff:169.254.169.254]/x"),
            (from, "https://169.254.169.254/latest/meta-data?secret"),
            (from, "https://10.0.0.9/x"),
            (from, "http://registry.example/x"),
            (from, "http://plain.example:81/x"),
            (from, "https://user:password@cdn.example/x"),
            (from, "ftp://cdn.example/x"),
            (from, "file:///etc/passwd"),
            ("http://127.0.0.1:5000/", "http://cdn.example/x"),
            ("http://127.0.0.1:5000/", "http://127.0.0.1:2375/x"),
            ("http://127.0.0.1:5000/", "http://localhost:2375/x"),
        ]
        .into_iter()
        .map(|(from, to)| match decide(from, to) {
            Ok(reach) => format!("{to} ALLOWED {reach:?}"),
            Err(error) => error,
        })
        .collect();
        insta::assert_snapshot!(refusals.join("\n"), @"
        https://registry.example/v2/ sends to https://127.0.0.1/x: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to https://127.0.0.1/x: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to https://127.0.0.1/x: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to https://[::1]/x: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to https://[::ffff:a9fe:a9fe]/x: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to https://169.254.169.254/latest/meta-data: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to https://10.0.0.9/x: an address that is not public, which the user did not name
        https://registry.example/v2/ sends to http://registry.example/x: from https to http
        https://registry.example/v2/ sends to http://plain.example:81/x: from https to http
        https://registry.example/v2/ sends to https://cdn.example/x: an address with credentials in it
        https://registry.example/v2/ sends to ftp://cdn.example/x: not an http or https address
        https://registry.example/v2/ sends to file:///etc/passwd: not an http or https address
        http://127.0.0.1:5000/ sends to http://cdn.example/x: plain http to a host that is not listed as insecure
        http://127.0.0.1:5000/ sends to http://127.0.0.1:2375/x: an address that is not public, which the user did not name
        http://localhost:2375/x ALLOWED Public
        ");
    }

    #[test]
    fn loopback_and_listed_registries_speak_plain_http() {
        let insecure = ["plain.example:81".to_owned(), "other.example".to_owned()];
        let plain = |host: &str| speaks_plain_http(host, &insecure);
        assert!(
            plain("127.0.0.1:5000")
                && plain("localhost:5000")
                && plain("[::1]:5000")
                && plain("plain.example:81")
                && plain("other.example")
        );
        assert!(!plain("plain.example") && !plain("registry.localhost:5000") && !plain("10.0.0.1:5000") && !plain("ghcr.io"));
    }
}
