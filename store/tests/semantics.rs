//! What each write does, one rule at a time.

mod common;

use common::*;
use spec::plan::Writer;
use spec::{Kind, Uid, Write};
use store::{Error, OBJECT_BYTES_MAX, OPS_MAX, Op, Transaction};

#[tokio::test]
async fn a_spec_creates_and_then_changes() {
    let (store, key) = (memory(), image("a"));
    let first = commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    let created = store.get(&key).unwrap();
    assert_eq!((created.generation, created.spec_revision, created.status_revision), (1, 1, 0));
    assert_eq!(first.changes[0].old, None);

    let second = commit(&store, IMAGE, [put(&key, "2")]).await.unwrap();
    let changed = store.get(&key).unwrap();
    assert_eq!((changed.generation, changed.revision, changed.spec_revision), (2, 2, 2));
    assert_eq!(changed.uid, created.uid);
    assert_eq!(second.changes[0].old, Some(created));
    assert_eq!(second.cursor, store.head());
    assert!(first.cursor < second.cursor);
}

#[tokio::test]
async fn writing_what_is_there_takes_no_revision() {
    let (store, key) = (memory(), image("a"));
    let labels = || [("tier".to_owned(), "web".to_owned())].into();
    let first = commit(&store, IMAGE, [put(&key, "1").labels(labels())]).await.unwrap();
    for op in [put(&key, "1"), put(&key, "1").labels(labels())] {
        let again = commit(&store, IMAGE, [op]).await.unwrap();
        assert_eq!((again.cursor, again.changes.len()), (first.cursor, 0));
    }
    commit(&store, Writer::Edge, [report(&key, "u")]).await.unwrap();
    assert_eq!(commit(&store, Writer::Edge, [report(&key, "u")]).await.unwrap().changes, []);
    assert_eq!(store.metrics().transactions, 2);
}

#[tokio::test]
async fn labels_change_the_spec_revision_and_not_the_generation() {
    let (store, key) = (memory(), image("a"));
    commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    commit(&store, IMAGE, [put(&key, "1").labels([("a".to_owned(), "b".to_owned())].into())]).await.unwrap();
    let object = store.get(&key).unwrap();
    assert_eq!((object.generation, object.spec_revision, object.labels["a"].as_str()), (1, 2, "b"));
    let op = report(&key, "u").labels([].into());
    assert!(matches!(commit(&store, Writer::Edge, [op]).await, Err(Error::LabelsWithoutSpec { .. })));
}

#[tokio::test]
async fn all_objects_of_a_transaction_share_its_revision() {
    let store = memory();
    commit(&store, IMAGE, [put(&image("a"), "1"), put(&image("b"), "1")]).await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.objects.iter().map(|object| object.revision).collect::<Vec<_>>(), [1, 1]);
    assert_ne!(snapshot.objects[0].uid, snapshot.objects[1].uid);
}

#[tokio::test]
async fn a_transaction_applies_whole_or_not_at_all() {
    let store = memory();
    let ops = [put(&image("a"), "1"), put(&image("b"), "1").expect_revision(7)];
    assert!(matches!(commit(&store, IMAGE, ops).await, Err(Error::Conflict { current: 0, .. })));
    assert!(store.is_empty());
    assert_eq!(store.head().revision(), 0);
}

#[tokio::test]
async fn later_writes_of_a_transaction_see_earlier_ones() {
    let (store, key) = (memory(), image("a"));
    commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    let old = store.get(&key).unwrap();
    let done = commit(&store, COLLECT, [delete(&key), remove(&key)]).await.unwrap();
    assert_eq!((done.changes.len(), done.changes[0].new.clone()), (1, None));
    commit(&store, IMAGE, [put(&key, "2"), put(&key, "3")]).await.unwrap();
    let new = store.get(&key).unwrap();
    assert_eq!((new.generation, new.uid == old.uid), (2, false));
}

#[tokio::test]
async fn a_status_names_the_generation_it_is_for() {
    let (store, key) = (memory(), image("a"));
    commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    commit(&store, IMAGE, [put(&key, "2")]).await.unwrap();
    commit(&store, Writer::Edge, [report(&key, "u")]).await.unwrap();
    let object = store.get(&key).unwrap();
    assert_eq!((object.observed_generation, object.spec_revision, object.status_revision, object.revision), (2, 2, 3, 3));
    // The same words for a newer generation are news.
    commit(&store, IMAGE, [put(&key, "3")]).await.unwrap();
    commit(&store, Writer::Edge, [report(&key, "u")]).await.unwrap();
    assert_eq!(store.get(&key).unwrap().observed_generation, 3);
}

#[tokio::test]
async fn a_status_of_what_is_gone_says_so() {
    let (store, key) = (memory(), image("a"));
    assert!(matches!(commit(&store, Writer::Edge, [report(&key, "u")]).await, Err(Error::Gone { .. })));
    commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    let stale = report(&key, "u").expect_uid(Uid("another".to_owned()));
    assert!(matches!(commit(&store, Writer::Edge, [stale]).await, Err(Error::Gone { .. })));
    let current = report(&key, "u").expect_uid(store.get(&key).unwrap().uid.clone());
    commit(&store, Writer::Edge, [current]).await.unwrap();
}

#[tokio::test]
async fn deleting_marks_and_removing_needs_the_mark() {
    let (store, key) = (memory(), image("a"));
    assert_eq!(commit(&store, COLLECT, [delete(&key), remove(&key)]).await.unwrap().changes, []);
    commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    assert!(matches!(commit(&store, COLLECT, [remove(&key)]).await, Err(Error::NotDeleting { .. })));
    commit(&store, IMAGE, [delete(&key)]).await.unwrap();
    let marked = store.get(&key).unwrap();
    assert_eq!((marked.deleting, marked.revision, marked.spec_revision, marked.generation), (true, 2, 1, 1));
    assert_eq!(commit(&store, IMAGE, [delete(&key)]).await.unwrap().changes, []);
    assert!(matches!(commit(&store, IMAGE, [put(&key, "1")]).await, Err(Error::Deleting { .. })));
    commit(&store, Writer::Edge, [report(&key, "last words")]).await.unwrap();
    commit(&store, COLLECT, [remove(&key)]).await.unwrap();
    assert_eq!(store.get(&key), None);
}

#[tokio::test]
async fn an_object_keeps_its_owner() {
    let (store, key, owner) = (memory(), image("a"), common::key(Kind::Service, "d/s"));
    let owned = |owner| Op::new(Write::Spec { key: key.clone(), owner, spec: image_spec("1") });
    commit(&store, IMAGE, [owned(Some(owner.clone()))]).await.unwrap();
    assert_eq!(store.get(&key).unwrap().owner, Some(owner));
    assert!(matches!(commit(&store, IMAGE, [owned(None)]).await, Err(Error::OtherOwner { .. })));
}

#[tokio::test]
async fn each_half_has_one_writer() {
    let (store, key) = (memory(), image("a"));
    let event = Op::new(Write::Spec { key: common::key(Kind::Event, "e"), owner: None, spec: event_spec(&key, 1) });
    let event_key = event.write.key().clone();
    let unowned = Op::new(Write::Delete { key: common::key(Kind::Overlay, "o") });
    for (writer, op) in [
        (Writer::User, put(&key, "1")),
        (Writer::Edge, put(&key, "1")),
        (COLLECT, put(&key, "1")),
        (IMAGE, report(&key, "u")),
        (Writer::Edge, delete(&key)),
        (Writer::Driver, delete(&key)),
        (IMAGE, remove(&key)),
        (Writer::Driver, remove(&key)),
        (IMAGE, event.clone()),
        (IMAGE, unowned.clone()),
    ] {
        let error = commit(&store, writer, [op]).await.unwrap_err();
        assert!(matches!(error, Error::NotWriter { .. }), "{error}");
    }
    commit(&store, Writer::Driver, [event, delete(&event_key), remove(&event_key)]).await.unwrap();
    commit(&store, COLLECT, [unowned]).await.unwrap();
    let error = commit(&store, Writer::User, [put(&key, "1")]).await.unwrap_err();
    assert_eq!(error.to_string(), "users may not write the spec of image a");
}

#[tokio::test]
async fn expectations_are_of_the_half_that_is_written() {
    let (store, key) = (memory(), image("a"));
    commit(&store, IMAGE, [put(&key, "1").expect_revision(0)]).await.unwrap();
    commit(&store, Writer::Edge, [report(&key, "u").expect_revision(0)]).await.unwrap();
    let conflict = |result: Result<_, Error>| match result {
        Err(Error::Conflict { current, .. }) => current,
        other => panic!("{other:?}"),
    };
    assert_eq!(conflict(commit(&store, IMAGE, [put(&key, "2").expect_revision(0)]).await), 1);
    assert_eq!(conflict(commit(&store, IMAGE, [put(&key, "2").expect_revision(2)]).await), 1);
    assert_eq!(conflict(commit(&store, IMAGE, [delete(&key).expect_revision(2)]).await), 1);
    assert_eq!(conflict(commit(&store, Writer::Edge, [report(&key, "v").expect_revision(1)]).await), 2);
    let missing = put(&image("b"), "1").expect_uid(Uid("x".to_owned()));
    assert_eq!(conflict(commit(&store, IMAGE, [missing]).await), 0);
    commit(&store, IMAGE, [put(&key, "2").expect_revision(1)]).await.unwrap();
    commit(&store, Writer::Edge, [report(&key, "v").expect_revision(2)]).await.unwrap();
}

#[tokio::test]
async fn a_half_of_another_kind_is_refused() {
    let (store, key) = (memory(), image("a"));
    let spec = Write::Spec { key: key.clone(), owner: None, spec: event_spec(&key, 1) };
    assert!(matches!(commit(&store, IMAGE, [spec.into()]).await, Err(Error::OtherKind { kind: Kind::Event, .. })));
}

#[tokio::test]
async fn sizes_are_bounded() {
    let store = memory();
    let ops = (0..=OPS_MAX).map(|n| put(&image(&format!("i{n}")), "1"));
    let error = commit(&store, IMAGE, ops).await.unwrap_err();
    assert_eq!(error.to_string(), "a transaction of 4097 writes is over the limit of 4096");
    let error = commit(&store, IMAGE, [put(&image("big"), &"x".repeat(OBJECT_BYTES_MAX))]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { bytes, .. } if bytes > OBJECT_BYTES_MAX), "{error}");
    assert!(store.is_empty());
    commit(&store, IMAGE, (0..OPS_MAX).map(|n| put(&image(&format!("i{n}")), "1"))).await.unwrap();
    assert_eq!(store.len(), OPS_MAX);
}

#[tokio::test]
async fn waiting_commits_share_a_flush() {
    let directory = tempfile::tempdir().unwrap();
    let store = store::Store::open(&directory.path().join("store"), writers()).unwrap();
    let commits = (0..200).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { commit(&store, IMAGE, [put(&image(&format!("i{n}")), "1")]).await.unwrap().cursor })
    });
    let commits: Vec<_> = commits.collect();
    let mut cursors = Vec::new();
    for commit in commits {
        cursors.push(commit.await.unwrap());
    }
    cursors.sort();
    cursors.dedup();
    assert_eq!(cursors.len(), 200);
    let metrics = store.metrics();
    assert_eq!(metrics.transactions, 200);
    assert!(metrics.flushes < 200 && metrics.largest_group > 1, "{metrics:?}");
}

#[tokio::test]
async fn observations_are_not_flushed_until_something_durable_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = store::Store::open(&directory.path().join("store"), writers()).unwrap();
    let key = image("a");
    commit(&store, IMAGE, [put(&key, "1")]).await.unwrap();
    for n in 0..10 {
        store.commit(Transaction::observed(Writer::Edge, [report(&key, &n.to_string())])).await.unwrap();
    }
    assert_eq!((store.metrics().groups, store.metrics().flushes), (11, 1));
    // It changes nothing, and what it agrees with must be as durable as it is.
    commit(&store, Writer::Edge, [report(&key, "9")]).await.unwrap();
    assert_eq!((store.metrics().groups, store.metrics().flushes), (12, 2));
    commit(&store, Writer::Edge, [report(&key, "9")]).await.unwrap();
    assert_eq!((store.metrics().groups, store.metrics().flushes), (12, 2));
}
