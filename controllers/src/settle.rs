//! Runs controllers until none of them wants to write anything more.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use spec::object::{Half, Object, Uid};
use spec::plan::{Note, Writer};
use spec::view::Overlay;
use spec::{Change, Effect, Key, Plan, Timestamp, View, World, Write};

use crate::Controller;

/// How often one task is planned in one settlement, which is once a round: enough for the longest hand-off, whatever the number
/// of objects, and few enough that two controllers which undo each other are found out at once.
pub const PLANS_MAX: u32 = 64;

/// One controller's work on one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    /// Index into the list of controllers.
    pub controller: usize,
    pub key: Key,
}

/// What a settlement came to.
#[derive(Debug, Default)]
pub struct Settled {
    /// By deployment, in an order that can be committed as it stands.
    pub writes: BTreeMap<String, Vec<Authored>>,
    /// In the order of their tasks.
    pub effects: Vec<Effect>,
    pub notes: Vec<Note>,
    /// When each planned task wants to be planned again; `None` takes an earlier wish back.
    pub rechecks: BTreeMap<Task, Option<Timestamp>>,
    /// Tasks that were given up.
    pub aside: Vec<Aside>,
    /// How many plans were made.
    pub plans: u64,
}

/// A write with its author, and the state of the object it was decided on.
#[derive(Clone, Debug, PartialEq)]
pub struct Authored {
    pub writer: Writer,
    pub write: Write,
    /// The object in the store as the settlement saw it.
    pub base: Option<Arc<Object>>,
}

/// A task that panicked, wrote what is not its own, or did not come to rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    pub task: Task,
    pub reason: String,
}

/// Returns the tasks that a change of the world makes due.
pub fn dirty_by(controllers: &[Controller], view: &View<'_>, change: &Change) -> Vec<Task> {
    let mut tasks = Vec::new();
    for (controller, definition) in controllers.iter().enumerate() {
        for (kind, wake) in definition.reads {
            if *kind == change.key.kind {
                tasks.extend(wake(view, change).into_iter().map(|key| Task { controller, key }));
            }
        }
    }
    tasks
}

/// Returns the tasks that a full pass over the world plans: what every object would make due if it were new.
pub fn dirty_all(controllers: &[Controller], world: &World) -> BTreeSet<Task> {
    let none = Overlay::default();
    let view = View::new(world, &none);
    let as_new = world.iter().map(|object| Change { key: object.key.clone(), old: None, new: Some(object.clone()) });
    as_new.flat_map(|change| dirty_by(controllers, &view, &change)).collect()
}

/// Plans the `due` tasks, and those their writes make due, until no writes remain.
///
/// The result depends on its arguments alone. One task's failure leaves the others' results as they are.
pub fn settle(controllers: &[Controller], world: &World, due: BTreeSet<Task>, now: Timestamp) -> Settled {
    let mut run = Run { due, ..Run::new(controllers, world, now) };
    while !run.due.is_empty() {
        run.round = std::mem::take(&mut run.due);
        while let Some(task) = run.round.pop_first() {
            run.plan(task);
        }
    }
    run.finish()
}

struct Run<'a> {
    controllers: &'a [Controller],
    world: &'a World,
    now: Timestamp,
    /// Still to be planned in this round: each task at most once, so that an owner of many waits for all of them.
    round: BTreeSet<Task>,
    /// To be planned in the next round.
    due: BTreeSet<Task>,
    overlay: Overlay,
    /// Who wrote each half last, by key.
    authors: BTreeMap<Key, [Option<&'static str>; 3]>,
    outcomes: BTreeMap<Task, Outcome>,
    planned: BTreeMap<Task, u32>,
    aside: BTreeMap<Task, String>,
    plans: u64,
}

/// What a task's last plan asks for beside its writes.
struct Outcome {
    effects: Vec<Effect>,
    recheck: Option<Timestamp>,
    notes: Vec<Note>,
}

/// Index into `authors` of who marked or removed the object.
const LIFE: usize = 2;

impl<'a> Run<'a> {
    fn new(controllers: &'a [Controller], world: &'a World, now: Timestamp) -> Run<'a> {
        Run {
            controllers,
            world,
            now,
            round: BTreeSet::new(),
            due: BTreeSet::new(),
            overlay: Overlay::default(),
            authors: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            planned: BTreeMap::new(),
            aside: BTreeMap::new(),
            plans: 0,
        }
    }

    fn plan(&mut self, task: Task) {
        if self.aside.contains_key(&task) {
            return;
        }
        let count = self.planned.entry(task.clone()).or_default();
        *count += 1;
        if *count > PLANS_MAX {
            self.aside.insert(task, format!("it was planned {PLANS_MAX} times and still finds something to write"));
            return;
        }
        self.plans += 1;
        let controller = &self.controllers[task.controller];
        let view = View::new(self.world, &self.overlay);
        let plan = match catch_unwind(AssertUnwindSafe(|| (controller.plan)(&view, &task.key, self.now))) {
            Ok(plan) => plan,
            Err(panic) => {
                self.aside.insert(task, format!("its plan panicked: {}", panic_text(panic.as_ref())));
                return;
            }
        };
        if let Some(foreign) = plan.writes.iter().find(|write| !may_write(controller, write)) {
            self.aside.insert(task, format!("it wants to write {}, which is not its own", foreign.key()));
            return;
        }
        let Plan { writes, effects, recheck, notes } = plan;
        self.outcomes.insert(task, Outcome { effects, recheck, notes });
        for write in writes {
            self.apply(controller.name, &write);
        }
    }

    /// Applies a write to the overlay, unless it changes nothing, and wakes who reads it.
    fn apply(&mut self, author: &'static str, write: &Write) {
        let key = write.key();
        let old = View::new(self.world, &self.overlay).object(key).cloned();
        let Some((new, part)) = after(old.as_ref(), write) else { return };
        self.authors.entry(key.clone()).or_default()[part] = Some(author);
        self.overlay.set(key, new.clone());
        let change = Change { key: key.clone(), old, new };
        let woken = dirty_by(self.controllers, &View::new(self.world, &self.overlay), &change);
        self.due.extend(woken.into_iter().filter(|task| !self.round.contains(task)));
    }

    fn finish(self) -> Settled {
        let mut settled = Settled { plans: self.plans, ..Settled::default() };
        let view = View::new(self.world, &self.overlay);
        for (key, authors) in &self.authors {
            let base = self.world.get(key);
            let writes = difference(key, base, view.object(key));
            let group = settled.writes.entry(key.name.root().to_owned()).or_default();
            for write in writes {
                let author = match write {
                    Write::Spec { .. } => authors[0],
                    Write::Status { .. } => authors[1],
                    Write::Delete { .. } | Write::Remove { .. } => authors[LIFE],
                };
                let writer = Writer::Controller(author.unwrap_or_default());
                group.push(Authored { writer, write, base: base.cloned() });
            }
        }
        settled.writes.retain(|_, writes| !writes.is_empty());
        for (task, outcome) in self.outcomes {
            if !self.aside.contains_key(&task) {
                settled.effects.extend(outcome.effects);
                settled.notes.extend(outcome.notes);
                settled.rechecks.insert(task, outcome.recheck);
            }
        }
        settled.aside = self.aside.into_iter().map(|(task, reason)| Aside { task, reason }).collect();
        settled
    }
}

/// Returns whether the write is one of the controller's: deleting goes with the spec, and removing is the collector's alone.
fn may_write(controller: &Controller, write: &Write) -> bool {
    let collects = controller.name == crate::controller::collect::NAME;
    let kind = write.key().kind;
    match write {
        Write::Spec { spec, .. } => spec.kind() == kind && controller.writes_half(kind, Half::Spec),
        Write::Status { status, .. } => status.kind() == kind && controller.writes_half(kind, Half::Status),
        Write::Delete { .. } => collects || controller.writes_half(kind, Half::Spec),
        Write::Remove { .. } => collects,
    }
}

/// Returns the object after `write` and which part of it changed; `None` when nothing did, or when there is nothing to change.
fn after(old: Option<&Arc<Object>>, write: &Write) -> Option<(Option<Arc<Object>>, usize)> {
    match (write, old) {
        (Write::Spec { key, owner, spec }, None) => Some((Some(Arc::new(created(key, owner, spec))), 0)),
        (Write::Spec { spec, .. }, Some(old)) if old.deleting || old.spec == *spec => None,
        (Write::Spec { spec, .. }, Some(old)) => {
            Some((Some(Arc::new(Object { spec: spec.clone(), generation: old.generation + 1, ..Object::clone(old) })), 0))
        }
        (Write::Status { status, .. }, Some(old)) => {
            let same = old.status.as_ref() == Some(status) && old.observed_generation == old.generation;
            let status = Some(status.clone());
            (!same).then(|| (Some(Arc::new(Object { status, observed_generation: old.generation, ..Object::clone(old) })), 1))
        }
        (Write::Delete { .. }, Some(old)) if !old.deleting => {
            Some((Some(Arc::new(Object { deleting: true, ..Object::clone(old) })), LIFE))
        }
        (Write::Remove { .. }, Some(old)) if old.deleting => Some((None, LIFE)),
        _ => None,
    }
}

fn created(key: &Key, owner: &Option<Key>, spec: &spec::Spec) -> Object {
    Object {
        key: key.clone(),
        uid: Uid::default(),
        revision: 0,
        spec_revision: 0,
        status_revision: 0,
        generation: 1,
        observed_generation: 0,
        owner: owner.clone(),
        labels: BTreeMap::new(),
        deleting: false,
        spec: spec.clone(),
        status: None,
    }
}

/// Returns the writes that lead from `base` to `end`.
fn difference(key: &Key, base: Option<&Arc<Object>>, end: Option<&Arc<Object>>) -> Vec<Write> {
    let mut writes = Vec::new();
    // An object made in this settlement has no uid yet: under the same name it is another one.
    let kept = base.filter(|base| end.is_some_and(|end| end.uid == base.uid));
    if base.is_some() && kept.is_none() {
        if !base.is_some_and(|base| base.deleting) {
            writes.push(Write::Delete { key: key.clone() });
        }
        writes.push(Write::Remove { key: key.clone() });
    }
    let Some(end) = end else { return writes };
    if kept.is_none_or(|base| base.spec != end.spec) {
        writes.push(Write::Spec { key: key.clone(), owner: end.owner.clone(), spec: end.spec.clone() });
    }
    if let Some(status) = &end.status
        && kept.is_none_or(|base| base.status != end.status || base.observed_generation != end.observed_generation)
    {
        writes.push(Write::Status { key: key.clone(), status: status.clone() });
    }
    if end.deleting && !kept.is_some_and(|base| base.deleting) {
        writes.push(Write::Delete { key: key.clone() });
    }
    writes
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}
