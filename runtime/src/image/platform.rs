//! Which of an index's images runs on this node.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::document::Descriptor;

/// An operating system and a processor, by Go's names (image-spec `image-index.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Platform {
    pub(super) os: String,
    pub(super) architecture: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variant: Option<String>,
}

/// The platform of the node this program was built for.
pub(super) const NODE: Node = Node { architecture: go_name(std::env::consts::ARCH) };

/// A Linux node.
#[derive(Clone, Copy)]
pub(super) struct Node {
    pub(super) architecture: &'static str,
}

const fn go_name(rust: &'static str) -> &'static str {
    match rust.as_bytes() {
        b"x86_64" => "amd64",
        b"aarch64" => "arm64",
        b"x86" => "386",
        b"powerpc64" => "ppc64le",
        b"loongarch64" => "loong64",
        _ => rust,
    }
}

impl Node {
    /// Whether an image for this platform runs here; what an image leaves open is taken on trust.
    pub(super) fn runs(&self, platform: &Platform) -> bool {
        let is_linux = matches!(platform.os.as_str(), "" | "linux");
        let architecture = platform.architecture.as_str();
        let is_ours =
            architecture.is_empty() || architecture == self.architecture || (self.architecture, architecture) == ("amd64", "386");
        is_linux && is_ours
    }

    /// Whether a variant is the one every processor of the architecture runs: `amd64/v3` needs a newer one.
    fn is_baseline(&self, variant: Option<&str>) -> bool {
        match (self.architecture, variant) {
            (_, None) => true,
            ("amd64", Some(variant)) => variant == "v1",
            ("arm64", Some(variant)) => variant == "v8",
            (_, Some(_)) => true,
        }
    }
}

/// Picks the first entry for this node; an index of a single entry need not name a platform.
pub(super) fn choose(entries: &[Descriptor]) -> Option<&Descriptor> {
    let fits = |entry: &&Descriptor| {
        entry.platform.as_ref().is_some_and(|platform| {
            platform.os == "linux" && platform.architecture == NODE.architecture && NODE.is_baseline(platform.variant.as_deref())
        })
    };
    entries.iter().find(fits).or(match entries {
        [only] if only.platform.is_none() => Some(only),
        _ => None,
    })
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(formatter, "/{variant}"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "linux/{}", self.architecture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::digest::Digest;
    use crate::image::document::OCI_MANIFEST;

    fn entry(platform: Option<(&str, &str, Option<&str>)>) -> Descriptor {
        let platform = platform.map(|(os, architecture, variant)| Platform {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        });
        Descriptor { media_type: OCI_MANIFEST.to_owned(), digest: Digest::of(b""), size: 1, platform, annotations: None }
    }

    #[test]
    fn the_baseline_of_this_architecture_is_chosen() {
        let here = NODE.architecture;
        let entries = [
            entry(None),
            entry(Some(("unknown", "unknown", None))),
            entry(Some(("windows", here, None))),
            entry(Some(("linux", "s390x", None))),
            entry(Some(("linux", here, Some("v9")))),
            entry(Some(("linux", here, None))),
        ];
        assert_eq!(choose(&entries), Some(&entries[5]));
        assert_eq!(choose(&entries[..5]), None);
    }

    #[test]
    fn a_lone_entry_needs_no_platform() {
        assert!(choose(&[entry(None)]).is_some());
        assert!(choose(&[entry(None), entry(None)]).is_none());
        assert!(choose(&[]).is_none());
    }

    #[test]
    fn an_image_for_another_processor_does_not_run() {
        let runs = |os: &str, architecture: &str| {
            NODE.runs(&Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant: None })
        };
        assert!(runs("linux", NODE.architecture));
        assert!(runs("", ""));
        assert!(!runs("windows", NODE.architecture));
        assert!(!runs("linux", "s390x"));
    }
}
