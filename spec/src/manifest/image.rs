//! The image (section 5), and references to images as people write them.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::text::{ipv6, is_port, port};
use crate::shape::{model, scalar};
use crate::units::BadValue;

model! {
    /// The image containers are made from.
    #[section("5")]
    pub struct Image {
        /// Reference of an image, as Docker takes it: `nginx` is `docker.io/library/nginx:latest`.
        ///
        /// A reference is resolved to a digest once and stays what it was; write another tag, or a digest, to get another image.
        ///
        /// Example: `name: ghcr.io/org/api:1.2`
        name: ImageRef,
        /// When a registry is asked.
        ///
        /// Example: `pull_policy: never`
        pull_policy: PullPolicy = PullPolicy::IfNotPresent,
    }
}

model! {
    /// When a registry is asked.
    #[section("5")]
    pub enum PullPolicy {
        /// Each time the reference is resolved.
        Always = "always",
        /// When the node has no image of that name.
        IfNotPresent = "if_not_present",
        /// Never: the image must have been loaded.
        Never = "never",
    }
}

/// A reference to an image, kept as it was written; [`ImageRef::reference`] completes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageRef {
    text: Box<str>,
}

/// Where an image is and which one is meant, completed the way Docker does it; a digest wins over a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// A registry's host, with its port where one is given.
    pub host: &'a str,
    /// The repository's path in the registry.
    pub path: String,
    /// `latest` where there is neither a tag nor a digest.
    pub tag: Option<&'a str>,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: Option<&'a str>,
}

/// Longest reference without its digest that is taken, in bytes: the distribution specification's bound on a name.
const MAX: usize = 255;
/// The distribution specification's bound on a tag.
const TAG_MAX: usize = 128;
const DOCKER_HUB: &str = "docker.io";
const A_REFERENCE: &str = "an image reference such as nginx:alpine or ghcr.io/org/api:1.2";

impl ImageRef {
    pub fn reference(&self) -> Reference<'_> {
        parts(&self.text).expect("a reference is checked when it is made")
    }
}

impl FromStr for ImageRef {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<ImageRef, BadValue> {
        match parts(text) {
            Some(_) => Ok(ImageRef { text: text.into() }),
            None => Err(BadValue::new(text, A_REFERENCE)),
        }
    }
}

fn parts(text: &str) -> Option<Reference<'_>> {
    let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
    if rest.len() > MAX {
        return None;
    }
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    let (host, path) = match name.split_once('/') {
        Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => (Some(first), path),
        _ => (None, name),
    };
    let good =
        path.split('/').all(is_component) && host.is_none_or(is_host) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    let host = host.filter(|host| *host != "index.docker.io").unwrap_or(DOCKER_HUB);
    let official = host == DOCKER_HUB && !path.contains('/');
    let path = if official { format!("library/{path}") } else { path.to_owned() };
    good.then(|| Reference { host, path, tag: tag.or_else(|| digest.is_none().then_some("latest")), digest })
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let name_fits = address.map_or_else(|| name.split('.').all(is_label), |address| address.parse::<Ipv6Addr>().is_ok());
    name_fits && port.is_none_or(is_port)
}

fn is_label(label: &str) -> bool {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_component(part: &str) -> bool {
    let is_word = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|b| b == b'-');
    let bytes = part.as_bytes();
    bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(separator)
}

fn is_tag(tag: &str) -> bool {
    (1..=TAG_MAX).contains(&tag.len())
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !tag.starts_with(['.', '-'])
}

fn is_digest(digest: &str) -> bool {
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    digest.strip_prefix("sha256:").is_some_and(hex)
}

scalar! {
    @shape ImageRef, "image reference", A_REFERENCE,
    concat!(
        r"^(?=[^@]{1,255}(?:@|$))(?:",
        // With a host, with a first part that cannot be one, or in one part.
        r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+",
        r"|\[(?:", ipv6!(), r")\]|(?=[^/]*:)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?|localhost)",
        r"(?::", port!(), r")?/",
        r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*",
        r"|[a-z0-9]+(?:(?:_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)+",
        r"|[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)",
        r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$"
    ), None
}

impl PartialEq<str> for ImageRef {
    fn eq(&self, other: &str) -> bool {
        &*self.text == other
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for ImageRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for ImageRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ImageRef, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_as_docker_does() {
        for (text, host, path, tag) in [
            ("nginx", "docker.io", "library/nginx", Some("latest")),
            ("nginx:alpine", "docker.io", "library/nginx", Some("alpine")),
            ("org/app", "docker.io", "org/app", Some("latest")),
            ("ghcr.io/org/app:1", "ghcr.io", "org/app", Some("1")),
            ("localhost/app", "localhost", "app", Some("latest")),
            ("127.0.0.1:5000/a/b:t", "127.0.0.1:5000", "a/b", Some("t")),
            ("[::1]:5000/x", "[::1]:5000", "x", Some("latest")),
            ("index.docker.io/nginx", "docker.io", "library/nginx", Some("latest")),
        ] {
            let image: ImageRef = text.parse().unwrap();
            let found = image.reference();
            assert_eq!((found.host, found.path.as_str(), found.tag, found.digest), (host, path, tag, None), "{text}");
        }
        let pinned: ImageRef = format!("app@sha256:{}", "a".repeat(64)).parse().unwrap();
        assert_eq!((pinned.reference().tag, pinned.reference().digest.map(str::len)), (None, Some(71)));
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a".repeat(500);
        for text in [
            "",
            " ",
            "Nginx",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:b:c",
            "a@sha256:12",
            "-a",
            "a..b",
            "x:0/a",
            "x:99999/a",
            "a b",
            "a\n",
            "a___b",
            "../etc",
            "ho.st:80:80/x",
            "[zz]:1/x",
            "[::1/x",
            "user@ho.st/x",
            "ä.x/y",
            &long,
        ] {
            assert!(text.parse::<ImageRef>().is_err(), "{text:?}");
        }
    }
}
