//! A disk that drops, reorders and tears what was not synced: whatever is found after a crash, no acknowledged durable write is lost,
//! none is half applied, and a watch by cursor sees no gap and no duplicate.
//!
//! `STORE_CRASH_IMAGES` sets how many crashes there are.

#[path = "common/disk.rs"]
mod disk;
#[path = "common/random.rs"]
mod random;

mod common;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use common::*;
use disk::TestDisk;
use futures_util::future::join_all;
use random::Random;
use spec::plan::Writer;
use spec::{Change, Key, Object};
use store::{Committed, Cursor, Options, Store, Transaction};

type Objects = BTreeMap<Key, Arc<Object>>;

/// Crashes of one store, one after the other.
const LIVES: usize = 20;

/// One transaction that the store says it did.
struct Step {
    cursor: Cursor,
    changes: Vec<Change>,
    /// All objects after it.
    objects: Objects,
    /// The disk's moments between which it came to the disk; a crash before them knows nothing of it.
    asked: usize,
    answered: usize,
    durable: bool,
}

/// All that was said by stores that crashed.
struct Past {
    image: Vec<u8>,
    /// The place before the first step.
    start: Cursor,
    steps: Vec<Step>,
    /// Cursors that were given out, and whose state is lost.
    lost: Vec<Cursor>,
    options: Options,
}

type Checked<T> = Result<T, String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked<()> {
    if holds { Ok(()) } else { Err(what()) }
}

impl Past {
    fn new(seed: u64) -> Past {
        let (disk, options) =
            (TestDisk::default(), Options { history_revisions: [16, 1000][seed as usize % 2], ..Options::default() });
        let store = Store::open_on(disk.clone(), writers(), &options).unwrap();
        let start = store.head();
        drop(store);
        Past { image: disk.bytes(), start, steps: Vec::new(), lost: Vec::new(), options }
    }

    fn objects(&self, steps: usize) -> Objects {
        steps.checked_sub(1).map_or_else(Objects::new, |last| self.steps[last].objects.clone())
    }

    fn place(&self, steps: usize) -> Cursor {
        steps.checked_sub(1).map_or(self.start, |last| self.steps[last].cursor)
    }

    /// Lives once more on what was found, and crashes.
    async fn live(&mut self, make: fn(Vec<u8>) -> TestDisk, random: &mut Random) -> Checked<()> {
        let disk = make(self.image.clone());
        let store = Store::open_on(disk.clone(), writers(), &self.options).map_err(|error| error.to_string())?;
        self.check(&store, random)?;
        let old = self.steps.len();
        for _ in 0..random.below(8) {
            self.act(&store, &disk, random).await;
        }
        drop(store);
        let moment = random.below(disk.moment() + 1);
        self.image = disk.crash(moment, random);
        self.forget(old, moment);
        Ok(())
    }

    /// Commits a few transactions at once, which share a flush.
    async fn act(&mut self, store: &Store, disk: &TestDisk, random: &mut Random) {
        let txs: Vec<_> = (0..1 + random.below(3)).map(|_| transaction(random)).collect();
        let (asked, durable): (_, Vec<bool>) = (disk.moment(), txs.iter().map(|tx| tx.durable).collect());
        let results = join_all(txs.into_iter().map(|tx| store.commit(tx))).await;
        let answered = disk.moment();
        let done = results.into_iter().zip(durable).filter_map(|(result, durable)| Some((result.ok()?, durable)));
        for (Committed { cursor, changes }, durable) in done.filter(|(committed, _)| !committed.changes.is_empty()) {
            let mut objects = self.objects(self.steps.len());
            apply(&mut objects, &changes);
            self.steps.push(Step { cursor, changes, objects, asked, answered, durable });
        }
    }

    /// Takes back what was asked for after the crash; what was only answered before it may be lost.
    fn forget(&mut self, old: usize, moment: usize) {
        let never = self.steps.iter().skip(old).position(|step| step.asked > moment);
        self.steps.truncate(never.map_or(self.steps.len(), |never| old + never));
        for step in &mut self.steps[old..] {
            step.durable &= step.answered <= moment;
            if step.answered > moment {
                step.answered = usize::MAX;
            }
        }
        for step in &mut self.steps[..old] {
            (step.durable, step.answered) = (true, 0);
        }
    }

    /// Returns how many steps a store may remember.
    fn allowed(&self) -> Range<usize> {
        self.steps.iter().rposition(|step| step.durable).map_or(0, |last| last + 1)..self.steps.len() + 1
    }

    /// Checks what is found, and takes it for the past.
    fn check(&mut self, store: &Store, random: &mut Random) -> Checked<()> {
        let highest = self.steps.iter().filter(|step| step.answered != usize::MAX).map(|step| step.cursor).max();
        let (found, allowed) = (self.steps_of(store)?, self.allowed());
        ensure(allowed.contains(&found), || format!("{found} transactions are there, and {allowed:?} may be"))?;
        let objects = by_key(store.snapshot().objects);
        ensure(objects == self.objects(found), || format!("other objects than after {found} transactions"))?;
        let gone = self.steps.drain(found..).filter(|step| step.answered != usize::MAX);
        self.lost.extend(gone.map(|step| step.cursor));
        ensure(highest.is_none_or(|highest| highest <= store.head()), || "a revision could be used twice".to_owned())?;
        for lost in &self.lost {
            ensure(store.watch(Some(*lost)).is_err(), || format!("{lost} was lost in a crash and can be watched from"))?;
        }
        for _ in 0..3 {
            self.check_watch(store, random.below(found + 1))?;
        }
        self.check_watch(store, found)
    }

    /// Returns how many of the steps the store's history has, by its end.
    fn steps_of(&self, store: &Store) -> Checked<usize> {
        let oldest = match store.watch(Some(self.start)) {
            Ok(_) => self.start,
            Err(stale) => stale.oldest,
        };
        let last = changes_since(store, oldest)?.pop().map(|(cursor, _)| cursor);
        let index = |cursor| self.steps.iter().position(|step| step.cursor == cursor);
        match last {
            None => Ok(0),
            Some(last) => index(last).map(|index| index + 1).ok_or(format!("{last} is of no transaction")),
        }
    }

    /// Checks that a watch from behind the first `steps` gives all that came after them, once each.
    fn check_watch(&self, store: &Store, steps: usize) -> Checked<()> {
        let from = self.place(steps);
        match store.watch(Some(from)) {
            Err(stale) => ensure(from < stale.oldest, || format!("{from} is stale, and the oldest is {}", stale.oldest)),
            Ok(_) => {
                let expected: Vec<_> = self.steps[steps..].iter().map(|step| (step.cursor, step.changes.clone())).collect();
                let told = changes_since(store, from)?;
                ensure(told == expected, || format!("a watch from {from} gives {} batches of {}", told.len(), expected.len()))
            }
        }
    }
}

fn changes_since(store: &Store, since: Cursor) -> Checked<Vec<(Cursor, Vec<Change>)>> {
    let mut watch = store.watch(Some(since)).map_err(|stale| format!("{since} is stale: {stale:?}"))?;
    let next =
        || watch.try_next().expect("nothing is forgotten while it is read").map(|batch| (batch.cursor, batch.changes.clone()));
    Ok(std::iter::from_fn(next).collect())
}

fn apply(objects: &mut Objects, changes: &[Change]) {
    for change in changes {
        match &change.new {
            Some(new) => objects.insert(change.key.clone(), new.clone()),
            None => objects.remove(&change.key),
        };
    }
}

/// Returns something that the store may refuse, on a few objects.
fn transaction(random: &mut Random) -> Transaction {
    let durable = random.below(2) == 0;
    let kind = random.below(5);
    let keys: Vec<Key> = (0..1 + random.below(3)).map(|_| image(&format!("i{}", random.below(6)))).collect();
    let text = "x".repeat(random.below(60) * random.below(60)) + &random.below(1000).to_string();
    let (writer, op): (_, fn(&Key, &str) -> store::Op) = match kind {
        0 | 1 => (IMAGE, put),
        2 | 3 => (Writer::Edge, report),
        _ => (COLLECT, |key, text| if text.len().is_multiple_of(2) { delete(key) } else { remove(key) }),
    };
    Transaction { durable, ..Transaction::new(writer, keys.iter().map(|key| op(key, &text))) }
}

/// Lives and crashes on disks that `make` makes; returns what was wrong first.
fn crashes(seed: u64, make: fn(Vec<u8>) -> TestDisk) -> Checked<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (mut past, mut random) = (Past::new(seed), Random::new(seed));
    for life in 0..LIVES {
        runtime.block_on(past.live(make, &mut random)).map_err(|error| format!("seed {seed}, life {life}: {error}"))?;
    }
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_whatever_a_crash_leaves_of_unsynced_writes() {
    let images: usize = std::env::var("STORE_CRASH_IMAGES").map_or(2000, |images| images.parse().unwrap());
    let threads = std::thread::available_parallelism().unwrap().get();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (thread..images.div_ceil(LIVES)).step_by(threads) {
                    crashes(seed as u64, TestDisk::new).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_store_that_does_not_sync_is_caught() {
    let caught = (0..20).filter(|seed| crashes(*seed, TestDisk::lying).is_err()).count();
    assert!(caught >= 15, "{caught} of 20");
}
