//! OCI layouts: `index.json` names the images, `blobs/` holds them.

use std::collections::BTreeMap;

use super::{Archive, Found};
use crate::image::Error;
use crate::image::document::{self, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Document, MANIFEST_MAX, OCI_INDEX, OCI_MANIFEST};
use crate::image::platform;
use crate::image::reference::Reference;

/// What containerd and BuildKit call an image: complete, and so preferred.
const CONTAINERD_NAME: &str = "io.containerd.image.name";
const OCI_NAME: &str = "org.opencontainers.image.ref.name";

/// Finds the images for this node that an `index.json` names.
pub(super) fn images(archive: &Archive, index: &[u8]) -> Result<Vec<Found>, Error> {
    let Document::Index(entries) = Document::parse("index.json", index)? else {
        return Err(archive.wrong("its index.json is a manifest"));
    };
    let is_for_us = |entry: &&Descriptor| entry.platform.as_ref().is_none_or(|platform| platform::NODE.runs(platform));
    let mut found: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for entry in entries.iter().filter(is_for_us) {
        let digest = match entry.media_type.as_str() {
            OCI_MANIFEST | DOCKER_MANIFEST => entry.digest.clone(),
            OCI_INDEX | DOCKER_LIST => choose(archive, entry)?.digest,
            other => return Err(archive.wrong(format!("its entry {} is a {other:?}, not an image", entry.digest))),
        };
        found.entry(digest).or_default().extend(reference(entry)?);
    }
    Ok(found.into_iter().map(|(digest, references)| Found { digest, references }).collect())
}

fn choose(archive: &Archive, index: &Descriptor) -> Result<Descriptor, Error> {
    let what = format!("index {}", index.digest);
    match Document::parse(&what, &archive.document(index, MANIFEST_MAX)?)? {
        Document::Index(entries) => document::choose(&what, &entries).cloned(),
        Document::Manifest(_) => Err(document::refused(&what, "a manifest where an index belongs")),
    }
}

fn reference(entry: &Descriptor) -> Result<Option<String>, Error> {
    let annotations = entry.annotations.as_ref();
    let name = annotations.and_then(|all| all.get(CONTAINERD_NAME).or_else(|| all.get(OCI_NAME)));
    name.map(|name| Reference::parse(name).map(|reference| reference.to_string())).transpose()
}
