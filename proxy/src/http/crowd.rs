//! Keeps room for new connections: when the house is full, the oldest that only waits has to go.
//!
//! A connection *waits* while no request of its is being answered: silent, idle, or with a head that comes byte by byte.
//! So any number of slow connections costs those that send a request nothing. It is the fullest port that loses one, so a
//! flood on one port leaves the others their share.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::plane::metrics::Metrics;

/// A port may fill all but one of this many parts of the house: the last part is for the others.
const PARTS: usize = 8;

/// What the tasks of one connection know of it together.
#[derive(Debug, Default)]
pub(crate) struct Visit {
    /// A request is being answered.
    busy: AtomicBool,
    /// The connection carries another protocol now.
    tunnel: AtomicBool,
    fault: AtomicU8,
    leave: Notify,
}

/// What was wrong with a request's body while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    None,
    Malformed,
    Stalled,
}

impl Visit {
    pub(crate) fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Acquire)
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }

    pub(crate) fn become_tunnel(&self) {
        self.tunnel.store(true, Ordering::Release);
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::Relaxed);
    }

    pub(crate) fn fault(&self) -> Fault {
        match self.fault.load(Ordering::Relaxed) {
            fault if fault == Fault::Malformed as u8 => Fault::Malformed,
            fault if fault == Fault::Stalled as u8 => Fault::Stalled,
            _ => Fault::None,
        }
    }

    /// Waits to be sent away.
    pub(crate) async fn evicted(&self) {
        self.leave.notified().await;
    }
}

/// Marks a connection as busy for as long as it or a share of it lives.
#[derive(Clone)]
pub(crate) struct Busy {
    _mark: Arc<Mark>,
}

struct Mark(Arc<Visit>);

impl Busy {
    pub(crate) fn new(visit: &Arc<Visit>) -> Busy {
        visit.busy.store(true, Ordering::Release);
        visit.set_fault(Fault::None);
        Busy { _mark: Arc::new(Mark(visit.clone())) }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// All connections of clients, and the bound on them.
pub(crate) struct Crowd {
    limit: usize,
    house: Arc<House>,
}

#[derive(Default)]
struct House {
    inside: Mutex<Inside>,
    left: Notify,
}

#[derive(Default)]
struct Inside {
    count: usize,
    ports: HashMap<u16, Queue>,
}

/// Connections of one port, oldest first; those that left linger until they are passed over.
#[derive(Default)]
struct Queue {
    count: usize,
    visits: VecDeque<Arc<Visit>>,
}

/// A connection's place: dropping it leaves the house.
pub(crate) struct Place {
    house: Arc<House>,
    port: u16,
    visit: Arc<Visit>,
}

impl Place {
    pub(crate) fn visit(&self) -> &Arc<Visit> {
        &self.visit
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.house.lock();
        inside.count -= 1;
        if let Some(queue) = inside.ports.get_mut(&self.port) {
            queue.count -= 1;
            queue.forget_departed();
            if queue.count == 0 {
                inside.ports.remove(&self.port);
            }
        }
        drop(inside);
        self.house.left.notify_waiters();
    }
}

impl Crowd {
    pub(crate) fn new(limit: usize) -> Crowd {
        Crowd { limit, house: Arc::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.house.lock().count
    }

    /// Takes a place for a connection of `port`; while all are busy it waits for one to leave.
    pub(crate) async fn enter(&self, metrics: &Metrics, port: u16) -> Place {
        loop {
            // Before the look, so that no departure after it is missed.
            let left = self.house.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            match self.try_enter(port) {
                Ok(place) => return place,
                Err(Full { evicted }) if evicted => metrics.evicted.add_one(),
                Err(_) => {}
            }
            left.await;
        }
    }

    fn try_enter(&self, port: u16) -> Result<Place, Full> {
        let mut inside = self.house.lock();
        let own = inside.ports.get(&port).map_or(0, |queue| queue.count);
        if own >= (self.limit - self.limit / PARTS).max(1) {
            return Err(Full { evicted: inside.evict(port) });
        }
        if inside.count >= self.limit {
            let fullest = inside.ports.iter().max_by_key(|(_, queue)| queue.count).map(|(&port, _)| port);
            return Err(Full { evicted: fullest.is_some_and(|port| inside.evict(port)) });
        }
        inside.count += 1;
        let queue = inside.ports.entry(port).or_default();
        queue.count += 1;
        let visit = Arc::new(Visit::default());
        queue.visits.push_back(visit.clone());
        Ok(Place { house: self.house.clone(), port, visit })
    }

    /// Sends away whoever waits, until nobody is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let left = self.house.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            {
                let mut inside = self.house.lock();
                if inside.count == 0 {
                    return;
                }
                let ports: Vec<u16> = inside.ports.keys().copied().collect();
                for port in ports {
                    while inside.evict(port) {}
                }
            }
            left.await;
        }
    }
}

/// There is no room; one may be on its way out.
struct Full {
    evicted: bool,
}

impl House {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    /// Tells the oldest waiting connection of a port to leave; each is told once.
    fn evict(&mut self, port: u16) -> bool {
        self.ports.get_mut(&port).is_some_and(Queue::evict)
    }
}

impl Queue {
    fn evict(&mut self) -> bool {
        // Busy ones move to the back: they have shown that they are no idle crowd.
        for _ in 0..self.visits.len() {
            let Some(visit) = self.visits.pop_front() else { return false };
            if Arc::strong_count(&visit) == 1 {
                continue;
            }
            if visit.is_busy() {
                self.visits.push_back(visit);
                continue;
            }
            visit.leave.notify_one();
            return true;
        }
        false
    }

    /// Keeps the queue in proportion to those inside.
    fn forget_departed(&mut self) {
        if self.visits.len() > 2 * self.count + 64 {
            self.visits.retain(|visit| Arc::strong_count(visit) > 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn enter(crowd: &Crowd, port: u16) -> Option<Place> {
        tokio::time::timeout(Duration::from_millis(50), crowd.enter(&Metrics::default(), port)).await.ok()
    }

    /// A place whose connection goes when it is told to.
    fn guest(place: Place) -> tokio::task::JoinHandle<()> {
        tokio::spawn(async move { place.visit().evicted().await })
    }

    #[tokio::test]
    async fn a_full_house_sends_the_oldest_waiting_connection_away_and_never_a_busy_one() {
        let crowd = Crowd::new(4);
        let busy = enter(&crowd, 1).await.unwrap();
        let _work = Busy::new(busy.visit());
        let oldest = guest(enter(&crowd, 1).await.unwrap());
        let younger = guest(enter(&crowd, 1).await.unwrap());
        let other = guest(enter(&crowd, 2).await.unwrap());
        let newcomer = enter(&crowd, 2).await.unwrap();
        oldest.await.unwrap();
        assert!(!younger.is_finished() && !other.is_finished());
        assert_eq!(crowd.len(), 4);
        drop((busy, newcomer));
    }

    #[tokio::test]
    async fn one_port_cannot_fill_the_house() {
        let crowd = Crowd::new(16);
        let mut places = Vec::new();
        while let Some(place) = enter(&crowd, 1).await {
            places.push((Busy::new(place.visit()), place));
        }
        assert_eq!(places.len(), 14);
        assert!(enter(&crowd, 2).await.is_some());
        places.pop();
        assert!(enter(&crowd, 1).await.is_some());
    }

    #[tokio::test]
    async fn the_queue_stays_small_over_many_visits() {
        let crowd = Crowd::new(16);
        let _stays = enter(&crowd, 1).await.unwrap();
        for _ in 0..1_000 {
            enter(&crowd, 1).await.unwrap();
        }
        assert!(crowd.house.lock().ports[&1].visits.len() < 100);
        assert_eq!(crowd.len(), 1);
    }
}
