//! The one thread that writes: groups what waits, applies it, logs it, and then shows it to readers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use spec::plan::Writer;
use spec::{Key, Object, Write};
use tokio::sync::{mpsc, oneshot, watch};

use crate::apply::{self, Applied, Place};
use crate::log::{Appended, Entry, Log, Objects};
use crate::ring::Kept;
use crate::state::Shared;
use crate::{Batch, Committed, Error, Transaction, Writers};

/// Transactions that may wait; more wait in their callers.
pub(crate) const QUEUE: usize = 1024;

/// Most transactions that share one flush: bounds how long the first of them waits.
const GROUP_MAX: usize = 256;

type Answer = Result<Committed, Error>;

pub(crate) struct Job {
    pub tx: Transaction,
    pub reply: oneshot::Sender<Answer>,
}

pub(crate) struct Committer {
    pub shared: Arc<Shared>,
    pub writers: Writers,
    pub log: Log,
    pub full_retry: Duration,
    /// Tells the uids of volatile objects from those of all other processes and objects.
    pub session: u64,
    pub wake: watch::Sender<u64>,
}

/// Transactions applied one after the other and not logged yet.
struct Group {
    changed: BTreeMap<Key, Option<Arc<Object>>>,
    entries: Vec<Entry>,
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
            let group = self.commit_volatile(group);
            if group.is_empty() {
                continue;
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

    /// Applies transactions of volatile kinds, which need no disk; returns the others.
    fn commit_volatile(&self, jobs: Vec<Job>) -> Vec<Job> {
        let state = self.shared.read();
        let (volatile, others): (Vec<_>, _) = jobs.into_iter().partition(|job| state.volatile.takes(&job.tx));
        drop(state);
        for Job { tx, reply } in volatile {
            drop(reply.send(self.apply_volatile(&tx)));
        }
        others
    }

    fn apply_volatile(&self, tx: &Transaction) -> Result<Committed, Error> {
        let state = self.shared.read();
        let place = Place { epoch: self.session, revision: state.volatile.beat + 1 };
        let before = Before { objects: &state.objects, changed: &BTreeMap::new() };
        let Applied { changes, .. } =
            apply::apply(&before, &self.writers, place, tx).inspect_err(|_| self.shared.counters.refused())?;
        let head = state.head;
        drop(state);
        if !changes.is_empty() {
            self.shared.publish_volatile(changes.clone());
            self.wake.send_replace(head);
        }
        Ok(Committed { cursor: self.shared.cursor(head), changes })
    }

    /// Makes the log usable again after a full disk; any other failure is for good.
    fn recover(&mut self, failed_at: &mut Option<Instant>) -> Result<(), Error> {
        let Some(failure) = self.shared.failure() else { return Ok(()) };
        let is_due = failed_at.is_none_or(|at| at.elapsed() >= self.full_retry);
        if !matches!(failure, Error::Full) || !is_due {
            return Err(failure);
        }
        *failed_at = Some(Instant::now());
        let state = self.shared.read();
        let recovered = self.log.recover(&state);
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
            entries: Vec::new(),
            batches: Vec::new(),
            head: self.shared.read().head,
            durable: false,
        };
        let room = self.shared.room();
        let apply = |job: Job| (self.allow(&job.tx, &room).and_then(|()| self.apply(&mut group, &job.tx)), job.reply);
        let answers: Vec<_> = jobs.into_iter().map(apply).collect();
        match self.write(&group) {
            Ok(kept) => self.shared.publish(kept),
            Err(error) => return Err(self.fail(error, answers)),
        }
        self.wake.send_replace(group.head);
        for (answer, reply) in answers {
            // A caller that went away does not need its answer.
            drop(reply.send(answer));
        }
        Ok(())
    }

    /// Tells everyone that nothing of a group was written.
    fn fail(&self, error: redb::Error, answers: Vec<(Answer, oneshot::Sender<Answer>)>) -> Error {
        tracing::error!(%error, "the store cannot write");
        let error = Error::from(error);
        self.shared.set_failure(Some(error.clone()));
        for (_, reply) in answers {
            drop(reply.send(Err(error.clone())));
        }
        error
    }

    /// Refuses what mixes kinds, and what takes a user room that is not to spare. Deletes make room.
    fn allow(&self, tx: &Transaction, room: &Result<(), Error>) -> Result<(), Error> {
        let takes_room = tx.writer == Writer::User && tx.ops.iter().any(|op| !matches!(op.write, Write::Delete { .. }));
        let mixes = self.shared.read().volatile.mixes(tx);
        let allowed =
            if mixes { Err(Error::Mixed) } else { room.clone().or_else(|error| if takes_room { Err(error) } else { Ok(()) }) };
        allowed.inspect_err(|_| self.shared.counters.refused())
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
            group.changed.extend(changes.iter().map(|change| (change.key.clone(), change.new.clone())));
            let rows = changes.iter().map(|change| change.key.clone()).zip(rows).collect();
            group.entries.push(Entry { revision: place.revision, rows });
            group.batches.push(Arc::new(Batch { cursor: self.shared.cursor(group.head), changes: changes.clone() }));
        }
        Ok(Committed { cursor: self.shared.cursor(group.head), changes })
    }

    fn write(&mut self, group: &Group) -> Result<Vec<Kept>, redb::Error> {
        if group.batches.is_empty() && !group.durable {
            return Ok(Vec::new());
        }
        let Appended { flushed, bytes } = self.log.append(&group.entries, group.durable)?;
        self.shared.counters.group(group.batches.len(), flushed);
        Ok(group.batches.iter().cloned().zip(bytes).map(|(batch, bytes)| Kept { batch, bytes }).collect())
    }
}

fn refuse(jobs: Vec<Job>, error: &Error) {
    for job in jobs {
        drop(job.reply.send(Err(error.clone())));
    }
}
