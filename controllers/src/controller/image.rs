//! Gets images: resolves each service's reference to a digest once, and brings each revision's image to the node.
//!
//! Keys: Service, Resolution, Revision, Image.

use std::sync::Arc;

use spec::kind::{Image, Resolution, Revision, Service, image, resolution};
use spec::object::{Half, Resource};
use spec::{Effect, Key, Kind, Plan, Timestamp, View, Write};

use crate::Controller;
use crate::rules::wake::itself;
use crate::rules::{backoff, names, retry};

pub const CONTROLLER: Controller = Controller {
    name: "image",
    reads: &[
        (Kind::Deployment, retry::resolutions),
        (Kind::Service, itself),
        (Kind::Resolution, itself),
        (Kind::Revision, itself),
        (Kind::Image, itself),
    ],
    writes: &[(Kind::Resolution, Half::Spec), (Kind::Image, Half::Spec)],
    plan,
};

fn plan(view: &View<'_>, key: &Key, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    match key.kind {
        Kind::Service => ask(view, key, &mut plan),
        Kind::Resolution => resolve(view, key, now, &mut plan),
        Kind::Revision => want(view, key, &mut plan),
        Kind::Image => pull(view, key, now, &mut plan),
        _ => {}
    }
    plan
}

fn ask(view: &View<'_>, key: &Key, plan: &mut Plan) {
    let Some(service) = view.get::<Service>(&key.name).filter(|service| !service.deleting()) else { return };
    let image = &service.spec.image;
    let spec = resolution::Spec { reference: image.name.to_string(), pull_policy: image.pull_policy };
    plan.write(Write::Spec {
        key: names::same::<Resolution>(&key.name),
        owner: Some(key.clone()),
        spec: Resolution::to_spec(spec),
    });
}

fn resolve(view: &View<'_>, key: &Key, now: Timestamp, plan: &mut Plan) {
    let Some(resolution) = view.get::<Resolution>(&key.name).filter(|item| !item.deleting()) else { return };
    let status = resolution.status;
    if status.and_then(|status| status.resolved.as_ref()).is_some_and(|resolved| resolved.reference == resolution.spec.reference)
    {
        return;
    }
    // A failure of the reference that stood here before says nothing about this one.
    let current = resolution.object.observed_generation == resolution.object.generation;
    let failure = status.filter(|_| current).and_then(|status| status.failure.as_ref());
    let forgiven = retry::forgiven(view, &key.name);
    let failure = failure.filter(|failure| failure.at > forgiven);
    match backoff::retry_at(failure, key, now) {
        Some(at) if at > now => plan.recheck(at),
        _ => plan.effect(Effect::Resolve { name: key.name.clone(), spec: Arc::new(resolution.spec.clone()) }),
    }
}

fn want(view: &View<'_>, key: &Key, plan: &mut Plan) {
    let Some(revision) = view.get::<Revision>(&key.name).filter(|item| !item.deleting()) else { return };
    let Some(name) = names::image(&revision.spec.digest) else { return };
    // Two repositories may have one image; the first to name it is where it comes from.
    let repository = view.get::<Image>(&name).map_or(&revision.spec.repository, |there| &there.spec.repository);
    let spec = image::Spec { digest: revision.spec.digest.clone(), repository: repository.clone() };
    plan.write(Write::Spec { key: Key::new(Kind::Image, name), owner: None, spec: Image::to_spec(spec) });
}

fn pull(view: &View<'_>, key: &Key, now: Timestamp, plan: &mut Plan) {
    let Some(image) = view.get::<Image>(&key.name).filter(|item| !item.deleting()) else { return };
    if image.status.is_some_and(|status| status.config.is_some()) {
        return;
    }
    match backoff::retry_at(image.status.and_then(|status| status.failure.as_ref()), key, now) {
        Some(at) if at > now => plan.recheck(at),
        _ => plan.effect(Effect::Pull { name: key.name.clone(), spec: Arc::new(image.spec.clone()) }),
    }
}
