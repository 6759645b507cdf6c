//! Header fields that end at this hop, and those that say who asked.

use std::net::IpAddr;

use hyper::HeaderMap;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::http::uri::Authority;

/// Fields that speak of one connection only (RFC 9110 section 7.6.1).
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Claims about the client that backends believe, and only the proxy may make.
const CLAIMS: [HeaderName; 3] =
    [HeaderName::from_static("x-forwarded-port"), HeaderName::from_static("x-real-ip"), HeaderName::from_static("x-forwarded")];

/// What is said of a client, made once for each connection.
pub(super) struct Client {
    address: HeaderValue,
    forwarded: HeaderValue,
}

impl Client {
    pub(super) fn new(address: IpAddr) -> Client {
        let address = address.to_canonical();
        let forwarded = match address {
            IpAddr::V4(address) => format!("for={address};proto=http"),
            IpAddr::V6(address) => format!("for=\"[{address}]\";proto=http"),
        };
        // Addresses are made of visible ASCII.
        let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("unknown"));
        Client { address: value(address.to_string()), forwarded: value(forwarded) }
    }

    /// Replaces what the client said of itself.
    pub(super) fn introduce(&self, headers: &mut HeaderMap) {
        for claim in CLAIMS {
            headers.remove(claim);
        }
        let disguised: Vec<HeaderName> = headers.keys().filter(|name| is_disguised_claim(name)).cloned().collect();
        for claim in disguised {
            headers.remove(claim);
        }
        match headers.get(header::HOST).cloned() {
            Some(host) => drop(headers.insert(X_FORWARDED_HOST, host)),
            None => drop(headers.remove(X_FORWARDED_HOST)),
        }
        headers.insert(X_FORWARDED_FOR, self.address.clone());
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        headers.insert(header::FORWARDED, self.forwarded.clone());
    }
}

/// Says whether a name is a claim with `_` for `-`: to many backends (CGI, WSGI, PHP) that is the same name.
fn is_disguised_claim(name: &HeaderName) -> bool {
    let name = name.as_str();
    let written = [header::FORWARDED, X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
    name.contains('_') && CLAIMS.iter().chain(&written).any(|claim| *claim.as_str() == name.replace('_', "-"))
}

/// Says whether a `Host` header is a host with or without a port, or empty (RFC 9112 section 3.2).
pub(super) fn is_authority(host: &HeaderValue) -> bool {
    host.is_empty() || (!host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok())
}

/// Says whether a body is coded in chunks or not at all: what hyper undoes and makes anew.
pub(super) fn transfer_coding_is_plain(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => true,
        (Some(coding), None) => coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// Returns the protocol that a request or response asks to change to.
///
/// Another version of HTTP is none (RFC 9113 section 3.1 has abolished `h2c`): in such a tunnel requests would pass by the
/// routes, and could claim to come from anybody.
pub(super) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = connection_options(headers).any(|option| option.eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|protocol| asks && !names_http(protocol)).cloned()
}

fn names_http(protocols: &HeaderValue) -> bool {
    let text = protocols.as_bytes().to_ascii_lowercase();
    let mut names = text.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.any(|name| name == b"h2c" || name == b"h2" || name.starts_with(b"http/"))
}

/// Removes what is meant for this hop only.
pub(super) fn end_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = connection_options(headers).filter_map(|option| option.parse().ok()).collect();
        // These name the target and the message itself: a client may not take them away.
        for name in named.iter().filter(|name| ![header::HOST, header::CONTENT_LENGTH].contains(name)) {
            headers.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn what_belongs_to_one_hop_does_not_go_further() {
        let mut map = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Mine, Host"),
            ("connection", "content-length"),
            ("x-mine", "1"),
            ("keep-alive", "5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("transfer-encoding", "chunked"),
            ("host", "a"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ] {
            map.append(name, HeaderValue::from_static(value));
        }
        end_hop(&mut map);
        assert_eq!(map, headers(&[("host", "a"), ("content-length", "3"), ("accept", "*/*")]));
    }

    #[test]
    fn claims_from_outside_are_replaced() {
        let mut map = headers(&[
            ("host", "shop.example"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-host", "evil"),
            ("x-forwarded-proto", "https"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("x-forwarded-port", "443"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-forwarded_host", "evil"),
            ("x_real_ip", "6.6.6.6"),
        ]);
        Client::new("::ffff:10.1.2.3".parse().unwrap()).introduce(&mut map);
        let expected = headers(&[
            ("host", "shop.example"),
            ("x-forwarded-for", "10.1.2.3"),
            ("x-forwarded-host", "shop.example"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=10.1.2.3;proto=http"),
        ]);
        assert_eq!(map, expected);
        assert_eq!(Client::new("::1".parse().unwrap()).forwarded, "for=\"[::1]\";proto=http");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_with_or_without_a_port() {
        for (host, good) in [
            ("", true),
            ("shop.example:8080", true),
            ("[::1]:80", true),
            ("my_host", true),
            ("a@b", false),
            ("a, b", false),
            ("a/x", false),
            ("a\"<>", false),
        ] {
            assert_eq!(is_authority(&HeaderValue::from_static(host)), good, "{host}");
        }
    }

    #[test]
    fn an_upgrade_counts_only_if_the_connection_field_names_it() {
        assert_eq!(upgrade(&headers(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")])).unwrap(), "websocket");
        assert_eq!(upgrade(&headers(&[("connection", "close"), ("upgrade", "websocket")])), None);
        assert_eq!(upgrade(&headers(&[("connection", "upgrade")])), None);
        for protocol in ["h2c", "H2C", "websocket, h2c", "HTTP/2.0", "h2"] {
            assert_eq!(upgrade(&headers(&[("connection", "upgrade"), ("upgrade", protocol)])), None, "{protocol}");
        }
    }
}
