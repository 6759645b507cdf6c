//! The file: redb as the log of truth, read once and then only written.
//!
//! | table | key | value |
//! |---|---|---|
//! | `objects` | `kind/name` | the object's JSON |
//! | `history` | revision | what its transaction replaced ([`history`]) |
//! | `meta` | a name | the format, the epoch, how far revisions are reserved, and a sum over all rows of the others |
//!
//! The sum shows rows that were changed or lost by anything but the store.

mod backup;
mod create;
mod history;
mod load;
mod recover;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::Arc;

use redb::{AccessGuard, Database, Durability, Table, TableDefinition, WriteTransaction};
use spec::{Key, Object};

pub(crate) use self::backup::{check, write_backup};
use self::history::{Rows, Undo};
use crate::disk::{Disk, FileDisk, MemoryDisk};
use crate::ring::{Limits, Ring};
use crate::{Error, Options};

/// Format of the file that this version writes; it reads this and all before.
///
/// 1 had no history.
pub(crate) const FORMAT: u64 = 2;

/// Revisions reserved at a time: a flush of nothing but the reservation is then rare, and a crash wastes numbers nobody misses.
const BLOCK: u64 = 1024;

/// What redb may cache; objects are read once, so only its tree's upper pages matter.
const CACHE_BYTES: usize = 16 << 20;

const OBJECTS: TableDefinition<'_, &str, &str> = TableDefinition::new("objects");
const HISTORY: TableDefinition<'_, u64, &str> = TableDefinition::new("history");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const FORMAT_KEY: &str = "format";
const EPOCH_KEY: &str = "epoch";
const RESERVED_KEY: &str = "reserved";
const SUM_KEY: &str = "sum";
/// There only in a backup, which becomes a store with a new epoch when it is opened.
const BACKUP_KEY: &str = "backup";

pub(crate) type Objects = BTreeMap<Key, Arc<Object>>;

/// What one transaction makes of the rows.
pub(crate) struct Entry {
    pub revision: u64,
    /// JSON of each object changed; `None` takes the row away.
    pub rows: Vec<(Key, Option<String>)>,
}

/// An open file, and what is needed to write on.
pub(crate) struct Log {
    /// `None` only while it could not be opened again.
    db: Option<Database>,
    disk: Arc<dyn Disk>,
    /// Fingerprint of each object's row.
    prints: HashMap<Key, u64>,
    /// Sum of the fingerprints of all rows.
    sum: u64,
    /// Revisions below this one may be seen without being flushed.
    reserved: u64,
    history: Rows,
    /// Something was committed and not flushed.
    dirty: bool,
}

/// What a file held when it was opened.
pub(crate) struct Loaded {
    pub epoch: u64,
    /// No revision up to this one may be used again.
    pub head: u64,
    pub objects: Objects,
    pub ring: Ring,
}

/// What an append did.
pub(crate) struct Appended {
    pub flushed: bool,
    /// What keeping each entry in the history costs.
    pub bytes: Vec<usize>,
}

impl Log {
    /// Opens the file, and makes it when there is none.
    pub(crate) fn open(file: &Path, options: &Options) -> Result<(Log, Loaded), Error> {
        create::unless_exists(file).map_err(|source| Error::Open { file: file.to_owned(), source: Arc::new(source) })?;
        Log::open_on(Arc::new(FileDisk(file.to_owned())), options)
    }

    /// Opens what a disk holds.
    pub(crate) fn open_on(disk: Arc<dyn Disk>, options: &Options) -> Result<(Log, Loaded), Error> {
        load::open(disk, Limits::from(options))
    }

    /// Makes a log that is gone with the process.
    pub(crate) fn in_memory(epoch: u64, options: &Options) -> (Log, Loaded) {
        let (disk, limits) = (MemoryDisk, Limits::from(options));
        // Memory neither fails nor holds anything yet.
        let db = builder().create_with_backend(disk.open().expect("memory opens")).expect("redb starts on an empty memory");
        initialise(&db, epoch).expect("redb writes to memory");
        let log = Log {
            db: Some(db),
            disk: Arc::new(disk),
            prints: HashMap::new(),
            sum: 0,
            reserved: 0,
            history: Rows::new(limits),
            dirty: false,
        };
        (log, Loaded { epoch, head: 0, objects: BTreeMap::new(), ring: Ring::new(0, limits, []) })
    }

    pub(crate) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Writes entries in one redb transaction; flushes it when `durable`, or when the reserved revisions are used up.
    pub(crate) fn append(&mut self, entries: &[Entry], durable: bool) -> Result<Appended, redb::Error> {
        let revision = entries.last().map_or(0, |entry| entry.revision);
        let flushed = durable || revision >= self.reserved;
        let reserved = if revision >= self.reserved { (revision / BLOCK + 1) * BLOCK } else { self.reserved };
        let tx = self.begin(flushed)?;
        let mut changing = Changing { prints: HashMap::new(), sum: self.sum };
        let added = self.write_entries(&tx, &mut changing, entries)?;
        let surplus = self.history.surplus(&added);
        if surplus.last > 0 {
            changing.sum = changing.sum.wrapping_sub(history::remove(&tx, ..=surplus.last)?);
        }
        write_meta(&tx, &[(RESERVED_KEY, reserved), (SUM_KEY, changing.sum)])?;
        tx.commit()?;
        let bytes = added.iter().map(|(_, bytes)| *bytes).collect();
        self.history.changed(&surplus, added);
        self.keep(changing);
        (self.reserved, self.dirty) = (reserved, !flushed);
        Ok(Appended { flushed, bytes })
    }

    /// Writes entries, and returns the rows that the history gets.
    fn write_entries(
        &self,
        tx: &WriteTransaction,
        changing: &mut Changing,
        entries: &[Entry],
    ) -> Result<Vec<(u64, usize)>, redb::Error> {
        let (mut objects, mut history) = (tx.open_table(OBJECTS)?, tx.open_table(HISTORY)?);
        let mut added = Vec::with_capacity(entries.len());
        for entry in entries {
            let undo = changing.apply(&mut objects, &self.prints, &entry.rows)?;
            changing.sum = changing.sum.wrapping_add(undo.fingerprint(entry.revision));
            history.insert(entry.revision, undo.as_str())?;
            added.push((entry.revision, undo.bytes()));
        }
        Ok(added)
    }

    fn begin(&self, flush: bool) -> Result<WriteTransaction, redb::Error> {
        let mut tx = self.db.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?;
        tx.set_durability(if flush { Durability::Immediate } else { Durability::None })?;
        Ok(tx)
    }

    /// Remembers what a transaction that is committed changed.
    fn keep(&mut self, Changing { prints, sum }: Changing) {
        for (key, print) in prints {
            match print {
                Some(print) => self.prints.insert(key, print),
                None => self.prints.remove(&key),
            };
        }
        self.sum = sum;
    }

    /// Returns whether something was committed and not flushed.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Flushes what is not.
    pub(crate) fn flush(&mut self) -> Result<(), redb::Error> {
        if self.dirty {
            self.append(&[], true)?;
        }
        Ok(())
    }
}

/// What a redb transaction changes of the log's own knowledge, once it is committed.
struct Changing {
    prints: HashMap<Key, Option<u64>>,
    sum: u64,
}

impl Changing {
    /// Writes rows, and returns what they replaced.
    fn apply(
        &mut self,
        objects: &mut Table<'_, &'static str, &'static str>,
        before: &HashMap<Key, u64>,
        rows: &[(Key, Option<String>)],
    ) -> Result<Undo, redb::Error> {
        let mut undo = Undo::new();
        for (key, row) in rows {
            let id = row_key(key);
            let old = match row {
                Some(json) => objects.insert(id.as_str(), json.as_str())?,
                None => objects.remove(id.as_str())?,
            };
            undo.push(&id, old.as_ref().map(AccessGuard::value));
            self.note(key, before, row.as_ref().map(|json| fingerprint(&id, json)));
        }
        Ok(undo)
    }

    fn note(&mut self, key: &Key, before: &HashMap<Key, u64>, print: Option<u64>) {
        let old = match self.prints.insert(key.clone(), print) {
            Some(noted) => noted,
            None => before.get(key).copied(),
        };
        self.sum = self.sum.wrapping_sub(old.unwrap_or(0)).wrapping_add(print.unwrap_or(0));
    }
}

pub(crate) fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn initialise(db: &Database, epoch: u64) -> Result<(), redb::Error> {
    let tx = db.begin_write()?;
    tx.open_table(OBJECTS)?;
    tx.open_table(HISTORY)?;
    write_meta(&tx, &[(FORMAT_KEY, FORMAT), (EPOCH_KEY, epoch), (RESERVED_KEY, 0), (SUM_KEY, 0)])?;
    Ok(tx.commit()?)
}

fn write_meta(tx: &WriteTransaction, values: &[(&str, u64)]) -> Result<(), redb::Error> {
    let mut meta = tx.open_table(META)?;
    for (key, value) in values {
        meta.insert(key, value)?;
    }
    Ok(())
}

fn row_key(key: &Key) -> String {
    format!("{}/{}", key.kind, key.name)
}

fn fingerprint(id: &str, json: &str) -> u64 {
    spec::hash::number(&[id, json])
}

/// Returns 64 bits that no other call returns, from the operating system's randomness.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
