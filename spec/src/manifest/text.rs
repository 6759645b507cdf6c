//! Texts of a certain form: names, paths, hosts.

use std::net::{IpAddr, Ipv6Addr};

use crate::shape::scalar;

/// A DNS label in lower case (RFC 1123, section 2.1).
pub(super) const LABEL_PATTERN: &str = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";

const A_LABEL: &str = "a name of 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends";
const A_SERVICE: &str = "the name of a service: 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends, and neither `global` nor `service`";

scalar! {
    /// A name that can be part of a host's name: a DNS label in lower case (RFC 1123, section 2.1).
    pub struct Label: "name", expected A_LABEL, pattern LABEL_PATTERN, check is_label;
}

scalar! {
    /// Name of a service: a label, and not one of the words that names in containers end with.
    pub struct ServiceName: "name of a service", expected A_SERVICE,
    pattern "^(?!(?:global|service)$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
    check |text| is_label(text) && !matches!(text, "global" | "service");
}

scalar! {
    /// Any text that can be handed to a process: all but the NUL character.
    pub struct Text: "text", expected "a text without the NUL character", pattern r"^[^\u0000]*$", check |text| !text.contains('\0');
}

scalar! {
    /// A path of a file from the root.
    pub struct AbsolutePath: "absolute path", expected "an absolute path: one that begins with `/`",
    pattern r"^/[^\u0000]*$", check |text| text.starts_with('/') && !text.contains('\0');
}

scalar! {
    /// Beginning of a URL's path, in whole segments (RFC 3986, section 3.3).
    pub struct PathPrefix: "path prefix",
    expected "a path prefix: one that begins with `/`, without empty, `.` or `..` segments, spaces, queries or escapes",
    pattern r#"^(?:/|(?:/(?!\.{1,2}(?:/|$))[!"$&-.0->@-\[\]-~]+)+/?)$"#,
    check is_path_prefix;
}

scalar! {
    /// Path of a request, which may have a query (RFC 9112, section 3.2.1).
    pub struct RequestPath: "path of a request", expected "a path of a request: one that begins with `/`, with spaces escaped",
    pattern "^/[!-~]*$", check |text| text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic());
}

scalar! {
    /// A host's name (RFC 1123, section 2.1), in lower case.
    pub struct HostName: "host name", expected "a host name such as shop.example.com, in lower case",
    pattern "^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$",
    check is_host_name;
}

/// The expression of an address of IPv6 (RFC 4291, section 2.2), where `::` is one group or more.
macro_rules! ipv6 {
    () => { ipv6!("[0-9A-Fa-f]{1,4}", "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])") };
    // From those of a group and of a byte.
    ($group:expr, $byte:expr) => {
        concat!(
            "(?:", $group, ":){7}", $group, "|(?:", $group, ":){1,7}:|:(?::", $group, "){1,7}|::|",
            ipv6!(@around $group, "6", "1"), ipv6!(@around $group, "5", "2"), ipv6!(@around $group, "4", "3"),
            ipv6!(@around $group, "3", "4"), ipv6!(@around $group, "2", "5"), ipv6!(@around $group, "1", "6"),
            // The last two groups as an address of IPv4.
            "(?:(?:", $group, ":){6}|::(?:", $group, ":){0,5}|(?:", $group, ":){1,5}:|",
            "(?:", $group, ":){1,4}:", $group, ":|(?:", $group, ":){1,3}(?::", $group, "){1,2}:|",
            "(?:", $group, ":){1,2}(?::", $group, "){1,3}:|", $group, ":(?::", $group, "){1,4}:)",
            "(?:", $byte, "\\.){3}", $byte
        )
    };
    // At most so many groups before `::`, and after it.
    (@around $group:expr, $before:expr, $after:expr) => { concat!("(?:", $group, ":){1,", $before, "}(?::", $group, "){1,", $after, "}|") };
}
pub(super) use ipv6;

/// The expression of a port from 1 to 65535.
macro_rules! port {
    () => {
        "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
    };
}
pub(super) use port;

/// The expression of a host's name as others may write it, or of an address of IPv4.
macro_rules! name_of_host {
    () => {
        "[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*"
    };
}

scalar! {
    /// A host's name or address.
    pub struct Host: "host", expected "a host name such as db.global, or an IP address",
    pattern concat!("^(?=.{1,253}$)(?:", name_of_host!(), "|", ipv6!(), ")$"),
    check is_host;
}

scalar! {
    /// A URL of HTTP (RFC 9110, sections 4.2.1 and 4.2.2), without userinfo.
    pub struct HttpUrl: "http URL", expected "a URL of a host, a port from 1 to 65535 and a path, such as http://api.global:8080/healthz",
    pattern concat!(
        "^https?://(?:(?=[^/?:]{1,253}(?:[/?:]|$))", name_of_host!(), "|\\[(?:", ipv6!(), ")\\])(?::", port!(), ")?",
        r#"(?:[/?](?:[!$-;=?-Z_a-z~\[\]])*)?$"#
    ),
    check is_http_url;
}

impl HttpUrl {
    pub fn is_tls(&self) -> bool {
        self.starts_with("https:")
    }

    /// Returns the host without the brackets around an address.
    pub fn host(&self) -> &str {
        let (host, _) = authority(self).unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_host_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

fn is_host(text: &str) -> bool {
    is_name_of_host(text) || text.parse::<IpAddr>().is_ok()
}

fn is_name_of_host(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with(['-', '_']) && !label.ends_with(['-', '_'])
    };
    (1..=253).contains(&text.len()) && text.split('.').all(label)
}

fn is_path_prefix(text: &str) -> bool {
    let segment = |segment: &str| {
        !matches!(segment, "" | "." | "..") && segment.bytes().all(|b| b.is_ascii_graphic() && !b"?#%\\".contains(&b))
    };
    match text.strip_prefix('/') {
        Some("") => true,
        Some(rest) => rest.strip_suffix('/').unwrap_or(rest).split('/').all(segment),
        None => false,
    }
}

fn is_http_url(text: &str) -> bool {
    let Some((host, rest)) = authority(text) else { return false };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = address.map_or_else(|| is_name_of_host(host), |address| address.parse::<Ipv6Addr>().is_ok());
    let (port, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    host_fits && port_fits && target.bytes().all(|b| b.is_ascii_graphic() && !br##""#<>\^`{|}"##.contains(&b))
}

/// Splits a URL of HTTP into its host and what is behind that.
fn authority(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"))?;
    let end = match rest.starts_with('[') {
        true => rest.find(']')? + 1,
        false => rest.find([':', '/', '?']).unwrap_or(rest.len()),
    };
    Some(rest.split_at(end))
}

/// A port from 1 to 65535, as [`port`] has it.
pub(super) fn is_port(text: &str) -> bool {
    !text.starts_with(['0', '+']) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_may_have_a_port_and_a_path() {
        for (text, host) in [
            ("http://api.global:8080/healthz", "api.global"),
            ("http://api", "api"),
            ("http://10.0.0.1:80?a=b", "10.0.0.1"),
            ("https://[::1]:8443/", "::1"),
        ] {
            assert_eq!(text.parse::<HttpUrl>().map(|url| url.host().to_owned()), Ok(host.to_owned()));
        }
        for text in [
            "",
            "http://",
            "http:///x",
            "http://api:0",
            "http://api:99999",
            "http://api:http",
            "http://me@api/",
            "http://[::1",
            "ftp://api",
            "http://api/{x}",
            "http://api/a b",
            "http://api/#x",
        ] {
            assert!(text.parse::<HttpUrl>().is_err(), "{text}");
        }
    }
}
