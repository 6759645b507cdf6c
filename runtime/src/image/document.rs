//! Manifests and indexes, of OCI and of Docker: read strictly, since they decide what is fetched next.
//!
//! Sources: image-spec `manifest.md`, `image-index.md`, `descriptor.md`; distribution `manifest-v2-2.md`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Error;
use super::digest::Digest;
use super::platform::{self, Platform};

/// Largest manifest or index: what registries accept at most.
pub(super) const MANIFEST_MAX: u64 = 4 << 20;
/// Largest image configuration; real ones have some KiB.
pub(super) const CONFIG_MAX: u64 = 8 << 20;
/// Most layers of an image: the bound of Docker's overlay driver.
pub(super) const LAYERS_MAX: usize = 128;
/// Most entries of an index: ten times what the largest real ones have.
pub(super) const ENTRIES_MAX: usize = 1024;

pub(super) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(super) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(super) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(super) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

const CONFIG_TYPES: [&str; 2] = [OCI_CONFIG, "application/vnd.docker.container.image.v1+json"];

const LAYER_TYPES: [&str; 6] = [
    OCI_LAYER,
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// Names a piece of content, and says how large it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<BTreeMap<String, String>>,
}

/// One image for one platform.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    pub(super) config: Descriptor,
    /// Lowest first.
    pub(super) layers: Vec<Descriptor>,
}

/// What a registry answers when asked for a manifest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Document {
    Manifest(Manifest),
    /// Images for several platforms.
    Index(Vec<Descriptor>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<u64>,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Document {
    /// Parses a manifest or an index; `what` names it in errors.
    pub(super) fn parse(what: &str, bytes: &[u8]) -> Result<Document, Error> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| refused(what, error.to_string()))?;
        if raw.schema_version != Some(2) {
            return Err(refused(what, "only manifests of schemaVersion 2 are understood"));
        }
        match (raw.manifests, raw.layers) {
            (Some(_), Some(_)) => Err(refused(what, "a document with both `manifests` and `layers` is ambiguous")),
            (Some(entries), None) => index(what, raw.media_type.as_deref(), entries),
            (None, Some(layers)) => manifest(what, raw.media_type.as_deref(), raw.config, layers),
            (None, None) => Err(refused(what, "neither a manifest nor an index")),
        }
    }

    /// Parses a document that must be one image's manifest.
    pub(super) fn manifest(what: &str, bytes: &[u8]) -> Result<Manifest, Error> {
        match Document::parse(what, bytes)? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(_) => Err(refused(what, "an index where the manifest of one image belongs")),
        }
    }
}

fn index(what: &str, media_type: Option<&str>, entries: Vec<Descriptor>) -> Result<Document, Error> {
    expect_type(what, media_type, &[OCI_INDEX, DOCKER_LIST])?;
    if entries.len() > ENTRIES_MAX {
        return Err(refused(what, format!("an index of {} entries; at most {ENTRIES_MAX} are read", entries.len())));
    }
    Ok(Document::Index(entries))
}

fn manifest(
    what: &str,
    media_type: Option<&str>,
    config: Option<Descriptor>,
    layers: Vec<Descriptor>,
) -> Result<Document, Error> {
    expect_type(what, media_type, &[OCI_MANIFEST, DOCKER_MANIFEST])?;
    let config = config.ok_or_else(|| refused(what, "no `config`"))?;
    if !CONFIG_TYPES.contains(&config.media_type.as_str()) {
        return Err(refused(what, format!("not a container image: its configuration is a {:?}", config.media_type)));
    }
    if config.size > CONFIG_MAX {
        return Err(refused(what, format!("a configuration of {} bytes; at most {CONFIG_MAX} are read", config.size)));
    }
    if layers.len() > LAYERS_MAX {
        return Err(refused(what, format!("{} layers; at most {LAYERS_MAX} can be mounted", layers.len())));
    }
    if let Some(layer) = layers.iter().find(|layer| !LAYER_TYPES.contains(&layer.media_type.as_str())) {
        return Err(refused(what, format!("layer {} is a {:?}, which is no layer to unpack", layer.digest, layer.media_type)));
    }
    Ok(Document::Manifest(Manifest { config, layers }))
}

/// A document need not name its type, but may not claim another one than its shape shows.
fn expect_type(what: &str, media_type: Option<&str>, expected: &[&str]) -> Result<(), Error> {
    match media_type {
        Some(other) if !expected.contains(&other) => Err(refused(what, format!("its shape is not that of a {other:?}"))),
        _ => Ok(()),
    }
}

/// Picks this node's image from an index.
pub(super) fn choose<'a>(what: &str, entries: &'a [Descriptor]) -> Result<&'a Descriptor, Error> {
    let chosen = platform::choose(entries).ok_or_else(|| {
        let offered: Vec<String> = entries.iter().filter_map(|entry| entry.platform.as_ref()).map(Platform::to_string).collect();
        let platform = if offered.is_empty() { "no platform".to_owned() } else { offered.join(", ") };
        Error::Platform { digest: what.to_owned(), platform, node: platform::NODE.to_string() }
    })?;
    if ![OCI_MANIFEST, DOCKER_MANIFEST].contains(&chosen.media_type.as_str()) {
        return Err(refused(what, format!("its entry {} is a {:?}, not an image", chosen.digest, chosen.media_type)));
    }
    if chosen.size > MANIFEST_MAX {
        return Err(refused(what, format!("a manifest of {} bytes; at most {MANIFEST_MAX} are read", chosen.size)));
    }
    Ok(chosen)
}

pub(super) fn refused(what: &str, reason: impl Into<String>) -> Error {
    Error::Document { what: what.to_owned(), reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn descriptor(media_type: &str) -> String {
        format!(r#"{{"mediaType":"{media_type}","digest":"sha256:{HEX}","size":1}}"#)
    }

    fn reason(json: &str) -> String {
        let error = Document::parse("x", json.as_bytes()).unwrap_err();
        assert!(error.is_permanent());
        error.to_string()
    }

    fn manifest_of(layers: &[String]) -> String {
        format!(r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#, descriptor(OCI_CONFIG), layers.join(","))
    }

    #[test]
    fn manifests_of_both_families_are_read() {
        for (manifest, config, layer) in
            [(OCI_MANIFEST, CONFIG_TYPES[0], LAYER_TYPES[2]), (DOCKER_MANIFEST, CONFIG_TYPES[1], LAYER_TYPES[4])]
        {
            let json = format!(
                r#"{{"schemaVersion":2,"mediaType":"{manifest}","config":{},"layers":[{}],"annotations":{{"a":"b"}}}}"#,
                descriptor(config),
                descriptor(layer)
            );
            assert_eq!(Document::manifest("x", json.as_bytes()).unwrap().layers.len(), 1);
        }
    }

    #[test]
    fn ambiguous_and_foreign_documents_are_refused_by_name() {
        let layer = descriptor(OCI_LAYER);
        let both = format!(r#"{{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}}"#, descriptor(OCI_CONFIG));
        let twice = r#"{"schemaVersion":2,"layers":[],"layers":[]}"#;
        let claimed =
            format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","config":{},"layers":[{layer}]}}"#, descriptor(OCI_CONFIG));
        let chart =
            format!(r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#, descriptor("application/vnd.cncf.helm.config.v1+json"));
        let all = [
            reason(&both),
            reason(twice),
            reason(&claimed),
            reason(&chart),
            reason(&manifest_of(&[descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")])),
            reason(r#"{"schemaVersion":1,"fsLayers":[]}"#),
            reason(&manifest_of(&[layer.replace(HEX, "../../etc/passwd")])),
            reason(&manifest_of(&[layer.replace(":1}", ":-1}")])),
            reason("[1]"),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        x: a document with both `manifests` and `layers` is ambiguous
        x: duplicate field `layers` at line 1 column 39
        x: its shape is not that of a "application/vnd.oci.image.index.v1+json"
        x: not a container image: its configuration is a "application/vnd.cncf.helm.config.v1+json"
        x: layer sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 is a "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", which is no layer to unpack
        x: only manifests of schemaVersion 2 are understood
        x: "sha256:../../etc/passwd" is not a digest: sha256: and 64 lower-case hexadecimal digits at line 1 column 275
        x: invalid value: integer `-1`, expected u64 at line 1 column 333
        x: invalid length 1, expected struct Raw with 5 elements at line 1 column 3
        "#);
    }

    #[test]
    fn lists_are_bounded() {
        assert!(reason(&manifest_of(&vec![descriptor(OCI_LAYER); LAYERS_MAX + 1])).contains("129 layers"));
        let entries = vec![descriptor(OCI_MANIFEST); ENTRIES_MAX + 1].join(",");
        assert!(reason(&format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#)).contains("1025 entries"));
        let huge = manifest_of(&[]).replace(r#""size":1"#, r#""size":1073741824"#);
        assert!(reason(&huge).contains("1073741824 bytes"));
    }

    #[test]
    fn an_index_inside_an_index_is_refused() {
        let Document::Index(entries) =
            Document::parse("x", format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, descriptor(OCI_INDEX)).as_bytes()).unwrap()
        else {
            panic!("an index")
        };
        let error = choose("x", &entries).unwrap_err();
        assert!(error.to_string().contains("not an image"), "{error}");
    }
}
