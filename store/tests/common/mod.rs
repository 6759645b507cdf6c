//! What the store's tests share: a small set of writers and objects.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use spec::kind::{event, image};
use spec::plan::{OUTSIDE_WRITERS, Writer};
use spec::{Half, Key, Kind, Object, Spec, Status, Timestamp, Write};
use store::{Committed, Error, Op, Store, Transaction, Watch, Writers};

pub(crate) const IMAGE: Writer = Writer::Controller("image");
pub(crate) const COLLECT: Writer = Writer::Controller("collect");

pub(crate) fn writers() -> Writers {
    let controllers = [(Kind::Image, Half::Spec, IMAGE), (Kind::Service, Half::Spec, Writer::Controller("service"))];
    Writers::new(controllers.into_iter().chain(OUTSIDE_WRITERS.iter().copied())).unwrap()
}

pub(crate) fn memory() -> Store {
    Store::in_memory(writers())
}

pub(crate) fn key(kind: Kind, name: &str) -> Key {
    Key::new(kind, name.parse().unwrap())
}

pub(crate) fn image(name: &str) -> Key {
    key(Kind::Image, name)
}

pub(crate) fn image_spec(text: &str) -> Spec {
    Spec::Image(Arc::new(image::Spec { digest: text.to_owned(), repository: "docker.io/library/x".to_owned() }))
}

pub(crate) fn image_status(user: &str) -> Status {
    let config = image::Config { user: user.to_owned(), ..image::Config::default() };
    Status::Image(Arc::new(image::Status { config: Some(config), failure: None }))
}

pub(crate) fn event_spec(about: &Key, count: u64) -> Spec {
    let (reason, message) = ("quarantined".to_owned(), "it did not converge".to_owned());
    let about = about.clone();
    Spec::Event(Arc::new(event::Spec { about, reason, message, count, first: Timestamp(1), last: Timestamp(count) }))
}

pub(crate) fn put(key: &Key, text: &str) -> Op {
    Op::new(Write::Spec { key: key.clone(), owner: None, spec: image_spec(text) })
}

pub(crate) fn report(key: &Key, user: &str) -> Op {
    Op::new(Write::Status { key: key.clone(), status: image_status(user) })
}

pub(crate) fn delete(key: &Key) -> Op {
    Op::new(Write::Delete { key: key.clone() })
}

pub(crate) fn remove(key: &Key) -> Op {
    Op::new(Write::Remove { key: key.clone() })
}

pub(crate) async fn commit(store: &Store, writer: Writer, ops: impl IntoIterator<Item = Op>) -> Result<Committed, Error> {
    store.commit(Transaction::new(writer, ops)).await
}

/// Follows `watch` until it reaches the store's head, on top of `objects`.
pub(crate) fn replay(mut objects: BTreeMap<Key, Arc<Object>>, watch: &mut Watch) -> BTreeMap<Key, Arc<Object>> {
    while let Some(batch) = watch.try_next().unwrap() {
        for change in &batch.changes {
            assert_eq!(objects.get(&change.key), change.old.as_ref(), "{}", change.key);
            match &change.new {
                Some(new) => objects.insert(change.key.clone(), new.clone()),
                None => objects.remove(&change.key),
            };
        }
    }
    objects
}

pub(crate) fn by_key(objects: Vec<Arc<Object>>) -> BTreeMap<Key, Arc<Object>> {
    objects.into_iter().map(|object| (object.key.clone(), object)).collect()
}
