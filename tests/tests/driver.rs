//! What others write while the driver decides.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use controllers::Controller;
use spec::kind::{Deployment, Init, Node, init, node};
use spec::object::Resource;
use spec::plan::Writer;
use spec::{Change, Key, Kind, Plan, Timestamp, View, Write};
use stead::clock::Clock;
use stead::driver::Driver;
use stead::report;
use store::{Op, Store, Transaction, Writers};
use tests::simulator::FakeNode;

static STORE: OnceLock<Store> = OnceLock::new();
static REPORTS: AtomicU64 = AtomicU64::new(0);

/// Plans nothing. In the middle of a settlement that takes an init out, the edge reports on that init.
const MEDDLER: Controller = Controller { name: "meddler", reads: &[(Kind::Init, itself)], writes: &[], plan: meddle };

fn itself(_: &View<'_>, change: &Change) -> Vec<Key> {
    vec![change.key.clone()]
}

fn meddle(view: &View<'_>, key: &Key, _: Timestamp) -> Plan {
    let store = STORE.get().expect("it is set");
    if let (Some(stored), None) = (store.get(key), view.object(key)) {
        REPORTS.fetch_add(1, Ordering::SeqCst);
        let report = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let change = |status: &mut init::Status| status.warnings.push("one more thing".to_owned());
            runtime.block_on(report::status::<Init>(store, &stored.key.name, &stored.uid, change))
        };
        assert!(std::thread::spawn(report).join().expect("the report is made"));
    }
    Plan::default()
}

#[tokio::test]
async fn a_report_that_comes_just_before_its_object_is_removed_does_not_bring_it_back() {
    let store = STORE.get_or_init(|| Store::in_memory(Writers::new(controllers::writers()).expect("each half has one writer")));
    let clock = || Clock::manual(Arc::new(AtomicU64::new(1_000_000)));
    let edge = Arc::new(FakeNode::new(store.clone(), clock()));
    put(store, Key::new(Kind::Node, "vps".parse().unwrap()), Node::to_spec(node::Spec {})).await;
    let node = Key::new(Kind::Node, "vps".parse().unwrap());
    let pool = "10.192.0.0/12".parse().ok();
    let status = Node::to_status(node::Status { id: "ab12".into(), pool, filter_intact: true, filter_failure: None });
    commit(store, Writer::Edge, Write::Status { key: node, status }).await;

    let controllers: &'static [Controller] = Vec::leak(controllers::ALL.iter().chain([&MEDDLER]).map(copy).collect());
    let mut driver = Driver::new(store.clone(), controllers, edge.clone(), clock());
    let manifest = "version: v1\ndeployment: d\nservices:\n  a:\n    image: {name: i}\n    \
                    init: {steps: [{id: s, uses: init.run, with: {command: 'true'}}]}\n";
    let deployment = Key::new(Kind::Deployment, "d".parse().unwrap());
    let init = Key::new(Kind::Init, "d/a/0".parse().unwrap());
    put(store, deployment.clone(), Deployment::to_spec(spec::manifest::parse(manifest).unwrap())).await;
    while step(&mut driver).await || store.get(&init).is_none() && answer(&edge).await {}
    assert!(store.get(&init).is_some() && edge.has_work(), "its steps run");

    commit(store, Writer::User, Write::Delete { key: deployment }).await;
    while step(&mut driver).await || answer(&edge).await {}
    assert!(REPORTS.load(Ordering::SeqCst) > 0, "there was a report in between");
    let left: Vec<Key> = store.snapshot().objects.iter().map(|object| object.key.clone()).collect();
    assert!(left.iter().all(|key| matches!(key.kind, Kind::Node | Kind::Image)), "{left:?}");
}

fn copy(controller: &Controller) -> Controller {
    Controller { ..*controller }
}

async fn put(store: &Store, key: Key, spec: spec::Spec) {
    commit(store, Writer::User, Write::Spec { key, owner: None, spec }).await;
}

async fn commit(store: &Store, writer: Writer, write: Write) {
    store.commit(Transaction::new(writer, [Op::new(write)])).await.expect("it can be written");
}

/// Lets the driver do what is due; returns whether anything was.
async fn step(driver: &mut Driver) -> bool {
    settle_tasks().await;
    driver.step().await.expect("the store is open")
}

/// Ends an effect well; returns whether one was under way.
async fn answer(node: &FakeNode) -> bool {
    settle_tasks().await;
    let had_work = node.has_work();
    node.answer(0, true).await;
    had_work
}

/// Lets effects that were started reach the node, and those that ended be noticed.
async fn settle_tasks() {
    for _ in 0..8 {
        tokio::task::yield_now().await;
    }
}
