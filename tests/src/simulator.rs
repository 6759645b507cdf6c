//! The real driver, controllers and store on a made-up node, led by a seed.
//!
//! Everything that happens is drawn from the seed: what users put and delete, which effect ends next and how, what breaks,
//! and when the daemon crashes. So a seed replays. What is real stays real: decisions, commits, conflicts, revisions. What
//! is made up is the [`FakeNode`], which keeps its containers through a crash as a kernel would.

mod node;
mod random;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use spec::kind::replica::Phase;
use spec::kind::{Deployment, Node, Replica, node as node_kind};
use spec::object::{Object, Resource};
use spec::plan::Writer;
use spec::view::Item;
use spec::{Key, Kind, Name, Write};
use stead::clock::Clock;
use stead::driver::Driver;
use store::{Op, Store, Transaction, Writers};

pub use node::FakeNode;
pub use random::Random;

/// One simulated life of a server.
pub struct Simulator {
    store: Store,
    node: Arc<FakeNode>,
    driver: Driver,
    clock: Arc<AtomicU64>,
    random: Random,
    /// What happened, for the report of a failure.
    pub history: Vec<String>,
}

const NODE: &str = "vps";

impl Simulator {
    pub async fn new(seed: u64) -> Simulator {
        let store = Store::in_memory(Writers::new(controllers::writers()).expect("each half has one writer"));
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let node = Arc::new(FakeNode::new(store.clone(), Clock::manual(clock.clone())));
        let simulator = Simulator {
            driver: Driver::new(store.clone(), controllers::ALL, node.clone(), Clock::manual(clock.clone())),
            store,
            node,
            clock,
            random: Random::new(seed),
            history: Vec::new(),
        };
        simulator.register().await;
        simulator
    }

    async fn register(&self) {
        let key = Key::new(Kind::Node, name(NODE));
        let spec = Write::Spec { key: key.clone(), owner: None, spec: Node::to_spec(node_kind::Spec {}) };
        self.commit(Writer::User, spec).await.expect("a node can be registered");
        let pool = "10.192.0.0/12".parse().ok();
        let status = node_kind::Status { id: "ab12".into(), pool, filter_intact: true, filter_failure: None };
        self.commit(Writer::Edge, Write::Status { key, status: Node::to_status(status) }).await.expect("a node can report");
    }

    async fn commit(&self, writer: Writer, write: Write) -> Result<(), store::Error> {
        self.store.commit(Transaction::new(writer, [Op::new(write)])).await.map(|_| ())
    }

    /// Lets `happenings` things happen, and checks what must always hold after each.
    pub async fn live(&mut self, happenings: usize) {
        for _ in 0..happenings {
            self.happen().await;
            self.drive().await;
            self.check_always();
        }
    }

    async fn happen(&mut self) {
        let said = match self.random.below(100) {
            0..15 => self.put().await,
            15..19 => self.delete().await,
            19..75 => {
                let (which, well) = (self.random.number(), self.random.chance(85));
                self.node.answer(which, well).await
            }
            75..85 => {
                let which = self.random.number();
                self.node.break_something(which).await
            }
            85..92 => {
                let milliseconds = 1 + self.random.below(60_000);
                self.clock.fetch_add(milliseconds, Ordering::SeqCst);
                format!("{milliseconds} ms pass")
            }
            92..96 => self.crash().await,
            _ => {
                // The end of an effect that had already reported, or that did its work and was lost before it could.
                let which = self.random.number();
                self.node.lose_a_report(which).await
            }
        };
        self.history.push(said);
    }

    async fn put(&mut self) -> String {
        let (deployment, replicas, image) = (self.random.below(2), self.random.below(5), self.random.below(3));
        let init = if self.random.chance(40) { "init: {steps: [{id: s, uses: init.run, with: {command: 'true'}}]}" } else { "" };
        let health = if self.random.chance(40) { "health: {check: {type: tcp, port: 80}}" } else { "" };
        let port = 8000 + deployment;
        let text = format!(
            "version: v1\ndeployment: d{deployment}\nservices:\n  a:\n    image: {{name: i{image}}}\n    {init}\n    {health}\n    \
             endpoints: [{{name: e, protocol: http, port: {port}, expose: public}}]\n    scale: {{mode: fixed, replicas: {replicas}}}\n"
        );
        let manifest = spec::manifest::parse(&text).expect("the manifest is right");
        let key = Key::new(Kind::Deployment, name(&format!("d{deployment}")));
        let result = self.commit(Writer::User, Write::Spec { key, owner: None, spec: Deployment::to_spec(manifest) }).await;
        format!("put d{deployment} with {replicas} replicas of i{image}: {result:?}")
    }

    async fn delete(&mut self) -> String {
        let deployment = format!("d{}", self.random.below(2));
        let result = self.commit(Writer::User, Write::Delete { key: Key::new(Kind::Deployment, name(&deployment)) }).await;
        format!("delete {deployment}: {result:?}")
    }

    /// The daemon dies and comes back: effects under way are lost, the store and the node's containers stay.
    async fn crash(&mut self) -> String {
        self.node.crash();
        let clock = Clock::manual(self.clock.clone());
        self.node.observe().await;
        self.driver = Driver::new(self.store.clone(), controllers::ALL, self.node.clone(), clock);
        "the daemon crashes and comes back".to_owned()
    }

    /// Drives until the driver waits for something.
    async fn drive(&mut self) {
        for _ in 0..1000 {
            let went_on = self.driver.step().await.expect("the store is open");
            // Lets effects that were started reach the node, and those that ended be noticed.
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            if !went_on && !self.driver.step().await.expect("the store is open") {
                return;
            }
        }
        panic!("the driver does not come to rest");
    }

    /// Lets everything go well from now on, until nothing more happens.
    pub async fn calm_down(&mut self) {
        self.node.heal().await;
        for _ in 0..20_000 {
            self.drive().await;
            if self.node.has_work() {
                let which = self.random.number();
                self.node.answer(which, true).await;
                continue;
            }
            let Some(next) = self.driver.next_recheck() else { return };
            let now = self.clock.load(Ordering::SeqCst);
            self.clock.store(now.max(next.0), Ordering::SeqCst);
        }
        panic!("it never calms down");
    }

    fn objects(&self) -> Vec<Arc<Object>> {
        self.store.snapshot().objects
    }

    /// What must hold at every moment.
    fn check_always(&self) {
        let mut addresses = std::collections::BTreeSet::new();
        for object in self.objects() {
            if let Some(replica) = Item::<Replica>::of(&object) {
                for address in &replica.spec.addresses {
                    assert!(addresses.insert(address.address), "two replicas have {}", address.address);
                }
            }
        }
        self.node.check_routes(&self.objects());
    }

    /// What must hold once all is calm: what was asked for runs, and nothing else.
    pub fn check_calm(&self) {
        let objects = self.objects();
        let deployments: Vec<_> = objects.iter().filter_map(|object| Item::<Deployment>::of(object)).collect();
        let mut wanted = 0;
        for deployment in &deployments {
            assert!(!deployment.deleting(), "{} is still being deleted", deployment.name());
            let ready = deployment.status.is_some_and(|status| status.ready);
            assert!(ready, "{} waits: {:?}", deployment.name(), deployment.status);
            wanted += deployment.spec.services.values().map(|service| service.replicas() as usize).sum::<usize>();
        }
        let replicas: Vec<_> = objects.iter().filter_map(|object| Item::<Replica>::of(object)).collect();
        assert!(replicas.iter().all(|replica| replica.status.is_some_and(|status| status.phase == Phase::Ready)));
        assert_eq!(replicas.len(), wanted, "replicas");
        assert_eq!(self.node.running(), wanted, "containers on the node");
        assert_eq!(self.node.links(), wanted, "links on the node");
    }
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}
