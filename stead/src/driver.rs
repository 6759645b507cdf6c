//! The loop that turns decisions into deeds: settle, commit, then act.
//!
//! ```text
//!   store ──changes──▶ world + due tasks ──settle──▶ writes ──commit──▶ store
//!                            ▲                  └──▶ effects ──after the commit──▶ edge
//!                            └── rechecks, finished effects                        │ reports statuses
//!                                                                          store ◀─┘
//! ```
//!
//! It decides nothing and touches nothing: what to do comes from the controllers, and the [`Edge`] does it.

mod in_flight;
mod schedule;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use controllers::{Aside, Controller, Settled, Task, dirty_all, dirty_by, settle};
use spec::plan::{Note, Slot, Tables, Writer};
use spec::view::Overlay;
use spec::{Change, Effect, Key, Kind, Timestamp, View, World, Write};
use store::{Batch, Committed, Cursor, Ended, Op, Store, Transaction, Watch};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use crate::clock::Clock;
use crate::report;
use in_flight::InFlight;
use schedule::Schedule;

/// What the driver acts through: the node's kernel, or a simulator's idea of one.
pub trait Edge: Send + Sync + 'static {
    /// Carries out an effect that occupies a slot, and reports by writing a status.
    fn run(&self, effect: Effect) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Makes the node's tables be `tables`; has its own deadline.
    fn publish<'a>(&'a self, tables: &'a Tables) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// How often everything is planned once more, whatever was heard: the safety net, not the mechanism.
const FULL_PASS: Duration = Duration::from_secs(300);
/// Wait after a commit that failed for a reason that may pass, such as a full disk.
const COMMIT_RETRY: spec::units::Duration = spec::units::Duration::seconds(1);
/// Wait before an effect that ended and changed nothing is tried again. Its report may have found the disk full.
const IN_VAIN: spec::units::Duration = spec::units::Duration::seconds(1);
/// How long a task that was set aside is left alone.
const ASIDE: spec::units::Duration = spec::units::Duration::seconds(30);
/// Most writes of one transaction: a deployment of any size the manifest allows takes a few of them.
const WRITES_MAX: usize = 1024;

pub struct Driver {
    store: Store,
    controllers: &'static [Controller],
    edge: Arc<dyn Edge>,
    clock: Clock,
    world: World,
    watch: Watch,
    due: BTreeSet<Task>,
    schedule: Schedule,
    /// Own commits that the watch has not brought back yet, with what they changed.
    own: Vec<(Cursor, BTreeSet<Key>)>,
    in_flight: InFlight,
    done: mpsc::UnboundedReceiver<Slot>,
    tables: Tables,
    tables_changed: bool,
    /// The tables say all there is to say: they may be published.
    tables_complete: bool,
    next_full_pass: Instant,
}

impl Driver {
    /// Takes the store as it is: everything in it is planned first.
    pub fn new(store: Store, controllers: &'static [Controller], edge: Arc<dyn Edge>, clock: Clock) -> Driver {
        let (watch, world) = start_over(&store);
        let due = dirty_all(controllers, &world);
        let (in_flight, done) = InFlight::new(edge.clone());
        Driver {
            store,
            controllers,
            edge,
            clock,
            world,
            watch,
            due,
            schedule: Schedule::default(),
            own: Vec::new(),
            in_flight,
            done,
            tables: Tables::default(),
            tables_changed: true,
            tables_complete: false,
            next_full_pass: Instant::now() + FULL_PASS,
        }
    }

    /// Drives until the store is shut down, or has failed.
    pub async fn run(mut self) {
        loop {
            let went_on = match self.step().await {
                Ok(true) => Ok(()),
                Ok(false) => self.wait().await,
                Err(ended) => Err(ended),
            };
            if went_on.is_err() {
                return debug!("the driver ends: its store takes nothing any more");
            }
        }
    }

    /// Takes in what is new, and does what is due; returns whether anything was.
    pub async fn step(&mut self) -> Result<bool, Ended> {
        // In this order: what an effect that ended has reported is known before it is planned for again.
        let ended: Vec<Slot> = std::iter::from_fn(|| self.done.try_recv().ok()).collect();
        self.absorb()?;
        for slot in &ended {
            self.finished(slot);
        }
        for slot in self.in_flight.call() {
            let tasks = self.concerned(&slot);
            self.due.extend(tasks);
        }
        self.due.extend(self.schedule.ripe(self.clock.now()));
        if self.due.is_empty() {
            return Ok(false);
        }
        self.turn().await?;
        Ok(true)
    }

    /// Returns when a task wants to be planned again, if nothing happens before.
    pub fn next_recheck(&self) -> Option<Timestamp> {
        self.schedule.next()
    }

    /// Settles what is due, commits, and acts.
    async fn turn(&mut self) -> Result<(), Ended> {
        let now = self.clock.now();
        let settled = settle(self.controllers, &self.world, std::mem::take(&mut self.due), now);
        let Settled { writes, effects, notes, rechecks, aside, plans } = settled;
        debug!(plans, groups = writes.len(), effects = effects.len(), "settled");
        let tasks: Vec<Task> = rechecks.keys().cloned().collect();
        self.schedule.update(rechecks);
        for aside in aside {
            self.set_aside(&aside, now).await;
        }

        let failed = self.commit(writes).await;
        if failed.for_good {
            return Err(Ended::Closed);
        }
        // All of them: a plan for one object may write another, in another transaction.
        if failed.overtaken {
            self.due.extend(tasks);
        } else if failed.unstored {
            tasks.into_iter().for_each(|task| self.schedule.no_later_than(task, now.after(COMMIT_RETRY)));
        }
        for effect in effects.into_iter().filter(|effect| !failed.groups.contains(effect.name().root())) {
            match effect.slot() {
                None => self.tables_changed |= self.tables.apply(&effect),
                Some(slot) => {
                    let revision = self.world.get(&key_of(&slot)).map_or(0, |object| object.revision);
                    self.in_flight.enqueue(effect, revision);
                }
            }
        }
        // The tables come first: traffic is turned away from what is about to stop.
        self.tables_complete |= failed.groups.is_empty();
        if self.tables_changed && self.tables_complete {
            self.tables_changed = false;
            self.edge.publish(&self.tables).await;
        }
        self.in_flight.start();
        for Note { about, reason, message } in notes {
            report::event(&self.store, &about, reason, &message, now).await;
        }
        Ok(())
    }

    /// Commits each deployment's writes in a transaction of its own, all sharing one flush; returns those that failed.
    async fn commit(&mut self, writes: BTreeMap<String, Vec<controllers::Authored>>) -> Failed {
        let commits = writes.into_iter().map(|(group, writes)| {
            let store = self.store.clone();
            async move { (group, commit_all(&store, writes).await) }
        });
        let mut failed = Failed::default();
        for (group, (committed, result)) in futures_util::future::join_all(commits).await {
            for committed in committed.into_iter().filter(|committed| !committed.changes.is_empty()) {
                self.own.push((committed.cursor, committed.changes.iter().map(|change| change.key.clone()).collect()));
                for change in committed.changes {
                    self.world.set(&change.key, change.new);
                }
            }
            match result {
                Ok(()) => {}
                // Somebody else wrote meanwhile; what they wrote is on its way here.
                Err(store::Error::Conflict { .. } | store::Error::Gone { .. } | store::Error::Deleting { .. }) => {
                    failed.overtaken = true;
                    failed.groups.insert(group);
                }
                Err(error) => {
                    error!(deployment = group, error = report::chain(&error), "decisions cannot be committed");
                    // The store stays like this until it is opened anew: better to end, and be started again.
                    failed.for_good |= matches!(error, store::Error::Failed { .. } | store::Error::Closed);
                    failed.unstored = true;
                    failed.groups.insert(group);
                }
            }
        }
        failed
    }

    /// Takes in all changes that are there, and plans what they concern.
    fn absorb(&mut self) -> Result<(), Ended> {
        loop {
            match self.watch.try_next() {
                Ok(Some(batch)) => self.take(&batch),
                Ok(None) => return Ok(()),
                Err(Ended::Lagged) => {
                    warn!("the driver fell behind the store and starts over");
                    (self.watch, self.world) = start_over(&self.store);
                    self.own.clear();
                    self.due.extend(dirty_all(self.controllers, &self.world));
                }
                Err(Ended::Closed) => return Err(Ended::Closed),
            }
        }
    }

    fn take(&mut self, batch: &Batch) {
        // Own commits were applied when they were made, and planned for in the settlement that wrote them.
        if let Some(index) = self.own.iter().position(|(cursor, _)| *cursor == batch.cursor) {
            self.own.swap_remove(index);
            return;
        }
        for change in &batch.changes {
            // What an own commit made of it afterwards is in the world already, be it that nothing was left.
            let is_past = self.own.iter().any(|(cursor, keys)| *cursor > batch.cursor && keys.contains(&change.key));
            if !is_past {
                self.world.set(&change.key, change.new.clone());
            }
            let none = Overlay::default();
            self.due.extend(dirty_by(self.controllers, &View::new(&self.world, &none), change));
        }
    }

    /// Waits for a change, a finished effect, a time to look again, or the full pass.
    async fn wait(&mut self) -> Result<(), Ended> {
        let now = self.clock.now();
        let next = self.schedule.next().map(|at| Instant::now() + at.since(now).into());
        let wake = next.unwrap_or(self.next_full_pass).min(self.next_full_pass);
        tokio::select! {
            batch = self.watch.next() => match batch {
                Ok(batch) => self.take(&batch),
                Err(Ended::Lagged) => {} // absorbed on the way round
                Err(Ended::Closed) => return Err(Ended::Closed),
            },
            Some(slot) = self.done.recv() => self.finished(&slot),
            () = tokio::time::sleep_until(wake) => {
                if Instant::now() >= self.next_full_pass {
                    self.next_full_pass = Instant::now() + FULL_PASS;
                    self.due.extend(dirty_all(self.controllers, &self.world));
                }
            }
        }
        Ok(())
    }

    /// Plans again for what an effect occupied: at once if the effect changed something, else after a pause.
    fn finished(&mut self, slot: &Slot) {
        let before = self.in_flight.finished(slot);
        let after = self.world.get(&key_of(slot)).map(|object| object.revision);
        let tasks = self.concerned(slot);
        if before.is_some() && before == after {
            let at = self.clock.now().after(IN_VAIN);
            tasks.into_iter().for_each(|task| self.schedule.no_later_than(task, at));
        } else {
            self.due.extend(tasks);
        }
    }

    /// Returns the tasks that a slot is of concern to.
    fn concerned(&self, slot: &Slot) -> Vec<Task> {
        let key = key_of(slot);
        let object = self.world.get(&key).cloned();
        let none = Overlay::default();
        let change = Change { key, old: object.clone(), new: object };
        dirty_by(self.controllers, &View::new(&self.world, &none), &change)
    }

    async fn set_aside(&mut self, aside: &Aside, now: Timestamp) {
        let Aside { task, reason } = aside;
        let controller = self.controllers[task.controller].name;
        error!(controller, object = %task.key, reason, "set aside");
        self.schedule.at(task.clone(), now.after(ASIDE));
        let message = format!("controller {controller} was set aside: {reason}");
        report::event(&self.store, &task.key, "set-aside", &message, now).await;
    }
}

/// What could not be committed.
#[derive(Default)]
struct Failed {
    groups: BTreeSet<String>,
    /// Something, because somebody else wrote meanwhile: plan again at once.
    overtaken: bool,
    /// Something, because the store cannot take it now: plan again after a pause.
    unstored: bool,
    /// The store takes nothing any more.
    for_good: bool,
}

/// Returns the object that an effect in a slot is about.
fn key_of(slot: &Slot) -> Key {
    use spec::plan::Lane;
    let kind = match slot.lane {
        Lane::Resolve => Kind::Resolution,
        Lane::Pull => Kind::Image,
        Lane::Container => Kind::Container,
        Lane::Init | Lane::InitStop => Kind::Init,
        Lane::Filter => Kind::Node,
    };
    Key::new(kind, slot.name.clone())
}

fn start_over(store: &Store) -> (Watch, World) {
    let snapshot = store.snapshot();
    let mut world = World::default();
    for object in snapshot.objects {
        world.set(&object.key.clone(), Some(object));
    }
    match store.watch(Some(snapshot.cursor)) {
        Ok(watch) => (watch, world),
        // Only when thousands of commits came between two lines.
        Err(_) => {
            info!("the store moved on while it was read; reading it again");
            start_over(store)
        }
    }
}

/// Commits one deployment's writes; returns what was committed, also when a later part failed.
async fn commit_all(store: &Store, writes: Vec<controllers::Authored>) -> (Vec<Committed>, Result<(), store::Error>) {
    let mut done = Vec::new();
    for part in writes.chunks(WRITES_MAX) {
        let durable = part.iter().any(|authored| !matches!(authored.write, Write::Status { .. }));
        let mut removed = BTreeSet::new();
        let ops = part.iter().map(|authored| expecting(authored, &mut removed)).collect();
        match store.commit(Transaction { writer: Writer::Driver, ops, durable }).await {
            Ok(committed) => done.push(committed),
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// Makes a write hold only if the half it changes is still as the settlement saw it.
fn expecting(authored: &controllers::Authored, removed: &mut BTreeSet<Key>) -> Op {
    let key = authored.write.key();
    let op = Op::new(authored.write.clone()).by(authored.writer);
    // Behind a removal in the same transaction stands a new object.
    let base = authored.base.as_ref().filter(|_| !removed.contains(key));
    if matches!(authored.write, Write::Remove { .. }) {
        removed.insert(key.clone());
    }
    match (&authored.write, base) {
        (Write::Spec { .. }, None) => op.expect_revision(0),
        (Write::Spec { .. }, Some(base)) => op.expect_uid(base.uid.clone()).expect_revision(base.spec_revision),
        (Write::Status { .. }, Some(base)) => op.expect_uid(base.uid.clone()).expect_revision(base.status_revision),
        (_, Some(base)) => op.expect_uid(base.uid.clone()),
        (_, None) => op,
    }
}
