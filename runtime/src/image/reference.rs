//! Image references, as the language reads them, with their digests as the store has them.

use std::fmt;

use spec::manifest::ImageRef;

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
        let parsed: ImageRef = text.parse().map_err(|_| wrong(text, "it is not like nginx:alpine or ghcr.io/org/api:1.2"))?;
        let found = parsed.reference();
        let repository = Repository { host: found.host.to_owned(), path: found.path };
        let digest = found.digest.map(Digest::parse).transpose()?;
        Ok(Reference { repository, tag: found.tag.map(str::to_owned), digest })
    }
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
