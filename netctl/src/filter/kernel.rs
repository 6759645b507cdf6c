//! The kernel's packet filter: one socket, and what was last declared and seen through it.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::io::Errno;

use super::encode::Batch;
use super::table::{Outline, Table};
use super::{Counter, Filter, change, observe, rules};
use crate::Error;
use crate::socket::{self, Socket};

/// `NETLINK_NETFILTER` of linux/netlink.h.
pub(crate) const NETLINK_NETFILTER: isize = 12;

/// Attempts against others who change the ruleset at the same time. Each loses only to a change made within a few milliseconds.
const ATTEMPTS: u32 = 64;

/// Longest pause between two attempts; it grows, so that two who meet do not stay in step.
const PAUSE_MAX: Duration = Duration::from_millis(10);

/// Pauses after an attempt that somebody overtook.
fn pause(attempt: u32) {
    std::thread::sleep((Duration::from_micros(150) * attempt).min(PAUSE_MAX));
}

/// Sequence numbers kept for one batch; far more messages than the largest has.
const SEQUENCES: u32 = 1 << 20;

pub(crate) struct Kernel {
    socket: Socket,
    table: String,
    declared: Option<Table>,
    /// The ruleset's generation in which the kernel had exactly this table.
    seen: Option<(u32, Outline)>,
    committed_messages: u64,
}

impl Kernel {
    /// Opens the packet filter of the calling thread's network namespace.
    pub(crate) fn open(table: String) -> Result<Kernel, Error> {
        let socket = Socket::open(NETLINK_NETFILTER).map_err(Error::netlink("open the packet filter"))?;
        Ok(Kernel { socket, table, declared: None, seen: None, committed_messages: 0 })
    }

    pub(crate) fn set(&mut self, filter: &Filter) -> Result<(), Error> {
        self.declared = Some(rules::table(filter));
        self.repair()
    }

    /// Turns the kernel's table into the declared one.
    pub(crate) fn repair(&mut self) -> Result<(), Error> {
        let Some(desired) = self.declared.take() else { return Ok(()) };
        let result = self.repair_to(&desired);
        self.declared = Some(desired);
        result
    }

    fn repair_to(&mut self, desired: &Table) -> Result<(), Error> {
        for attempt in 0..ATTEMPTS {
            match self.attempt(desired).map_err(Error::netlink("set the packet filter"))? {
                Attempt::Done => return Ok(()),
                Attempt::Overtaken => pause(attempt),
            }
        }
        Err(Error::FilterContended)
    }

    fn attempt(&mut self, desired: &Table) -> Result<Attempt, socket::Error> {
        let Some(generation) = self.look()? else { return Ok(Attempt::Overtaken) };
        let observed = self.seen.take().map(|(_, outline)| outline).filter(|outline| *outline != Outline::default());
        let first_sequence = self.socket.reserve(SEQUENCES);
        let mut batch = Batch::begin(&self.table, first_sequence, generation);
        if !change::difference(&mut batch, desired, observed.as_ref()) {
            self.seen = Some((generation, desired.outline()));
            return Ok(Attempt::Done);
        }
        let messages = u64::from(batch.messages());
        match self.socket.commit(&batch.end(), first_sequence) {
            Ok(()) => {}
            Err(error) if error.errno() == Some(Errno::RESTART.raw_os_error()) => return Ok(Attempt::Overtaken),
            Err(error) => return Err(error),
        }
        self.committed_messages += messages;
        // Nobody came between: the kernel would have refused the batch. It counts on past 0, which means none.
        let next = if generation == u32::MAX { 1 } else { generation + 1 };
        self.seen = Some((next, desired.outline()));
        Ok(Attempt::Done)
    }

    /// Makes `seen` true for the present generation and returns that; `None` when it changed in the meantime.
    fn look(&mut self) -> Result<Option<u32>, socket::Error> {
        let generation = observe::generation(&mut self.socket)?;
        if self.seen.as_ref().is_some_and(|(seen, _)| *seen == generation) {
            return Ok(Some(generation));
        }
        self.seen = None;
        let table = observe::table(&mut self.socket, &self.table)?.unwrap_or_default();
        if observe::generation(&mut self.socket)? != generation {
            return Ok(None);
        }
        self.seen = Some((generation, table));
        Ok(Some(generation))
    }

    /// Says whether the kernel's table is the declared one; with none declared, nothing is amiss.
    pub(crate) fn is_intact(&mut self) -> Result<bool, Error> {
        let Some(desired) = self.declared.as_ref().map(Table::outline) else { return Ok(true) };
        for attempt in 0..ATTEMPTS {
            if self.look().map_err(Error::netlink("read the packet filter"))?.is_some() {
                return Ok(self.seen.as_ref().is_some_and(|(_, outline)| *outline == desired));
            }
            pause(attempt);
        }
        Err(Error::FilterContended)
    }

    /// Deletes the table, and forgets what was declared.
    pub(crate) fn remove(&mut self) -> Result<(), Error> {
        self.declared = None;
        for attempt in 0..ATTEMPTS {
            match self.attempt_removal().map_err(Error::netlink("remove the packet filter"))? {
                Attempt::Done => return Ok(()),
                Attempt::Overtaken => pause(attempt),
            }
        }
        Err(Error::FilterContended)
    }

    fn attempt_removal(&mut self) -> Result<Attempt, socket::Error> {
        let generation = observe::generation(&mut self.socket)?;
        self.seen = None;
        let first_sequence = self.socket.reserve(SEQUENCES);
        let mut batch = Batch::begin(&self.table, first_sequence, generation);
        batch.delete_table();
        match self.socket.commit(&batch.end(), first_sequence) {
            Ok(()) => Ok(Attempt::Done),
            Err(error) if error.errno() == Some(Errno::NOENT.raw_os_error()) => Ok(Attempt::Done),
            Err(error) if error.errno() == Some(Errno::RESTART.raw_os_error()) => Ok(Attempt::Overtaken),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn counters(&mut self) -> Result<BTreeMap<String, Counter>, Error> {
        observe::counters(&mut self.socket, &self.table).map_err(Error::netlink("read the packet filter's counters"))
    }

    pub(crate) fn committed_messages(&self) -> u64 {
        self.committed_messages
    }
}

enum Attempt {
    Done,
    /// Someone else changed the ruleset in the meantime.
    Overtaken,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::table::Element;
    use super::super::tests::{filter, make_firewall, tables};
    use super::*;
    use crate::netns;

    /// Runs `test` in a new network namespace, on a thread of its own.
    fn in_new_namespace(test: impl FnOnce() + Send + 'static) {
        let body = || {
            netns::enter_new().expect("the tests need root");
            test();
        };
        std::thread::spawn(body).join().unwrap();
    }

    #[test]
    fn after_a_change_the_kernel_need_not_be_read() {
        in_new_namespace(|| {
            let mut kernel = Kernel::open("stead-test".into()).unwrap();
            for links in 0..3 {
                kernel.set(&filter(&["10.200.0.0/16"], links)).unwrap();
                let generation = observe::generation(&mut kernel.socket).unwrap();
                assert_eq!(kernel.seen.as_ref().map(|(seen, _)| *seen), Some(generation));
            }
        });
    }

    #[test]
    fn a_batch_for_an_outdated_ruleset_is_refused() {
        in_new_namespace(|| {
            let mut socket = Socket::open(NETLINK_NETFILTER).unwrap();
            let generation = observe::generation(&mut socket).unwrap();
            make_firewall("other", 2);
            let first_sequence = socket.reserve(SEQUENCES);
            let mut batch = Batch::begin("stead-test", first_sequence, generation);
            batch.add_table();
            let error = socket.commit(&batch.end(), first_sequence).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::RESTART.raw_os_error()), "{error}");
            assert_eq!(tables(), ["other"]);
        });
    }

    #[test]
    fn a_batch_of_any_length_with_one_bad_message_is_refused_whole() {
        in_new_namespace(|| {
            let mut socket = Socket::open(NETLINK_NETFILTER).unwrap();
            for length in [1, 62, 63, 64, 126, 127, 128, 1000] {
                let first_sequence = socket.reserve(SEQUENCES);
                let generation = observe::generation(&mut socket).unwrap();
                let mut batch = Batch::begin("stead-test", first_sequence, generation);
                (0..length).for_each(|_| batch.add_table());
                batch.add_elements("no-such-set", &[Element { key: vec![0; 4], end: None }]);
                let error = socket.commit(&batch.end(), first_sequence).unwrap_err();
                assert_eq!(error.errno(), Some(Errno::NOENT.raw_os_error()), "{length}: {error}");
                assert!(tables().is_empty(), "{length}");
            }
        });
    }

    #[test]
    fn others_who_change_the_ruleset_at_the_same_time_are_outlasted() {
        in_new_namespace(|| {
            let stop = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let disturb = || {
                    let mut other = Kernel::open("stead-other".into()).unwrap();
                    while !stop.load(Ordering::Relaxed) {
                        other.set(&filter(&["10.201.0.0/16"], 3)).unwrap();
                        other.remove().unwrap();
                        // A busy firewall, not an attack: whoever can change the rules without a pause can also delete them.
                        std::thread::sleep(Duration::from_millis(2));
                    }
                };
                scope.spawn(disturb);
                let mut kernel = Kernel::open("stead-test".into()).unwrap();
                let mut settle = || {
                    for links in 0..100 {
                        kernel.set(&filter(&["10.200.0.0/16"], links))?;
                    }
                    kernel.is_intact()
                };
                let intact = settle();
                stop.store(true, Ordering::Relaxed);
                assert!(intact.unwrap());
            });
        });
    }
}
