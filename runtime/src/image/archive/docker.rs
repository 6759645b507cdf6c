//! What `docker save` wrote before it wrote OCI layouts: a list of configurations and layers, without manifests.
//!
//! The manifest that is missing is made here, always the same for the same image.

use serde::{Deserialize, Serialize};

use super::{Archive, Extra, Found};
use crate::image::Error;
use crate::image::digest::{Digest, Hashing};
use crate::image::document::{CONFIG_MAX, Descriptor, LAYERS_MAX, OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use crate::image::reference::Reference;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u64,
    media_type: &'static str,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// Finds the images that a `manifest.json` lists, and gives each a manifest.
pub(super) fn images(archive: &mut Archive, list: &[u8]) -> Result<Vec<Found>, Error> {
    let entries: Vec<Entry> = serde_json::from_slice(list).map_err(|error| archive.wrong(format!("manifest.json: {error}")))?;
    entries.iter().map(|entry| image(archive, entry)).collect()
}

fn image(archive: &mut Archive, entry: &Entry) -> Result<Found, Error> {
    if entry.layers.len() > LAYERS_MAX {
        return Err(archive.wrong(format!("{} layers; at most {LAYERS_MAX} can be mounted", entry.layers.len())));
    }
    let config =
        archive.small(&entry.config, CONFIG_MAX)?.ok_or_else(|| archive.wrong(format!("{:?} is missing", entry.config)))?;
    let config = keep(archive, OCI_CONFIG, config);
    let layers: Result<Vec<Descriptor>, Error> = entry.layers.iter().map(|name| layer(archive, name)).collect();
    let manifest = Manifest { schema_version: 2, media_type: OCI_MANIFEST, config, layers: layers? };
    let manifest = serde_json::to_vec(&manifest).map_err(|error| archive.wrong(error.to_string()))?;
    let tags = entry.repo_tags.iter().flatten();
    let references: Result<Vec<String>, Error> = tags.map(|tag| Reference::parse(tag).map(|tag| tag.to_string())).collect();
    Ok(Found { digest: keep(archive, OCI_MANIFEST, manifest).digest, references: references? })
}

fn keep(archive: &mut Archive, media_type: &str, bytes: Vec<u8>) -> Descriptor {
    let descriptor = describe(media_type, Digest::of(&bytes), bytes.len() as u64);
    archive.extra.insert(descriptor.digest.clone(), Extra::Bytes(bytes));
    descriptor
}

fn layer(archive: &mut Archive, name: &str) -> Result<Descriptor, Error> {
    let member = archive.member(name)?.ok_or_else(|| archive.wrong(format!("{name:?} is missing")))?;
    let mut reader = Hashing::new(member.reader);
    std::io::copy(&mut reader, &mut std::io::sink()).map_err(Error::io("read", &archive.path))?;
    let size = reader.count();
    let descriptor = describe(OCI_LAYER, reader.digest(), size);
    archive.extra.insert(descriptor.digest.clone(), Extra::Member(name.to_owned()));
    Ok(descriptor)
}

fn describe(media_type: &str, digest: Digest, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.to_owned(), digest, size, platform: None, annotations: None }
}
