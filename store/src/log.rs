//! The file: redb as the log of truth, read once and then only written.
//!
//! Table `objects` maps `kind/name` to the object's JSON. Table `meta` holds the format, the epoch, how far revisions are
//! reserved, and a sum over all rows, which shows rows that were changed or lost by anything but the store.

mod create;
mod load;

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{Database, Durability, TableDefinition, WriteTransaction};
use spec::{Key, Object};

use crate::Error;
use crate::apply::encode;

/// Format of the file that this version writes; it reads this and all before.
pub(crate) const FORMAT: u64 = 1;

/// Revisions reserved at a time: a flush of nothing but the reservation is then rare, and a crash wastes numbers nobody misses.
const BLOCK: u64 = 1024;

/// What redb may cache; objects are read once, so only its tree's upper pages matter.
const CACHE_BYTES: usize = 16 << 20;

const OBJECTS: TableDefinition<'_, &str, &str> = TableDefinition::new("objects");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const FORMAT_KEY: &str = "format";
const EPOCH_KEY: &str = "epoch";
const RESERVED_KEY: &str = "reserved";
const SUM_KEY: &str = "sum";

pub(crate) type Objects = BTreeMap<Key, Arc<Object>>;

/// JSON by key; `None` takes the row away.
pub(crate) type Rows = BTreeMap<Key, Option<String>>;

/// An open file, and what is needed to write on.
pub(crate) struct Log {
    /// `None` only while it could not be opened again.
    db: Option<Database>,
    /// `None` for memory.
    file: Option<PathBuf>,
    /// Fingerprint of each row.
    prints: HashMap<Key, u64>,
    /// Sum of `prints`.
    sum: u64,
    reserved: u64,
    /// Something was committed and not flushed.
    dirty: bool,
}

/// What a file held when it was opened.
pub(crate) struct Loaded {
    pub epoch: u64,
    /// No revision up to this one may be used again.
    pub head: u64,
    pub objects: Objects,
}

impl Log {
    /// Opens the file, and makes it when there is none.
    pub(crate) fn open(file: &Path) -> Result<(Log, Loaded), Error> {
        create::unless_exists(file).map_err(|source| Error::Open { file: file.to_owned(), source: Arc::new(source) })?;
        load::open(file)
    }

    /// Makes a log that is gone with the process.
    pub(crate) fn in_memory(epoch: u64) -> (Log, Loaded) {
        // Memory neither fails nor holds anything yet.
        let db = builder().create_with_backend(InMemoryBackend::new()).expect("redb starts on an empty memory");
        initialise(&db, epoch).expect("redb writes to memory");
        let log = Log { db: Some(db), file: None, prints: HashMap::new(), sum: 0, reserved: 0, dirty: false };
        (log, Loaded { epoch, head: 0, objects: BTreeMap::new() })
    }

    /// Writes rows in one redb transaction, for transactions up to `revision`; flushes it when `durable`, or when the reserved
    /// revisions are used up. Returns whether it was flushed.
    pub(crate) fn append(&mut self, rows: &Rows, revision: u64, durable: bool) -> Result<bool, redb::Error> {
        let flush = durable || revision > self.reserved;
        let reserved = if revision > self.reserved { (revision / BLOCK + 1) * BLOCK } else { self.reserved };
        let prints: Vec<_> =
            rows.iter().map(|(key, row)| (key, row.as_ref().map(|json| fingerprint(&row_key(key), json)))).collect();
        let sum = self.sum_with(&prints);
        let mut tx = self.db.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_write()?;
        tx.set_durability(if flush { Durability::Immediate } else { Durability::None })?;
        write_rows(&tx, rows)?;
        write_meta(&tx, &[(RESERVED_KEY, reserved), (SUM_KEY, sum)])?;
        tx.commit()?;
        for (key, print) in prints {
            match print {
                Some(print) => self.prints.insert(key.clone(), print),
                None => self.prints.remove(key),
            };
        }
        (self.sum, self.reserved, self.dirty) = (sum, reserved, !flush);
        Ok(flush)
    }

    fn sum_with(&self, prints: &[(&Key, Option<u64>)]) -> u64 {
        prints.iter().fold(self.sum, |sum, (key, new)| {
            let old = self.prints.get(key).copied().unwrap_or(0);
            sum.wrapping_sub(old).wrapping_add(new.unwrap_or(0))
        })
    }

    /// Returns whether something was committed and not flushed.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Flushes what is not.
    pub(crate) fn flush(&mut self) -> Result<(), redb::Error> {
        if self.dirty {
            self.append(&Rows::new(), self.reserved, true)?;
        }
        Ok(())
    }

    /// Opens the file anew after a failed write and makes it hold `objects`: what was acknowledged, and nothing of what failed.
    pub(crate) fn recover(&mut self, objects: &Objects, head: u64) -> Result<(), Error> {
        let Some(file) = self.file.clone() else { return Err(Error::Closed) };
        // redb goes on refusing after an error, and holds the lock on the file.
        self.db = None;
        let (log, loaded) = load::open(&file)?;
        *self = log;
        self.append(&difference(&loaded.objects, objects)?, head, true)?;
        Ok(())
    }
}

/// Returns the rows that turn `from` into `to`.
fn difference(from: &Objects, to: &Objects) -> Result<Rows, Error> {
    let extra = from.keys().filter(|key| !to.contains_key(key));
    let mut rows: Rows = extra.map(|key| (key.clone(), None)).collect();
    for (key, object) in to.iter().filter(|(key, object)| from.get(key) != Some(object)) {
        rows.insert(key.clone(), Some(encode(object)?));
    }
    Ok(rows)
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn initialise(db: &Database, epoch: u64) -> Result<(), redb::Error> {
    let tx = db.begin_write()?;
    write_rows(&tx, &Rows::new())?;
    write_meta(&tx, &[(FORMAT_KEY, FORMAT), (EPOCH_KEY, epoch), (RESERVED_KEY, 0), (SUM_KEY, 0)])?;
    Ok(tx.commit()?)
}

fn write_rows(tx: &WriteTransaction, rows: &Rows) -> Result<(), redb::Error> {
    let mut objects = tx.open_table(OBJECTS)?;
    for (key, row) in rows {
        let id = row_key(key);
        match row {
            Some(json) => drop(objects.insert(id.as_str(), json.as_str())?),
            None => drop(objects.remove(id.as_str())?),
        }
    }
    Ok(())
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
