//! Resolving references and fetching images.

use spec::kind::image::Failure;
use spec::kind::{Image, Resolution, image, resolution};
use spec::view::Item;
use spec::{Name, Object, Timestamp};
use tracing::{info, warn};

use super::Edge;
use crate::report::{self, chain};

pub(super) async fn resolve(edge: &Edge, name: &Name, spec: &resolution::Spec) {
    let Some(subject) = edge.subject::<Resolution>(name) else { return };
    let result = edge.images.resolve(&spec.reference, spec.pull_policy).await;
    let now = edge.clock.now();
    // The user may have mended the reference meanwhile: then this says nothing about the one that stands there now.
    let asked = edge.object::<Resolution>(name);
    if asked.as_deref().and_then(Item::<Resolution>::of).is_none_or(|item| item.spec != spec) {
        return;
    }
    if let Err(error) = &result {
        warn!(service = %name, image = spec.reference, error = chain(error), "the image cannot be resolved");
    }
    report::status::<Resolution>(&edge.store, name, &subject.uid, |status: &mut resolution::Status| match &result {
        Ok(resolved) => {
            let resolved = resolution::Resolved { reference: spec.reference.clone(), ..resolved.clone() };
            *status = resolution::Status { resolved: Some(resolved), failure: None };
        }
        Err(error) => status.failure = Some(one_more(status.failure.as_ref(), chain(error), error.is_permanent(), now)),
    })
    .await;
}

pub(super) async fn pull(edge: &Edge, name: &Name, spec: &image::Spec) {
    let Some(subject) = edge.subject::<Image>(name) else { return };
    let result = edge.images.pull(&spec.repository, &spec.digest).await;
    let now = edge.clock.now();
    match &result {
        Ok(_) => info!(image = spec.repository, digest = spec.digest, "image present"),
        Err(error) => warn!(image = spec.repository, digest = spec.digest, error = chain(error), "the image cannot be pulled"),
    }
    report::status::<Image>(&edge.store, name, &subject.uid, |status: &mut image::Status| match &result {
        Ok(config) => *status = image::Status { config: Some(config.clone()), failure: None },
        Err(error) => status.failure = Some(one_more(status.failure.as_ref(), chain(error), error.is_permanent(), now)),
    })
    .await;
}

/// Reports an image as missing if its layers cannot be had, so that it is pulled again.
pub(super) async fn look_at(edge: &Edge, object: &Object, digest: &str) {
    let Err(error) = edge.images.layers(digest) else { return };
    warn!(image = digest, error = chain(&error), "the image is no longer there");
    report::status::<Image>(&edge.store, &object.key.name, &object.uid, |status: &mut image::Status| status.config = None).await;
}

/// Counts a failure on from the one before it.
pub(super) fn one_more(before: Option<&Failure>, message: String, permanent: bool, at: Timestamp) -> Failure {
    Failure { message, permanent, at, attempts: before.map_or(0, |before| before.attempts) + 1 }
}
