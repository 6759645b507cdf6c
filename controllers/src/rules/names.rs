//! Names of derived objects and of what they have on the host. All follow from what they belong to, so creating is idempotent.

use spec::kind::{Node, Overlay, Resolution, Revision, Service, resolution, revision};
use spec::object::{Name, Resource};
use spec::view::Item;
use spec::{Key, View, hash};

/// Version of the way revisions are hashed: a new one would restart every container, so it never changes without need.
const REVISION_HASH: &str = "1";

/// Returns the key of an `R` that has the same name as another object.
pub(crate) fn same<R: Resource>(name: &Name) -> Key {
    Key::new(R::KIND, name.clone())
}

/// Returns the answer to a service's image reference as it stands now.
pub(crate) fn resolved<'a>(view: &View<'a>, service: &Item<'a, Service>) -> Option<&'a resolution::Resolved> {
    let resolution = view.get::<Resolution>(service.name())?;
    resolution.status?.resolved.as_ref().filter(|resolved| service.spec.image.name == *resolved.reference)
}

/// Returns name and content of the revision a service should run; `None` until its image is resolved.
pub(crate) fn revision<'a>(view: &View<'a>, service: &Item<'a, Service>) -> Option<(Name, revision::Spec)> {
    let resolved = resolved(view, service)?;
    let template = service.spec.template();
    // Fields come in the order of their declaration and maps by key, so equal templates have equal texts.
    let text = serde_json::to_string(&template).unwrap_or_default();
    let hash = hash::hex(&[REVISION_HASH, &resolved.digest, &text], 12);
    let spec = revision::Spec { digest: resolved.digest.clone(), repository: resolved.repository.clone(), template };
    Some((service.name().child(&hash).ok()?, spec))
}

/// Returns the key of a service's current revision once it is there.
pub(crate) fn current_revision<'a>(view: &View<'a>, service: &Item<'a, Service>) -> Option<Item<'a, Revision>> {
    view.get::<Revision>(&revision(view, service)?.0)
}

/// Returns the name of an image by its digest: `sha256:ab…` is `sha256-ab…`.
pub(crate) fn image(digest: &str) -> Option<Name> {
    digest.replace(':', "-").parse().ok()
}

/// Returns the node that works: it has reported its id.
pub(crate) fn node<'a>(view: &View<'a>) -> Option<(Item<'a, Node>, &'a spec::kind::node::Status)> {
    view.all::<Node>().into_iter().find_map(|node| Some((node, node.status.filter(|status| !status.id.is_empty())?)))
}

/// Returns the id of everything a replica's container has on a node.
pub(crate) fn container_id(node_id: &str, replica: &Name) -> String {
    hash::hex(&[node_id, replica.as_str()], 12)
}

/// Longest name of a link on Linux: `IFNAMSIZ` less the zero at the end.
const LINK_NAME_BYTES: usize = 15;

/// Returns the name of the host's end of a replica's link: `st`, the node's id, and as much of a hash as fits.
pub(crate) fn link(node_id: &str, replica: &Name) -> String {
    let prefix = format!("st{node_id}");
    let digits = LINK_NAME_BYTES.saturating_sub(prefix.len());
    prefix + &hash::hex(&[node_id, replica.as_str()], digits)
}

/// Returns the overlays a service's replicas are in: the deployment's and its own.
pub(crate) fn overlays<'a>(view: &View<'a>, service: &Name) -> Option<Vec<Item<'a, Overlay>>> {
    [service.parent()?, service.clone()].iter().map(|name| view.get::<Overlay>(name)).collect()
}
