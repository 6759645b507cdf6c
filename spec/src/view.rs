//! The set of all objects, and how a controller looks at it.
//!
//! A [`World`] is what the driver keeps: the store's objects, by key and by owner. A [`View`] is a world with the changes
//! of a settlement under way laid over it, so that a plan sees what earlier plans wrote without anything being copied.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::object::{Key, Name, Object, Resource};

/// All objects, with an index by owner.
#[derive(Clone, Debug, Default)]
pub struct World {
    objects: BTreeMap<Key, Arc<Object>>,
    owned: BTreeMap<Key, BTreeSet<Key>>,
}

/// One object's passage from one state to another; `None` is absence.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub key: Key,
    pub old: Option<Arc<Object>>,
    pub new: Option<Arc<Object>>,
}

impl Change {
    /// Returns the newest state there is: the new one, or the last one of what is gone.
    pub fn object(&self) -> Option<&Object> {
        self.new.as_deref().or(self.old.as_deref())
    }
}

impl World {
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    pub fn len(&self) -> usize {
        self.objects.len()
    }

    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// Puts `object` in place, or takes `key` out, and returns the change.
    pub fn set(&mut self, key: &Key, object: Option<Arc<Object>>) -> Change {
        let old = match &object {
            Some(object) => self.objects.insert(key.clone(), object.clone()),
            None => self.objects.remove(key),
        };
        if let Some(owner) = old.as_ref().and_then(|old| old.owner.as_ref())
            && let Some(owned) = self.owned.get_mut(owner)
        {
            owned.remove(key);
            if owned.is_empty() {
                self.owned.remove(owner);
            }
        }
        if let Some(owner) = object.as_ref().and_then(|new| new.owner.clone()) {
            self.owned.entry(owner).or_default().insert(key.clone());
        }
        Change { key: key.clone(), old, new: object }
    }
}

/// Changes of a settlement that are not in the world yet.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    changed: World,
    removed: BTreeSet<Key>,
}

impl Overlay {
    /// Lays a new state of `key` over the world; `None` removes it.
    pub fn set(&mut self, key: &Key, object: Option<Arc<Object>>) {
        match object {
            Some(_) => self.removed.remove(key),
            None => self.removed.insert(key.clone()),
        };
        self.changed.set(key, object);
    }

    fn touches(&self, key: &Key) -> bool {
        self.removed.contains(key) || self.changed.objects.contains_key(key)
    }
}

/// What a plan may look at.
#[derive(Clone, Copy)]
pub struct View<'a> {
    world: &'a World,
    overlay: &'a Overlay,
}

/// An object with its halves typed.
#[derive(Debug)]
pub struct Item<'a, R: Resource> {
    pub object: &'a Object,
    pub spec: &'a R::Spec,
    pub status: Option<&'a R::Status>,
}

impl<R: Resource> Clone for Item<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: Resource> Copy for Item<'_, R> {}

impl<'a, R: Resource> Item<'a, R> {
    /// Returns the typed view of an object; `None` when it is of another kind.
    pub fn of(object: &'a Object) -> Option<Item<'a, R>> {
        Some(Item { object, spec: R::spec(&object.spec)?, status: object.status.as_ref().and_then(R::status) })
    }

    pub fn name(&self) -> &'a Name {
        &self.object.key.name
    }

    pub fn deleting(&self) -> bool {
        self.object.deleting
    }
}

impl<'a> View<'a> {
    pub fn new(world: &'a World, overlay: &'a Overlay) -> View<'a> {
        View { world, overlay }
    }

    pub fn object(&self, key: &Key) -> Option<&'a Arc<Object>> {
        match self.overlay.changed.get(key) {
            Some(object) => Some(object),
            None if self.overlay.removed.contains(key) => None,
            None => self.world.get(key),
        }
    }

    pub fn get<R: Resource>(&self, name: &Name) -> Option<Item<'a, R>> {
        self.object(&Key::new(R::KIND, name.clone())).and_then(|object| Item::of(object))
    }

    /// Returns the objects of a kind that `owner` owns, by name.
    pub fn owned<R: Resource>(&self, owner: &Key) -> Vec<Item<'a, R>> {
        self.owned_by(owner).into_iter().filter_map(|object| Item::of(object)).collect()
    }

    /// Returns all objects that `owner` owns, by key.
    pub fn owned_by(&self, owner: &Key) -> Vec<&'a Arc<Object>> {
        let of = |world: &'a World| world.owned.get(owner).into_iter().flatten().filter_map(|key| world.objects.get(key));
        let untouched = of(self.world).filter(|object| !self.overlay.touches(&object.key));
        sorted(untouched.chain(of(&self.overlay.changed)).collect())
    }

    /// Returns the objects of a kind, by name.
    pub fn all<R: Resource>(&self) -> Vec<Item<'a, R>> {
        self.from::<R>(Name::FIRST, |_| true)
    }

    /// Returns the objects of a kind in one deployment, by name.
    pub fn in_deployment<R: Resource>(&self, deployment: &Name) -> Vec<Item<'a, R>> {
        // What starts with the deployment's name sorts together; `-` and `.` sort before `/`, so some of it is another's.
        self.from::<R>(deployment.clone(), |name| name.as_str().starts_with(deployment.as_str()))
            .into_iter()
            .filter(|item| item.name().root() == deployment.as_str())
            .collect()
    }

    fn from<R: Resource>(&self, first: Name, within: impl Fn(&Name) -> bool + Copy) -> Vec<Item<'a, R>> {
        let first = Key::new(R::KIND, first);
        let of = |world: &'a World| {
            let tail = world.objects.range(first.clone()..).take_while(move |(key, _)| key.kind == R::KIND && within(&key.name));
            tail.map(|(_, object)| object).collect::<Vec<_>>()
        };
        let untouched = of(self.world).into_iter().filter(|object| !self.overlay.touches(&object.key));
        let all = untouched.chain(of(&self.overlay.changed)).collect();
        sorted(all).into_iter().filter_map(|object| Item::of(object)).collect()
    }
}

fn sorted(mut objects: Vec<&Arc<Object>>) -> Vec<&Arc<Object>> {
    objects.sort_by(|a, b| a.key.cmp(&b.key));
    objects
}
