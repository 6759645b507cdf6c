//! The effects under way: one for each slot, a bounded number in each lane.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use spec::Effect;
use spec::plan::{Lane, Slot};
use tokio::sync::mpsc;

use super::Edge;

/// Most effects of a lane at one time.
///
/// Containers: more than the cores of a small server can start at once, few enough that each still starts fast.
/// Pulls: a server's network is full with a few. Init steps mostly wait.
fn room(lane: Lane) -> usize {
    match lane {
        Lane::Pull => 3,
        Lane::Resolve => 8,
        Lane::Container => 16,
        Lane::Init | Lane::InitStop => 128,
        Lane::Filter => 1,
    }
}

pub(super) struct InFlight {
    edge: Arc<dyn Edge>,
    running: BTreeMap<Lane, BTreeSet<Slot>>,
    queued: Vec<Effect>,
    /// Slots that found their lane full: planned again as places become free.
    starved: BTreeMap<Lane, BTreeSet<Slot>>,
    done: mpsc::UnboundedSender<Slot>,
}

impl InFlight {
    /// Also returns where finished slots are told; there are never more of them than effects under way.
    pub(super) fn new(edge: Arc<dyn Edge>) -> (InFlight, mpsc::UnboundedReceiver<Slot>) {
        let (done, finished) = mpsc::unbounded_channel();
        (InFlight { edge, running: BTreeMap::new(), queued: Vec::new(), starved: BTreeMap::new(), done }, finished)
    }

    /// Takes an effect for the next [`start`](Self::start).
    pub(super) fn enqueue(&mut self, effect: Effect) {
        self.queued.push(effect);
    }

    /// Starts what was enqueued, where slot and lane are free. What is not started is forgotten: the plan that wanted it is
    /// made again when the slot is free, and by then may want something else.
    pub(super) fn start(&mut self) {
        for effect in std::mem::take(&mut self.queued) {
            let Some(slot) = effect.slot() else { continue };
            let running = self.running.entry(slot.lane).or_default();
            if running.contains(&slot) {
                continue;
            }
            if running.len() >= room(slot.lane) {
                self.starved.entry(slot.lane).or_default().insert(slot);
                continue;
            }
            running.insert(slot.clone());
            if let Some(starved) = self.starved.get_mut(&slot.lane) {
                starved.remove(&slot);
            }
            let (work, finish) = (self.edge.run(effect), Finish { slot, done: self.done.clone() });
            tokio::spawn(async move {
                let _finish = finish;
                work.await;
            });
        }
    }

    /// Notes that a slot is free; returns the slots to plan again.
    pub(super) fn finished(&mut self, slot: &Slot) -> Vec<Slot> {
        if let Some(running) = self.running.get_mut(&slot.lane) {
            running.remove(slot);
        }
        let next = self.starved.get_mut(&slot.lane).and_then(BTreeSet::pop_first);
        [Some(slot.clone()), next].into_iter().flatten().collect()
    }
}

/// Tells that a slot is free, also when its effect panics.
struct Finish {
    slot: Slot,
    done: mpsc::UnboundedSender<Slot>,
}

impl Drop for Finish {
    fn drop(&mut self) {
        // Without a driver nobody needs to know.
        let _ = self.done.send(self.slot.clone());
    }
}
