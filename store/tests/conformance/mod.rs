//! What every store must do, whatever it is built on.
//!
//! A store to be tested implements [`Subject`], and a [`Backend`] that makes empty ones; `conformance!` makes a test of each rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spec::plan::Writer;
use spec::{Key, Object, Spec};
use store::{Batch, Committed, Cursor, Ended, Error, Page, Snapshot, Stale, Store, Transaction, Watch};

use crate::common::*;

/// Makes empty stores with the writers of these tests.
pub(crate) trait Backend {
    type Subject: Subject;

    /// Returns an empty store that keeps so much history; more is all right, twice as much is not.
    fn make(&self, history_revisions: usize) -> Self::Subject;
}

/// A store.
pub(crate) trait Subject: Clone + Send + Sync + 'static {
    type Watch: Follow + Send;

    fn commit(&self, tx: Transaction) -> impl Future<Output = Result<Committed, Error>> + Send;
    fn get(&self, key: &Key) -> Option<Arc<Object>>;
    fn snapshot(&self) -> Snapshot;
    fn page(&self, at: Option<Cursor>, after: Option<&Key>, limit: usize) -> Result<Page, Stale>;
    fn head(&self) -> Cursor;
    fn watch(&self, since: Option<Cursor>) -> Result<Self::Watch, Stale>;
}

/// A watch.
pub(crate) trait Follow {
    fn next(&mut self) -> impl Future<Output = Result<Arc<Batch>, Ended>> + Send;
    fn try_next(&mut self) -> Result<Option<Arc<Batch>>, Ended>;
}

impl Subject for Store {
    type Watch = Watch;

    fn commit(&self, tx: Transaction) -> impl Future<Output = Result<Committed, Error>> + Send {
        self.commit(tx)
    }

    fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.get(key)
    }

    fn snapshot(&self) -> Snapshot {
        self.snapshot()
    }

    fn page(&self, at: Option<Cursor>, after: Option<&Key>, limit: usize) -> Result<Page, Stale> {
        self.page(at, after, limit, |_| true)
    }

    fn head(&self) -> Cursor {
        self.head()
    }

    fn watch(&self, since: Option<Cursor>) -> Result<Watch, Stale> {
        self.watch(since)
    }
}

impl Follow for Watch {
    fn next(&mut self) -> impl Future<Output = Result<Arc<Batch>, Ended>> + Send {
        self.next()
    }

    fn try_next(&mut self) -> Result<Option<Arc<Batch>>, Ended> {
        self.try_next()
    }
}

macro_rules! rules {
    ($($rule:ident,)*) => {
        /// Makes a test of each rule for one backend.
        macro_rules! conformance {
            ($name:ident, $backend:expr) => {
                mod $name {
                    use super::*;
                    $(
                        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                        async fn $rule() {
                            crate::conformance::$rule(&$backend).await;
                        }
                    )*
                }
            };
        }
    };
}

rules! {
    revisions_follow_each_other,
    a_refused_transaction_leaves_nothing,
    no_update_is_lost_when_revisions_are_expected,
    readers_see_transactions_whole,
    each_half_has_one_writer,
    a_watch_is_ordered_unique_and_whole,
    a_watch_from_any_cursor_gives_the_rest,
    a_waiting_watch_is_woken,
    cursors_that_are_no_place_are_stale,
    a_slow_watch_is_ended_and_not_cheated,
    pages_are_of_one_place,
    pages_of_a_forgotten_place_are_refused,
}
const MUCH: usize = 10_000;

fn value(object: &Object) -> u64 {
    match &object.spec {
        Spec::Image(spec) => spec.digest.parse().unwrap(),
        other => panic!("{other:?}"),
    }
}

async fn write(store: &impl Subject, name: &str, value: u64) -> Committed {
    store.commit(Transaction::new(IMAGE, [put(&image(name), &value.to_string())])).await.unwrap()
}

fn drain(watch: &mut impl Follow) -> Vec<Arc<Batch>> {
    std::iter::from_fn(|| watch.try_next().unwrap()).collect()
}

fn apply(objects: &mut BTreeMap<Key, Arc<Object>>, batch: &Batch) {
    for change in &batch.changes {
        assert_eq!(objects.get(&change.key), change.old.as_ref(), "{}", change.key);
        match &change.new {
            Some(new) => objects.insert(change.key.clone(), new.clone()),
            None => objects.remove(&change.key),
        };
    }
}

pub(crate) async fn revisions_follow_each_other(backend: &impl Backend) {
    let store = backend.make(MUCH);
    let start = store.head().revision();
    for n in 1..=5 {
        let committed = write(&store, "a", n).await;
        assert_eq!((committed.cursor, committed.cursor.revision()), (store.head(), start + n));
        assert_eq!(store.get(&image("a")).unwrap().revision, start + n);
    }
    assert_eq!(write(&store, "a", 5).await.changes, []);
    store.commit(Transaction::observed(Writer::Edge, [report(&image("a"), "u")])).await.unwrap();
    let object = store.get(&image("a")).unwrap();
    assert_eq!((object.spec_revision, object.status_revision, object.revision), (start + 5, start + 6, start + 6));
}

pub(crate) async fn a_refused_transaction_leaves_nothing(backend: &impl Backend) {
    let store = backend.make(MUCH);
    write(&store, "a", 1).await;
    let (before, mut watch) = (store.snapshot(), store.watch(None).unwrap());
    let revision = before.objects[0].spec_revision;
    let ops = [put(&image("b"), "1"), put(&image("a"), "2").expect_revision(revision + 1)];
    let error = store.commit(Transaction::new(IMAGE, ops)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict { current, .. } if current == revision), "{error:?}");
    assert_eq!((store.head(), store.snapshot().objects), (before.cursor, before.objects));
    assert!(watch.try_next().unwrap().is_none());
}

pub(crate) async fn no_update_is_lost_when_revisions_are_expected(backend: &impl Backend) {
    let store = backend.make(MUCH);
    write(&store, "a", 0).await;
    let add = |store| async move {
        for _ in 0..20 {
            while increment(&store).await.is_err() {}
        }
    };
    let tasks: Vec<_> = (0..4).map(|_| tokio::spawn(add(store.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value(&store.get(&image("a")).unwrap()), 80);
}

async fn increment(store: &impl Subject) -> Result<(), ()> {
    let current = store.get(&image("a")).unwrap();
    let op = put(&current.key, &(value(&current) + 1).to_string()).expect_revision(current.spec_revision);
    match store.commit(Transaction::new(IMAGE, [op])).await {
        Ok(_) => Ok(()),
        Err(Error::Conflict { .. }) => Err(()),
        Err(error) => panic!("{error:?}"),
    }
}

/// Writes one value to several objects at a time, for a while.
fn churn(store: &impl Subject, rounds: u64) -> tokio::task::JoinHandle<()> {
    let store = store.clone();
    tokio::spawn(async move {
        for n in 0..rounds {
            let ops = ["a", "b", "c"].map(|name| put(&image(name), &n.to_string()));
            store.commit(Transaction { durable: n % 5 == 0, ..Transaction::new(IMAGE, ops) }).await.unwrap();
            if n % 10 == 9 {
                let taken = [delete(&image("b")), remove(&image("b"))];
                store.commit(Transaction::new(COLLECT, taken)).await.unwrap();
            }
        }
    })
}

pub(crate) async fn readers_see_transactions_whole(backend: &impl Backend) {
    let store = backend.make(MUCH);
    let writing = churn(&store, 200);
    while !writing.is_finished() {
        let values: BTreeSet<u64> = store.snapshot().objects.iter().map(|object| value(object)).collect();
        assert!(values.len() < 2, "{values:?}");
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
}

pub(crate) async fn each_half_has_one_writer(backend: &impl Backend) {
    let store = backend.make(MUCH);
    write(&store, "a", 1).await;
    let key = image("a");
    let ops = [
        (Writer::User, put(&key, "2")),
        (Writer::Edge, put(&key, "2")),
        (IMAGE, report(&key, "u")),
        (Writer::User, delete(&key)),
        (IMAGE, remove(&key)),
    ];
    for (writer, op) in ops {
        let error = store.commit(Transaction::new(writer, [op])).await.unwrap_err();
        assert!(matches!(error, Error::NotWriter { .. }), "{error:?}");
    }
    store.commit(Transaction::new(Writer::Edge, [report(&key, "u")])).await.unwrap();
    store.commit(Transaction::new(COLLECT, [delete(&key), remove(&key)])).await.unwrap();
}

pub(crate) async fn a_watch_is_ordered_unique_and_whole(backend: &impl Backend) {
    let store = backend.make(MUCH);
    let mut watches: Vec<_> = (0..3).map(|_| store.watch(None).unwrap()).collect();
    let mut revision = store.head().revision();
    let writing = [churn(&store, 100), churn(&store, 100)];
    for writing in writing {
        writing.await.unwrap();
    }
    let told: Vec<_> = watches.iter_mut().map(drain).collect();
    let mut objects = BTreeMap::new();
    for batch in &told[0] {
        revision += 1;
        assert_eq!(batch.cursor.revision(), revision);
        assert!(batch.changes.is_sorted_by(|a, b| a.key < b.key));
        apply(&mut objects, batch);
        let values: BTreeSet<u64> = objects.values().map(|object| value(object)).collect();
        assert!(values.len() < 2, "{values:?}");
    }
    assert_eq!(objects, by_key(store.snapshot().objects));
    assert!(told.iter().all(|batches| cursors(batches) == cursors(&told[0])));
}

fn cursors(batches: &[Arc<Batch>]) -> Vec<Cursor> {
    batches.iter().map(|batch| batch.cursor).collect()
}

pub(crate) async fn a_watch_from_any_cursor_gives_the_rest(backend: &impl Backend) {
    let store = backend.make(MUCH);
    let mut places = vec![store.head()];
    for n in 1..20 {
        places.push(write(&store, "a", n).await.cursor);
    }
    for (index, place) in places.iter().enumerate() {
        let parsed: Cursor = place.to_string().parse().unwrap();
        assert_eq!(cursors(&drain(&mut store.watch(Some(parsed)).unwrap())), places[index + 1..]);
    }
}

pub(crate) async fn a_waiting_watch_is_woken(backend: &impl Backend) {
    let store = backend.make(MUCH);
    let mut watch = store.watch(None).unwrap();
    let waiting = tokio::spawn(async move { watch.next().await.unwrap().cursor });
    tokio::task::yield_now().await;
    let committed = write(&store, "a", 1).await;
    assert_eq!(waiting.await.unwrap(), committed.cursor);
}

pub(crate) async fn cursors_that_are_no_place_are_stale(backend: &impl Backend) {
    let (store, other) = (backend.make(10), backend.make(10));
    let start = store.head();
    for n in 0..40 {
        write(&store, "a", n).await;
    }
    let ahead: Cursor = format!("{}0", store.head()).parse().unwrap();
    for place in [start, other.head(), ahead] {
        let stale = store.watch(Some(place)).err().unwrap();
        assert_eq!(stale.head, store.head(), "{place}");
        assert!((1..=20).contains(&(stale.head.revision() - stale.oldest.revision())), "{stale:?}");
        let mut watch = store.watch(Some(stale.oldest)).unwrap();
        assert_eq!(drain(&mut watch).len() as u64, stale.head.revision() - stale.oldest.revision());
    }
}

pub(crate) async fn a_slow_watch_is_ended_and_not_cheated(backend: &impl Backend) {
    let store = backend.make(10);
    let mut slow = store.watch(None).unwrap();
    for n in 0..40 {
        write(&store, "a", n).await;
    }
    assert!(matches!(slow.next().await, Err(Ended::Lagged)));
    assert!(matches!(slow.try_next(), Err(Ended::Lagged)));
}

pub(crate) async fn pages_are_of_one_place(backend: &impl Backend) {
    let store = backend.make(MUCH);
    for n in 0..20 {
        write(&store, &format!("i{n:02}"), n).await;
    }
    for limit in [1, 3, 7, 20, 30] {
        let before = store.snapshot();
        let first = store.page(None, None, limit).unwrap();
        assert_eq!(first.cursor, before.cursor);
        let (mut objects, mut more, mut round) = (first.objects, first.more, 1000 * limit as u64);
        while more {
            round += 1;
            disturb(&store, round).await;
            let page = store.page(Some(before.cursor), objects.last().map(|last| &last.key), limit).unwrap();
            assert_eq!(page.cursor, before.cursor);
            assert!(!page.objects.is_empty() && page.objects.len() <= limit);
            objects.extend(page.objects);
            more = page.more;
        }
        assert_eq!(objects, before.objects, "by {limit}");
    }
}

/// Changes an object, takes one away, and makes one.
async fn disturb(store: &impl Subject, round: u64) {
    write(store, &format!("i{:02}", round % 20), round).await;
    let taken = image(&format!("i{:02}", (round * 7 + 3) % 20));
    store.commit(Transaction::new(COLLECT, [delete(&taken), remove(&taken)])).await.unwrap();
    write(store, &format!("i{:02}x", (round * 3) % 20), round).await;
}

pub(crate) async fn pages_of_a_forgotten_place_are_refused(backend: &impl Backend) {
    let store = backend.make(10);
    let first = write(&store, "a", 0).await.cursor;
    for n in 1..40 {
        write(&store, "a", n).await;
    }
    assert!(store.page(Some(first), None, 1).is_err());
    assert!(store.page(Some(backend.make(10).head()), None, 1).is_err());
    assert_eq!(store.page(Some(store.head()), None, 1).unwrap().objects.len(), 1);
}
