//! Room for a bounded number of things at a time, of which no deployment gets more than its part.
//!
//! A container that asks without end for names nobody answers would otherwise leave the others none.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One deployment may fill one of this many parts of a room: far more than it needs, and others find the rest.
const PARTS: usize = 8;

pub(super) struct Room {
    limit: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    count: usize,
    by_deployment: HashMap<Box<str>, usize>,
}

/// A place in a room: dropping it leaves the room.
pub(super) struct Place {
    room: Arc<Room>,
    deployment: Box<str>,
}

impl Room {
    pub(super) fn new(limit: usize) -> Arc<Room> {
        Arc::new(Room { limit, inside: Mutex::default() })
    }

    /// Takes a place for a deployment; `None` when its part or the whole room is full.
    pub(super) fn enter(self: &Arc<Room>, deployment: &str) -> Option<Place> {
        let mut inside = self.lock();
        let own = inside.by_deployment.get(deployment).copied().unwrap_or(0);
        if inside.count >= self.limit || own >= (self.limit / PARTS).max(1) {
            return None;
        }
        inside.count += 1;
        inside.by_deployment.insert(deployment.into(), own + 1);
        Some(Place { room: self.clone(), deployment: deployment.into() })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.room.lock();
        inside.count -= 1;
        if let Some(own) = inside.by_deployment.get_mut(&self.deployment) {
            *own -= 1;
            if *own == 0 {
                inside.by_deployment.remove(&self.deployment);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_deployment_cannot_fill_the_room_and_leaves_no_trace() {
        let room = Room::new(16);
        let greedy: Vec<Place> = std::iter::from_fn(|| room.enter("greedy")).collect();
        assert_eq!(greedy.len(), 2);
        let others: Vec<Place> = (0..16).filter_map(|number| room.enter(&number.to_string())).collect();
        assert_eq!(others.len(), 14);
        drop(others);
        assert!(room.enter("greedy").is_none() && room.enter("modest").is_some());
        drop(greedy);
        assert_eq!(room.lock().count, 0);
        assert!(room.lock().by_deployment.is_empty());
    }
}
