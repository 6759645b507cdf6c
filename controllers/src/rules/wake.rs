//! The usual answers to "which keys does this change concern?".

use spec::object::Resource;
use spec::{Change, Key, View};

/// The object itself.
pub(crate) fn itself(_: &View<'_>, change: &Change) -> Vec<Key> {
    vec![change.key.clone()]
}

/// The object's owner.
pub(crate) fn owner(_: &View<'_>, change: &Change) -> Vec<Key> {
    change.object().and_then(|object| object.owner.clone()).into_iter().collect()
}

/// The object and its owner.
pub(crate) fn itself_and_owner(view: &View<'_>, change: &Change) -> Vec<Key> {
    [itself(view, change), owner(view, change)].concat()
}

/// Every object of a kind: for changes that are rare and concern all, such as a node that appears.
pub(crate) fn every<R: Resource>(view: &View<'_>, _: &Change) -> Vec<Key> {
    view.all::<R>().into_iter().map(|item| item.object.key.clone()).collect()
}
