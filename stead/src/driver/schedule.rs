//! When which task wants to be planned again.

use std::collections::{BTreeMap, BTreeSet};

use controllers::Task;
use spec::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Schedule {
    by_task: BTreeMap<Task, Timestamp>,
    by_time: BTreeSet<(Timestamp, Task)>,
}

impl Schedule {
    /// Takes over the wishes of a settlement: a planned task without one has none any more.
    pub(super) fn update(&mut self, rechecks: BTreeMap<Task, Option<Timestamp>>) {
        for (task, at) in rechecks {
            self.forget(&task);
            if let Some(at) = at {
                self.at(task, at);
            }
        }
    }

    pub(super) fn at(&mut self, task: Task, at: Timestamp) {
        self.forget(&task);
        self.by_time.insert((at, task.clone()));
        self.by_task.insert(task, at);
    }

    /// Wishes for `at`, unless the task has an earlier wish.
    pub(super) fn no_later_than(&mut self, task: Task, at: Timestamp) {
        if self.by_task.get(&task).is_none_or(|earlier| at < *earlier) {
            self.at(task, at);
        }
    }

    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out the tasks whose time has come.
    pub(super) fn ripe(&mut self, now: Timestamp) -> Vec<Task> {
        let mut ripe = Vec::new();
        while let Some((_, task)) = self.by_time.pop_first_if(|(at, _)| *at <= now) {
            self.by_task.remove(&task);
            ripe.push(task);
        }
        ripe
    }

    fn forget(&mut self, task: &Task) {
        if let Some(at) = self.by_task.remove(task) {
            self.by_time.remove(&(at, task.clone()));
        }
    }
}

trait PopFirstIf<T> {
    fn pop_first_if(&mut self, test: impl FnOnce(&T) -> bool) -> Option<T>;
}

impl<T: Ord> PopFirstIf<T> for BTreeSet<T> {
    fn pop_first_if(&mut self, test: impl FnOnce(&T) -> bool) -> Option<T> {
        if self.first().is_some_and(test) { self.pop_first() } else { None }
    }
}
