//! The one thread that writes: groups what waits, applies it, logs it, and then shows it to readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spec::{Key, Object};
use tokio::sync::{mpsc, oneshot, watch};

use crate::apply::{self, Applied, Place};
use crate::log::{Log, Objects};
use crate::state::Shared;
use crate::{Batch, Committed, Error, Transaction, Writers};

/// Transactions that may wait; more wait in their callers.
pub(crate) const QUEUE: usize = 1024;

/// Most transactions that share one flush: bounds how long the first of them waits.
const GROUP_MAX: usize = 256;

/// How long a full disk is left alone before it is tried again: opening the file anew reads all of it.
const FULL_RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Job {
    pub tx: Transaction,
    pub reply: oneshot::Sender<Result<Committed, Error>>,
}

pub(crate) struct Committer {
    pub shared: Arc<Shared>,
    pub writers: Writers,
    pub log: Log,
    pub wake: watch::Sender<u64>,
}

/// Transactions applied one after the other and not logged yet.
struct Group {
    changed: BTreeMap<Key, Option<Arc<Object>>>,
    rows: BTreeMap<Key, Option<String>>,
    batches: Vec<Arc<Batch>>,
    head: u64,
    durable: bool,
}

/// Objects as the next transaction of a group finds them.
struct Before<'a> {
    objects: &'a Objects,
    changed: &'a BTreeMap<Key, Option<Arc<Object>>>,
}

impl apply::Before for Before<'_> {
    fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        match self.changed.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.objects.get(key),
        }
    }
}

impl Committer {
    /// Serves until all handles are gone.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut failed_at = None;
        while let Some(first) = jobs.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP_MAX
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            if let Err(error) = self.recover(&mut failed_at) {
                refuse(group, &error);
            } else if self.commit(group).is_err() {
                failed_at = Some(Instant::now());
            }
        }
        if self.shared.failure().is_none()
            && let Err(error) = self.log.flush()
        {
            tracing::error!(%error, "the store could not flush its last statuses");
        }
    }

    /// Makes the log usable again after a full disk; any other failure is for good.
    fn recover(&mut self, failed_at: &mut Option<Instant>) -> Result<(), Error> {
        let Some(failure) = self.shared.failure() else { return Ok(()) };
        let is_due = failed_at.is_none_or(|at| at.elapsed() >= FULL_RETRY);
        if !matches!(failure, Error::Full) || !is_due {
            return Err(failure);
        }
        *failed_at = Some(Instant::now());
        let state = self.shared.read();
        let recovered = self.log.recover(&state.objects, state.head);
        drop(state);
        self.shared.set_failure(recovered.as_ref().err().cloned());
        if let Err(error) = &recovered {
            tracing::warn!(%error, "the store still cannot write");
        }
        recovered
    }

    fn commit(&mut self, jobs: Vec<Job>) -> Result<(), Error> {
        let mut group = Group {
            changed: BTreeMap::new(),
            rows: BTreeMap::new(),
            batches: Vec::new(),
            head: self.shared.read().head,
            durable: false,
        };
        let answers: Vec<_> = jobs.into_iter().map(|job| (self.apply(&mut group, &job.tx), job.reply)).collect();
        if let Err(error) = self.write(&group) {
            tracing::error!(%error, "the store cannot write");
            let error = Error::from(error);
            self.shared.set_failure(Some(error.clone()));
            for (_, reply) in answers {
                drop(reply.send(Err(error.clone())));
            }
            return Err(error);
        }
        self.shared.publish(group.batches);
        self.wake.send_replace(group.head);
        for (answer, reply) in answers {
            // A caller that went away does not need its answer.
            drop(reply.send(answer));
        }
        Ok(())
    }

    fn apply(&self, group: &mut Group, tx: &Transaction) -> Result<Committed, Error> {
        let place = Place { epoch: self.shared.epoch, revision: group.head + 1 };
        let state = self.shared.read();
        let before = Before { objects: &state.objects, changed: &group.changed };
        let applied = apply::apply(&before, &self.writers, place, tx);
        drop(state);
        let Applied { changes, rows } = applied.inspect_err(|_| self.shared.counters.refused())?;
        group.durable |= tx.durable && (!changes.is_empty() || !group.batches.is_empty() || self.log.is_dirty());
        if !changes.is_empty() {
            group.head = place.revision;
            for (change, row) in changes.iter().zip(rows) {
                group.changed.insert(change.key.clone(), change.new.clone());
                group.rows.insert(change.key.clone(), row);
            }
            group.batches.push(Arc::new(Batch { cursor: self.shared.cursor(group.head), changes: changes.clone() }));
        }
        Ok(Committed { cursor: self.shared.cursor(group.head), changes })
    }

    fn write(&mut self, group: &Group) -> Result<(), redb::Error> {
        if group.batches.is_empty() && !group.durable {
            return Ok(());
        }
        let flushed = self.log.append(&group.rows, group.head, group.durable)?;
        self.shared.counters.group(group.batches.len(), flushed);
        Ok(())
    }
}

fn refuse(jobs: Vec<Job>, error: &Error) {
    for job in jobs {
        drop(job.reply.send(Err(error.clone())));
    }
}
