//! A disk in memory that remembers what was done to it, loses what was not synced, and fails when it is told to.

#![allow(dead_code, reason = "each test binary uses some of it")]

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;
use store::{Backend, Disk};

use super::random::Random;

/// Bytes that a disk writes whole or not at all, most of the time.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub(crate) struct TestDisk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    /// What it held at first.
    base: Vec<u8>,
    now: Vec<u8>,
    done: Vec<Io>,
    ignores_sync: bool,
    calls: u64,
    fault: Option<Fault>,
    room: Option<u64>,
}

/// What was done, as far as a crash can undo it.
#[derive(Clone, Debug)]
enum Io {
    Write(usize, Vec<u8>),
    SetLen(usize),
    Sync,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call of this number, and no other.
    Once(u64),
    /// What takes room, from the call of this number on.
    NoRoom(u64),
}

/// Counts what a disk was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub writes: usize,
    pub bytes: usize,
    pub syncs: usize,
}

impl TestDisk {
    pub(crate) fn new(base: Vec<u8>) -> TestDisk {
        let inner = Inner { now: base.clone(), base, ..Inner::default() };
        TestDisk(Arc::new(Mutex::new(inner)))
    }

    /// Returns a disk that says it synced and did not.
    pub(crate) fn lying(base: Vec<u8>) -> TestDisk {
        let disk = TestDisk::new(base);
        disk.inner().ignores_sync = true;
        disk
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.inner().now.clone()
    }

    /// Returns how many things were done: a moment to crash at.
    pub(crate) fn moment(&self) -> usize {
        self.inner().done.len()
    }

    pub(crate) fn calls(&self) -> u64 {
        self.inner().calls
    }

    pub(crate) fn set_fault(&self, fault: Option<Fault>) {
        self.inner().fault = fault;
    }

    pub(crate) fn set_room(&self, bytes: u64) {
        self.inner().room = Some(bytes);
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.inner().done.iter().fold(Traffic::default(), |sum, io| match io {
            Io::Write(_, data) => Traffic { writes: sum.writes + 1, bytes: sum.bytes + data.len(), ..sum },
            Io::SetLen(_) => sum,
            Io::Sync => Traffic { syncs: sum.syncs + 1, ..sum },
        })
    }

    /// Returns what is found after a crash that takes all that was not synced.
    pub(crate) fn synced(&self) -> Vec<u8> {
        let inner = self.inner();
        let synced = inner.done.iter().rposition(|io| matches!(io, Io::Sync)).unwrap_or(0);
        let mut image = inner.base.clone();
        inner.done[..synced].iter().for_each(|io| apply(&mut image, io));
        image
    }

    /// Returns what could be found after a crash at `moment`: what was synced, and any part of the rest, in any order.
    pub(crate) fn crash(&self, moment: usize, random: &mut Random) -> Vec<u8> {
        let inner = self.inner();
        let done = &inner.done[..moment];
        let synced = if inner.ignores_sync { 0 } else { done.iter().rposition(|io| matches!(io, Io::Sync)).unwrap_or(0) };
        let mut image = inner.base.clone();
        done[..synced].iter().for_each(|io| apply(&mut image, io));
        // A file system keeps the order of changes of the length, and nothing else.
        let lengths: Vec<&Io> = done[synced..].iter().filter(|io| matches!(io, Io::SetLen(_))).collect();
        let kept = random.below(lengths.len() + 1);
        lengths[..kept].iter().for_each(|io| apply(&mut image, io));
        let mut writes: Vec<&Io> = done[synced..].iter().filter(|io| matches!(io, Io::Write(..))).collect();
        random.shuffle(&mut writes);
        let odds = random.below(5);
        for io in writes {
            let Io::Write(offset, data) = io else { continue };
            // All of the rest, none of it, and what is between.
            if random.below(4) < odds {
                tear(&mut image, *offset, data, random);
            }
        }
        image
    }
}

/// Writes all of `data`, or its beginning, or any of its sectors.
fn tear(image: &mut [u8], offset: usize, data: &[u8], random: &mut Random) {
    let (whole, cut) = (random.below(3) > 0, random.below(data.len() + 1));
    let by_sector = random.below(2) == 0;
    for (index, byte) in data.iter().enumerate() {
        let is_there = whole || if by_sector { random.coin((offset + index) / SECTOR) } else { index < cut };
        if let Some(place) = image.get_mut(offset + index)
            && is_there
        {
            *place = *byte;
        }
    }
}

fn apply(image: &mut Vec<u8>, io: &Io) {
    match io {
        Io::Write(offset, data) => image[*offset..offset + data.len()].copy_from_slice(data),
        Io::SetLen(len) => image.resize(*len, 0),
        Io::Sync => (),
    }
}

impl Inner {
    /// Counts a call, and fails it when it is its turn.
    fn call(&mut self, takes_room: bool) -> io::Result<()> {
        self.calls += 1;
        match self.fault {
            Some(Fault::Once(call)) if call == self.calls => Err(io::Error::from_raw_os_error(nix::libc::EIO)),
            Some(Fault::NoRoom(from)) if takes_room && from <= self.calls => Err(io::Error::from_raw_os_error(nix::libc::ENOSPC)),
            _ => Ok(()),
        }
    }

    fn change(&mut self, io: Io) {
        apply(&mut self.now, &io);
        self.done.push(io);
    }
}

impl Disk for TestDisk {
    fn open(&self) -> io::Result<Backend> {
        Ok(Backend::new(self.clone()))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(self.inner().room.unwrap_or(u64::MAX))
    }

    fn path(&self) -> &Path {
        Path::new("/test/store")
    }
}

impl StorageBackend for TestDisk {
    fn len(&self) -> io::Result<u64> {
        let mut inner = self.inner();
        inner.call(false)?;
        Ok(inner.now.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(false)?;
        let place = inner.now.get(offset as usize..offset as usize + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(place);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        let grows = len as usize > inner.now.len();
        inner.call(grows)?;
        inner.change(Io::SetLen(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(true)?;
        inner.change(Io::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.call(true)?;
        let end = offset as usize + data.len();
        if end > inner.now.len() {
            inner.change(Io::SetLen(end));
        }
        inner.change(Io::Write(offset as usize, data.to_vec()));
        Ok(())
    }
}
