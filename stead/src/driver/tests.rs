use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use spec::kind::{Deployment, Image, Resolution, image, resolution};
use spec::object::{Half, Resource};
use spec::{Plan, Spec};
use store::Writers;

use super::*;

/// Remembers the effects it is given. Each ends at once, and reports if it is told to.
#[derive(Default)]
struct Hasty {
    effects: Mutex<Vec<Effect>>,
    reports_to: Option<Store>,
}

impl Hasty {
    fn count(&self) -> usize {
        self.effects.lock().unwrap().len()
    }
}

impl Edge for Hasty {
    fn run(&self, effect: Effect) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (store, name) = (self.reports_to.clone(), effect.name().clone());
        self.effects.lock().unwrap().push(effect);
        Box::pin(async move {
            let Some(store) = store else { return };
            let object = store.get(&Key::new(Kind::Resolution, name.clone())).expect("it is asked for");
            let resolved = |status: &mut resolution::Status| {
                let digest = format!("sha256:{}", "0".repeat(64));
                status.resolved = Some(resolution::Resolved { reference: "i".into(), digest, repository: "i".into() });
            };
            report::status::<Resolution>(&store, &name, &object.uid, resolved).await;
        })
    }

    fn publish<'a>(&'a self, _: &'a Tables) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
}

fn name(text: &str) -> spec::Name {
    text.parse().unwrap()
}

fn clock() -> (Arc<AtomicU64>, Clock) {
    let milliseconds = Arc::new(AtomicU64::new(1_000_000));
    (milliseconds.clone(), Clock::manual(milliseconds))
}

async fn put(store: &Store, writer: Writer, key: Key, spec: Spec) {
    let write = Write::Spec { key, owner: None, spec };
    store.commit(Transaction::new(writer, [Op::new(write)])).await.unwrap();
}

async fn deploy(store: &Store) {
    let manifest = spec::manifest::parse("version: v1\ndeployment: d\nservices: {a: {image: {name: i}}}\n").unwrap();
    put(store, Writer::User, Key::new(Kind::Deployment, name("d")), Deployment::to_spec(manifest)).await;
}

/// Drives until the driver would wait; a driver that never does fails the test.
async fn rest(driver: &mut Driver) {
    for _ in 0..100 {
        let went_on = driver.step().await.unwrap();
        // What was started gets its turn, and what it reports is heard.
        tokio::time::sleep(Duration::from_millis(2)).await;
        if !went_on && !driver.step().await.unwrap() {
            return;
        }
    }
    panic!("the driver does not come to rest");
}

#[tokio::test]
async fn an_effect_that_changes_nothing_is_not_repeated_at_once() {
    let store = Store::in_memory(Writers::new(controllers::writers()).unwrap());
    deploy(&store).await;
    let (edge, (time, clock)) = (Arc::new(Hasty::default()), clock());
    let mut driver = Driver::new(store, controllers::ALL, edge.clone(), clock);
    rest(&mut driver).await;
    assert_eq!(edge.count(), 1);
    time.fetch_add(IN_VAIN.0, Ordering::SeqCst);
    rest(&mut driver).await;
    assert_eq!(edge.count(), 2, "and it is repeated after a pause");
}

#[tokio::test]
async fn an_effect_that_has_reported_is_followed_at_once() {
    let store = Store::in_memory(Writers::new(controllers::writers()).unwrap());
    deploy(&store).await;
    let edge = Arc::new(Hasty { reports_to: Some(store.clone()), ..Hasty::default() });
    let mut driver = Driver::new(store.clone(), controllers::ALL, edge.clone(), clock().1);
    for _ in 0..20 {
        driver.step().await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        if store.snapshot().objects.iter().any(|object| object.key.kind == Kind::Image) {
            return assert_eq!(edge.effects.lock().unwrap().iter().filter(|e| matches!(e, Effect::Resolve { .. })).count(), 1);
        }
    }
    panic!("the image is never asked for");
}

/// Wants an object that is too large: the store never takes it.
const STUBBORN: Controller = Controller {
    name: "stubborn",
    reads: &[(Kind::Deployment, |_, change| vec![change.key.clone()])],
    writes: &[(Kind::Image, Half::Spec)],
    plan: |_, key, _| {
        let spec = Image::to_spec(image::Spec { digest: "d".into(), repository: "r".repeat(store::OBJECT_BYTES_MAX) });
        let write = Write::Spec { key: Key::new(Kind::Image, name("i")), owner: Some(key.clone()), spec };
        Plan { writes: vec![write], ..Plan::default() }
    },
};

#[tokio::test]
async fn decisions_that_cannot_be_stored_are_made_again_after_a_pause() {
    let writers = [
        (Kind::Deployment, Half::Spec, Writer::User),
        (Kind::Image, Half::Spec, Writer::Controller(STUBBORN.name)),
        (Kind::Event, Half::Spec, Writer::Driver),
    ];
    let store = Store::in_memory(Writers::new(writers).unwrap());
    deploy(&store).await;
    let (time, clock) = clock();
    let now = clock.now();
    let mut driver = Driver::new(store, Vec::leak(vec![STUBBORN]), Arc::new(Hasty::default()), clock);
    rest(&mut driver).await;
    assert_eq!(driver.next_recheck(), Some(now.after(COMMIT_RETRY)));
    time.fetch_add(COMMIT_RETRY.0, Ordering::SeqCst);
    assert!(driver.step().await.unwrap(), "the task whose write it was is planned again, though the write was another object's");
    assert_eq!(driver.next_recheck(), Some(now.after(COMMIT_RETRY).after(COMMIT_RETRY)));
}
