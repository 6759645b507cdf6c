//! Which objects a list or watch is about.

use spec::{Kind, Name, Object, Spec};

use crate::wire::Query;

/// Returns whether `object` is one of those that `query` asks for.
pub(super) fn fits(query: &Query, object: &Object) -> bool {
    let of_kind = query.kinds.is_empty() || query.kinds.contains(&object.key.kind);
    of_kind && (query.deployment.is_none() && query.service.is_none() || within(query, object))
}

fn within(query: &Query, object: &Object) -> bool {
    let Some(name) = place(object) else { return false };
    let is = |wanted: &Option<Name>, given: Option<&str>| wanted.as_ref().is_none_or(|wanted| Some(wanted.as_str()) == given);
    is(&query.deployment, Some(name.root())) && is(&query.service, name.components().nth(1))
}

/// Returns where an object stands among deployments and services, if it does: an event stands where what it is about does.
fn place(object: &Object) -> Option<&Name> {
    let key = match &object.spec {
        Spec::Event(event) => &event.about,
        _ => &object.key,
    };
    match key.kind {
        Kind::Image | Kind::Node | Kind::Event => None,
        _ => Some(&key.name),
    }
}
