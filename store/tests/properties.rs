//! Random transactions against a model, a watcher, and a second opening of the file.

mod common;

use std::collections::BTreeMap;

use common::*;
use proptest::prelude::*;
use spec::plan::Writer;
use spec::{Object, Spec, Status};
use store::{Store, Transaction};

#[derive(Clone, Copy, Debug)]
enum Do {
    Put(u8),
    Report(u8),
    Delete,
    Remove,
}

#[derive(Clone, Debug)]
struct Tx {
    acts: Vec<(u8, Do)>,
    durable: bool,
}

/// What the model knows of an object.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    spec: String,
    generation: u64,
    status: Option<(String, u64)>,
    deleting: bool,
}

type Model = BTreeMap<String, Known>;

/// A transaction has one writer, so its acts are all of one sort.
fn tx() -> impl Strategy<Value = Tx> {
    let acts = |act: BoxedStrategy<Do>| prop::collection::vec((0..4u8, act), 1..4);
    let put = (0..4u8).prop_map(Do::Put).boxed();
    let report = (0..4u8).prop_map(Do::Report).boxed();
    let collect = prop_oneof![Just(Do::Delete), Just(Do::Remove)].boxed();
    let acts = prop_oneof![3 => acts(put), 2 => acts(report), 2 => acts(collect)];
    (acts, any::<bool>()).prop_map(|(acts, durable)| Tx { acts, durable })
}

fn name(index: u8) -> String {
    format!("i{index}")
}

fn to_transaction(tx: &Tx) -> Transaction {
    let writer = match tx.acts[0].1 {
        Do::Put(_) => IMAGE,
        Do::Report(_) => Writer::Edge,
        Do::Delete | Do::Remove => COLLECT,
    };
    let ops = tx.acts.iter().map(|(index, act)| {
        let key = image(&name(*index));
        match act {
            Do::Put(value) => put(&key, &value.to_string()),
            Do::Report(value) => report(&key, &value.to_string()),
            Do::Delete => delete(&key),
            Do::Remove => remove(&key),
        }
    });
    Transaction { durable: tx.durable, ..Transaction::new(writer, ops) }
}

/// Returns the model after the transaction; `None` when it is refused.
fn step(model: &Model, tx: &Tx) -> Option<Model> {
    let mut model = model.clone();
    for (index, act) in &tx.acts {
        let name = name(*index);
        let known = model.get_mut(&name);
        match (act, known) {
            (Do::Put(value), None) => {
                model.insert(name, Known { spec: value.to_string(), generation: 1, status: None, deleting: false });
            }
            (Do::Put(value), Some(known)) if !known.deleting => {
                known.generation += u64::from(known.spec != value.to_string());
                known.spec = value.to_string();
            }
            (Do::Report(value), Some(known)) => known.status = Some((value.to_string(), known.generation)),
            (Do::Delete, Some(known)) => known.deleting = true,
            (Do::Remove, Some(known)) if known.deleting => drop(model.remove(&name)),
            (Do::Delete | Do::Remove, None) => (),
            (Do::Put(_) | Do::Remove, Some(_)) | (Do::Report(_), None) => return None,
        }
    }
    Some(model)
}

fn known(object: &Object) -> (String, Known) {
    let (Spec::Image(spec), status) = (&object.spec, &object.status) else { panic!("{object:?}") };
    let status = status.as_ref().map(|status| match status {
        Status::Image(status) => (status.config.as_ref().unwrap().user.clone(), object.observed_generation),
        other => panic!("{other:?}"),
    });
    let known = Known { spec: spec.digest.clone(), generation: object.generation, status, deleting: object.deleting };
    (object.key.name.to_string(), known)
}

fn seen(store: &Store) -> Model {
    store.snapshot().objects.iter().map(|object| known(object)).collect()
}

async fn check(txs: &[Tx]) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("store");
    let store = Store::open(&file, writers()).unwrap();
    let (mut watch, mut model) = (store.watch(None).unwrap(), Model::new());
    for tx in txs {
        let before = store.head().revision();
        let (result, next) = (store.commit(to_transaction(tx)).await, step(&model, tx));
        assert_eq!(result.is_ok(), next.is_some(), "{tx:?} on {model:?}: {result:?}");
        model = next.unwrap_or(model);
        assert_eq!(seen(&store), model);
        let took = result.as_ref().is_ok_and(|committed| !committed.changes.is_empty());
        assert_eq!(store.head().revision(), before + u64::from(took));
        assert!(result.is_err() || result.unwrap().cursor == store.head());
    }
    let objects = store.snapshot().objects;
    assert_eq!(replay(BTreeMap::new(), &mut watch), by_key(objects.clone()));
    drop(store);
    assert_eq!(Store::open(&file, writers()).unwrap().snapshot().objects, objects);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_the_model_the_watcher_and_the_file_agree(txs in prop::collection::vec(tx(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check(&txs));
    }
}
