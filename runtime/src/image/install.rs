//! Brings an image in: its documents, then its layers, then the record that says it is complete.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use futures_util::{StreamExt, TryStreamExt, stream};
use spec::kind::image::Config as ImageConfig;

use super::digest::Digest;
use super::document::{Document, Manifest, refused};
use super::settings::Settings;
use super::source::{Source, blocking};
use super::store::{Image, Name};
use super::unpack::Expected;
use super::{Error, Images};

/// Layers of one image at the same time: two cores unpack, one waits for its registry.
const LAYERS_AT_ONCE: usize = 3;

impl Images {
    /// Installs an image unless it is here.
    pub(super) async fn install(&self, source: Source, digest: &Digest, repository: &str) -> Result<ImageConfig, Error> {
        let _alone = self.inner.pulls.lock(digest).await;
        if let Some(config) = self.settings(digest)? {
            self.name_pending(digest).await?;
            return Ok(config);
        }
        let manifest_bytes = source.manifest(digest).await?;
        let what = format!("manifest {digest}");
        let manifest = Document::manifest(&what, &manifest_bytes)?;
        let config_bytes = source.config(&manifest.config).await?;
        let settings = Settings::parse(&format!("configuration {}", manifest.config.digest), &config_bytes)?;
        if settings.diff_ids.len() != manifest.layers.len() {
            return Err(refused(&what, format!("{} layers, but {} diff ids", manifest.layers.len(), settings.diff_ids.len())));
        }
        self.unpack_layers(&source, &manifest, &settings.diff_ids).await?;

        let image = Image {
            digest: digest.clone(),
            repository: repository.to_owned(),
            config: manifest.config.digest.clone(),
            bytes: manifest.layers.iter().fold(manifest.config.size, |sum, layer| sum.saturating_add(layer.size)),
            layers: settings.diff_ids,
            created: settings.created,
        };
        let store = Arc::clone(&self.inner.store);
        blocking(move || {
            store.put_blob(&image.digest, &manifest_bytes)?;
            store.put_blob(&image.config, &config_bytes)?;
            store.put_image(&image)
        })
        .await?;
        self.name_pending(digest).await?;
        Ok(settings.config)
    }

    async fn unpack_layers(&self, source: &Source, manifest: &Manifest, diff_ids: &[Digest]) -> Result<(), Error> {
        // An image may hold the same layer several times, as empty layers often are.
        let layers: BTreeMap<&Digest, Expected> = std::iter::zip(diff_ids, &manifest.layers)
            .map(|(diff_id, layer)| {
                (diff_id, Expected { digest: layer.digest.clone(), size: layer.size, diff_id: diff_id.clone() })
            })
            .collect();
        let unpacking = layers.into_values().map(|expected| self.unpack_layer(source, expected));
        stream::iter(unpacking).buffer_unordered(LAYERS_AT_ONCE).try_collect().await
    }

    /// Unpacks a layer unless some image has brought it already.
    async fn unpack_layer(&self, source: &Source, expected: Expected) -> Result<(), Error> {
        let _alone = self.inner.layers.lock(&expected.diff_id).await;
        if self.inner.store.has_layer(&expected.diff_id) {
            return Ok(());
        }
        source.unpack(&expected, &self.inner.store, &self.inner.limits).await
    }

    /// Writes the names that waited for an image.
    async fn name_pending(&self, digest: &Digest) -> Result<(), Error> {
        let references = self.inner.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        self.name(digest, references.into_iter().flatten().collect()).await
    }

    /// Makes references mean an image.
    pub(super) async fn name(&self, digest: &Digest, references: Vec<String>) -> Result<(), Error> {
        let (store, digest) = (Arc::clone(&self.inner.store), digest.clone());
        blocking(move || {
            references.into_iter().try_for_each(|reference| store.put_name(&Name { reference, digest: digest.clone() }))
        })
        .await
    }
}
