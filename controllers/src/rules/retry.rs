//! What a person's word means for failures: those before it are forgiven, and what failed is tried again at once.

use spec::kind::deployment::RETRY_AT;
use spec::kind::{Deployment, Replica, Resolution};
use spec::object::{Name, Object};
use spec::{Change, Key, Timestamp, View};

/// Returns the time up to which failures in the deployment of `name` do not count.
pub(crate) fn forgiven(view: &View<'_>, name: &Name) -> Timestamp {
    let deployment = name.root().parse().ok().and_then(|root: Name| view.get::<Deployment>(&root));
    deployment.map_or(Timestamp(0), |deployment| retry_at(deployment.object))
}

fn retry_at(deployment: &Object) -> Timestamp {
    Timestamp(deployment.labels.get(RETRY_AT).and_then(|time| time.parse().ok()).unwrap_or(0))
}

fn asked(change: &Change) -> bool {
    let at = |object: Option<&std::sync::Arc<Object>>| object.map_or(Timestamp(0), |object| retry_at(object));
    at(change.old.as_ref()) != at(change.new.as_ref())
}

/// The replicas of a deployment that a person asked to be tried again.
pub(crate) fn replicas(view: &View<'_>, change: &Change) -> Vec<Key> {
    if !asked(change) {
        return Vec::new();
    }
    view.in_deployment::<Replica>(&change.key.name).iter().map(|item| item.object.key.clone()).collect()
}

/// The image references of a deployment that a person asked to be tried again.
pub(crate) fn resolutions(view: &View<'_>, change: &Change) -> Vec<Key> {
    if !asked(change) {
        return Vec::new();
    }
    view.in_deployment::<Resolution>(&change.key.name).iter().map(|item| item.object.key.clone()).collect()
}
