//! The effects under way: one for each slot, a bounded number in each lane.

use std::collections::BTreeMap;
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
    queued: Vec<Wanted>,
    lanes: BTreeMap<Lane, Places>,
    /// The number of the next ticket.
    next: u64,
    done: mpsc::UnboundedSender<Slot>,
}

/// An effect for the next start.
struct Wanted {
    slot: Slot,
    effect: Effect,
    revision: u64,
}

/// Who has a place in a lane, and who waits for one.
#[derive(Default)]
struct Places {
    /// Each with the revision that its object had.
    running: BTreeMap<Slot, u64>,
    /// Who found the lane full, by ticket: the first who came is the first who is served.
    line: BTreeMap<u64, Slot>,
    tickets: BTreeMap<Slot, u64>,
    /// Tickets of those whose turn it is, until the next start.
    called: BTreeMap<Slot, u64>,
}

impl InFlight {
    /// Also returns where finished slots are told; there are never more of them than effects under way.
    pub(super) fn new(edge: Arc<dyn Edge>) -> (InFlight, mpsc::UnboundedReceiver<Slot>) {
        let (done, finished) = mpsc::unbounded_channel();
        (InFlight { edge, queued: Vec::new(), lanes: BTreeMap::new(), next: 0, done }, finished)
    }

    /// Takes an effect for the next [`start`](Self::start), with the revision of the object that it was decided on.
    pub(super) fn enqueue(&mut self, effect: Effect, revision: u64) {
        if let Some(slot) = effect.slot() {
            self.queued.push(Wanted { slot, effect, revision });
        }
    }

    /// Starts what was enqueued, where slot and lane are free. What is not started is forgotten: the plan that wanted it is
    /// made again when the slot is free, and by then may want something else.
    pub(super) fn start(&mut self) {
        let mut queued = std::mem::take(&mut self.queued);
        let turn =
            |wanted: &Wanted| self.lanes.get(&wanted.slot.lane).and_then(|places| places.called.get(&wanted.slot)).copied();
        queued.sort_by_key(|wanted| turn(wanted).unwrap_or(u64::MAX));
        for wanted in queued {
            let places = self.lanes.entry(wanted.slot.lane).or_default();
            if places.running.contains_key(&wanted.slot) {
                continue;
            }
            if places.running.len() < room(wanted.slot.lane) {
                places.take(&wanted);
                self.begin(wanted);
            } else if places.queue_up(wanted.slot, self.next) {
                self.next += 1;
            }
        }
        // Whoever was called and did not come wants nothing any more.
        self.lanes.values_mut().for_each(|places| places.called.clear());
    }

    fn begin(&self, wanted: Wanted) {
        let (work, finish) = (self.edge.run(wanted.effect), Finish { slot: wanted.slot, done: self.done.clone() });
        tokio::spawn(async move {
            let _finish = finish;
            work.await;
        });
    }

    /// Notes that a slot is free; returns the revision that its object had when the effect was decided on.
    pub(super) fn finished(&mut self, slot: &Slot) -> Option<u64> {
        self.lanes.get_mut(&slot.lane)?.running.remove(slot)
    }

    /// Returns those who wait in line and for whom there is a place now: they are to be planned again.
    pub(super) fn call(&mut self) -> Vec<Slot> {
        self.lanes.iter_mut().flat_map(|(lane, places)| places.call(room(*lane))).collect()
    }
}

impl Places {
    fn take(&mut self, wanted: &Wanted) {
        self.running.insert(wanted.slot.clone(), wanted.revision);
        self.called.remove(&wanted.slot);
        if let Some(ticket) = self.tickets.remove(&wanted.slot) {
            self.line.remove(&ticket);
        }
    }

    /// Puts a slot where it was in the line, or at its end with a `new` ticket; returns whether it took that.
    fn queue_up(&mut self, slot: Slot, new: u64) -> bool {
        if self.tickets.contains_key(&slot) {
            return false;
        }
        let kept = self.called.remove(&slot);
        let ticket = kept.unwrap_or(new);
        self.line.insert(ticket, slot.clone());
        self.tickets.insert(slot, ticket);
        kept.is_none()
    }

    fn call(&mut self, room: usize) -> Vec<Slot> {
        let mut turn = Vec::new();
        while self.running.len() + self.called.len() < room
            && let Some((ticket, slot)) = self.line.pop_first()
        {
            self.tickets.remove(&slot);
            self.called.insert(slot.clone(), ticket);
            turn.push(slot);
        }
        turn
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

#[cfg(test)]
mod tests {
    use std::future::{Future, pending};
    use std::pin::Pin;

    use spec::kind::image;
    use spec::plan::Tables;

    use super::*;

    /// An edge on which nothing ever ends.
    struct Stuck;

    impl Edge for Stuck {
        fn run(&self, _: Effect) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(pending())
        }

        fn publish<'a>(&'a self, _: &'a Tables) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
            Box::pin(pending())
        }
    }

    fn pull(name: &str) -> Effect {
        let spec = image::Spec { digest: String::new(), repository: String::new() };
        Effect::Pull { name: name.parse().unwrap(), spec: Arc::new(spec) }
    }

    fn want(in_flight: &mut InFlight, names: &[&str]) {
        names.iter().for_each(|name| in_flight.enqueue(pull(name), 1));
        in_flight.start();
    }

    fn names(slots: impl IntoIterator<Item = Slot>) -> Vec<String> {
        slots.into_iter().map(|slot| slot.name.to_string()).collect()
    }

    fn running(in_flight: &InFlight) -> Vec<String> {
        names(in_flight.lanes[&Lane::Pull].running.keys().cloned())
    }

    fn finish(in_flight: &mut InFlight, name: &str) {
        let slot = pull(name).slot().unwrap();
        assert_eq!(in_flight.finished(&slot), Some(1), "{name} was under way");
    }

    #[tokio::test]
    async fn who_waits_longest_is_served_first_whatever_its_name() {
        let (mut in_flight, _done) = InFlight::new(Arc::new(Stuck));
        want(&mut in_flight, &["a", "b", "c", "z", "d"]);
        assert_eq!(running(&in_flight), ["a", "b", "c"]);
        assert!(in_flight.call().is_empty(), "there is no room");

        finish(&mut in_flight, "a");
        assert_eq!(names(in_flight.call()), ["z"]);
        // What just failed wants to be tried again; it comes after those who wait.
        want(&mut in_flight, &["a", "z"]);
        assert_eq!(running(&in_flight), ["b", "c", "z"]);
        finish(&mut in_flight, "b");
        finish(&mut in_flight, "c");
        assert_eq!(names(in_flight.call()), ["d", "a"]);
    }

    #[tokio::test]
    async fn who_wants_nothing_any_more_keeps_nobody_waiting() {
        let (mut in_flight, _done) = InFlight::new(Arc::new(Stuck));
        want(&mut in_flight, &["a", "b", "c", "d", "e", "f"]);
        finish(&mut in_flight, "a");
        assert_eq!(names(in_flight.call()), ["d"]);
        want(&mut in_flight, &[]);
        assert_eq!(names(in_flight.call()), ["e"], "d wanted nothing, so its place is free");
        want(&mut in_flight, &["e"]);
        assert_eq!(running(&in_flight), ["b", "c", "e"]);
    }

    #[tokio::test]
    async fn one_slot_has_one_effect_at_a_time() {
        let (mut in_flight, _done) = InFlight::new(Arc::new(Stuck));
        want(&mut in_flight, &["a", "a"]);
        want(&mut in_flight, &["a", "b"]);
        assert_eq!(running(&in_flight), ["a", "b"]);
        assert!(in_flight.call().is_empty());
    }
}
