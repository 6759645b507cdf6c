//! Image references as people write them, completed the way Docker does it: `nginx` is `docker.io/library/nginx:latest`.

use std::fmt;

use super::{Error, digest::Digest};

/// Where an image lives: a registry's host, with its port where one is given, and a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Repository {
    pub(super) host: String,
    pub(super) path: String,
}

/// A repository and which of its images is meant; a digest wins over a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) repository: Repository,
    pub(super) tag: Option<String>,
    pub(super) digest: Option<Digest>,
}

/// The distribution specification's bound on `host/path`.
const NAME_MAX: usize = 255;
/// The distribution specification's bound on a tag.
const TAG_MAX: usize = 128;

const DOCKER_HUB: &str = "docker.io";

impl Repository {
    /// Parses `docker.io/library/nginx`, or a shorter form of it.
    pub(super) fn parse(text: &str) -> Result<Repository, Error> {
        let last = text.rsplit('/').next().unwrap_or(text);
        if last.contains([':', '@']) {
            return Err(wrong(text, "a repository has neither tag nor digest"));
        }
        Ok(Reference::parse(text)?.repository)
    }
}

impl Reference {
    /// Parses what a person wrote.
    pub(super) fn parse(text: &str) -> Result<Reference, Error> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest)?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong(text, "a tag has 1 to 128 letters, digits, '_', '.' and '-', and does not start with '.' or '-'"));
        }
        let repository = complete(name);
        check(text, &repository)?;
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Reference { repository, tag, digest })
    }
}

/// Splits off what follows the last colon, unless that colon belongs to a host's port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Adds what Docker adds: the host when the first part does not look like one, and `library/` on Docker Hub.
fn complete(name: &str) -> Repository {
    let (host, path) = match name.split_once('/') {
        Some((first, rest)) if is_host_like(first) => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    let host = if host == "index.docker.io" { DOCKER_HUB } else { host };
    let official = host == DOCKER_HUB && !path.contains('/');
    let path = if official { format!("library/{path}") } else { path.to_owned() };
    Repository { host: host.to_owned(), path }
}

fn is_host_like(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn check(text: &str, repository: &Repository) -> Result<(), Error> {
    let Repository { host, path } = repository;
    if host.len() + 1 + path.len() > NAME_MAX {
        return Err(wrong(text, "a name has at most 255 characters"));
    }
    if !is_host(host) {
        return Err(wrong(text, "the part before the first '/' is not a host, or not one with a port"));
    }
    if !path.split('/').all(is_component) {
        return Err(wrong(text, "a name's parts have lower-case letters and digits, joined by '.', '_', '__' or '-'"));
    }
    Ok(())
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_address =
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok());
    (is_address || host.split('.').all(is_label)) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Lower-case letters and digits, joined by one dot, one or two underscores, or any number of dashes.
fn is_component(part: &str) -> bool {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(is_separator)
}

fn is_separator(text: &str) -> bool {
    matches!(text, "" | "." | "_" | "__") || text.bytes().all(|byte| byte == b'-')
}

fn is_tag(tag: &str) -> bool {
    (1..=TAG_MAX).contains(&tag.len())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
        && !tag.starts_with(['.', '-'])
}

fn wrong(reference: &str, reason: &'static str) -> Error {
    Error::Reference { reference: reference.to_owned(), reason }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.host, self.path)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository)?;
        match (&self.digest, &self.tag) {
            (Some(digest), _) => write!(formatter, "@{digest}"),
            (None, Some(tag)) => write!(formatter, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(text: &str) -> String {
        Reference::parse(text).unwrap().to_string()
    }

    #[test]
    fn short_names_are_completed_as_docker_does() {
        let digest = Digest::of(b"");
        assert_eq!(full("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(full("nginx:alpine"), "docker.io/library/nginx:alpine");
        assert_eq!(full("index.docker.io/nginx"), "docker.io/library/nginx:latest");
        assert_eq!(full("org/app"), "docker.io/org/app:latest");
        assert_eq!(full("ghcr.io/org/a/b_c__d-e.f:v1.2"), "ghcr.io/org/a/b_c__d-e.f:v1.2");
        assert_eq!(full("localhost/x"), "localhost/x:latest");
        assert_eq!(full("127.0.0.1:5000/x"), "127.0.0.1:5000/x:latest");
        assert_eq!(full("[::1]:5000/x:y"), "[::1]:5000/x:y");
        assert_eq!(full(&format!("nginx:alpine@{digest}")), format!("docker.io/library/nginx@{digest}"));
    }

    #[test]
    fn what_is_not_a_reference_is_refused() {
        let long = format!("{}/x", "a".repeat(300));
        for wrong in [
            "",
            ":",
            "/",
            "a//b",
            "../etc",
            "a/../b",
            "Nginx",
            "nginx:",
            "nginx:-x",
            "nginx:a b",
            "a..b",
            "a___b",
            "-a",
            "host.example:0/x",
            "host.example:99999/x",
            "ho st.example/x",
            "user@host.example/x",
            "nginx@sha256:../../x",
            "nginx\n",
            "nginx\0",
            "[::1/x",
            &long,
            "host.example:80:80/x",
            "[zz]:1/x",
            "ä.example/x",
            "nginx:é",
        ] {
            assert!(Reference::parse(wrong).is_err_and(|error| error.is_permanent()), "{wrong:?}");
        }
    }

    #[test]
    fn a_repository_has_neither_tag_nor_digest() {
        assert_eq!(Repository::parse("127.0.0.1:5000/x").unwrap().to_string(), "127.0.0.1:5000/x");
        assert_eq!(Repository::parse("nginx").unwrap().to_string(), "docker.io/library/nginx");
        assert!(Repository::parse("nginx:latest").is_err());
        assert!(Repository::parse(&format!("nginx@{}", Digest::of(b""))).is_err());
    }
}
