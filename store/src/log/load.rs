//! Reading the file, once, and trusting none of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable};
use spec::{Key, Object};

use super::history::{History, Unread};
use super::{
    BACKUP_KEY, BLOCK, EPOCH_KEY, FORMAT, FORMAT_KEY, HISTORY, Loaded, Log, META, OBJECTS, Objects, RESERVED_KEY, SUM_KEY,
    builder, fingerprint, initialise, random, row_key, write_meta,
};
use crate::backup::Checked;
use crate::disk::Disk;
use crate::error::is_full;
use crate::ring::{Limits, Ring};
use crate::{Cursor, Error};

#[derive(Clone, Copy, PartialEq, Eq)]
struct Meta {
    format: u64,
    epoch: u64,
    reserved: u64,
    sum: u64,
    is_backup: bool,
}

struct Contents {
    meta: Meta,
    prints: HashMap<Key, u64>,
    objects: Objects,
    history: History,
}

/// Opens what a disk holds, and checks all of it.
pub(super) fn open(disk: Arc<dyn Disk>, limits: Limits) -> Result<(Log, Loaded), Error> {
    let file = disk.path().to_owned();
    let (db, Contents { meta, prints, objects, history }) = guarded(&file, || {
        let (db, mut contents) = open_checked(&*disk, limits)?;
        if contents.meta.format < FORMAT || contents.meta.is_backup {
            contents.meta = upgrade(&db, contents.meta).map_err(|error| unreadable(&file, error))?;
        }
        Ok((db, contents))
    })?;
    let ring = Ring::new(history.base.unwrap_or(meta.reserved), limits, history.batches);
    let (sum, reserved, history) = (meta.sum, meta.reserved, history.rows);
    let log = Log { db: Some(db), disk, prints, sum, reserved, history, dirty: false };
    Ok((log, Loaded { epoch: meta.epoch, head: meta.reserved, objects, ring }))
}

/// Checks all of what a disk holds, and leaves it as it is.
pub(super) fn check(disk: &dyn Disk, limits: Limits) -> Result<Checked, Error> {
    let (_, Contents { meta, objects, history, .. }) = guarded(disk.path(), || open_checked(disk, limits))?;
    let last = history.batches.back().map(|kept| kept.batch.cursor);
    Ok(Checked {
        format: meta.format,
        is_backup: meta.is_backup,
        objects: objects.len(),
        history: history.batches.len(),
        head: last.unwrap_or(Cursor { epoch: meta.epoch, revision: meta.reserved }),
    })
}

/// Makes a refusal of a panic: redb trusts what it reads between its own checks, so a damaged page can make it panic.
fn guarded<T>(file: &Path, open: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|_| Err(damaged(file, "its pages contradict each other")))
}

fn open_checked(disk: &dyn Disk, limits: Limits) -> Result<(Database, Contents), Error> {
    let file = disk.path();
    let mut db = database(disk)?;
    let contents = read(&db, file, limits)?;
    // Rows have their own sum; this is for the pages that writing will build on.
    if !db.check_integrity().map_err(|error| refused(file, error))? {
        tracing::warn!(file = %file.display(), "the store's free pages were in disorder and were put right");
        let again = read(&db, file, limits)?;
        if (again.meta, &again.objects) != (contents.meta, &contents.objects) {
            return Err(damaged(file, "its latest changes are lost"));
        }
    }
    Ok((db, contents))
}

fn database(disk: &dyn Disk) -> Result<Database, Error> {
    let file = disk.path();
    let backend = disk.open().map_err(|error| unreadable(file, redb::Error::Io(error)))?;
    let is_new = redb::StorageBackend::len(&backend).map_err(|error| unreadable(file, redb::Error::Io(error)))? == 0;
    let db = builder().create_with_backend(backend).map_err(|error| refused(file, error))?;
    if is_new {
        initialise(&db, random()).map_err(|error| unreadable(file, error))?;
    }
    Ok(db)
}

/// Makes a file of an earlier format one of this, and a backup a store of its own.
fn upgrade(db: &Database, meta: Meta) -> Result<Meta, redb::Error> {
    let upgraded = Meta {
        format: FORMAT,
        // What comes after a backup is another history than what came after it before.
        epoch: if meta.is_backup { random() } else { meta.epoch },
        // Format 1 showed the last revision reserved before it was flushed.
        reserved: meta.reserved + BLOCK,
        is_backup: false,
        ..meta
    };
    let tx = db.begin_write()?;
    tx.open_table(HISTORY)?;
    write_meta(&tx, &[(FORMAT_KEY, FORMAT), (EPOCH_KEY, upgraded.epoch), (RESERVED_KEY, upgraded.reserved)])?;
    tx.open_table(META)?.remove(BACKUP_KEY)?;
    tx.commit()?;
    Ok(upgraded)
}

fn read(db: &Database, file: &Path, limits: Limits) -> Result<Contents, Error> {
    let tx = db.begin_read().map_err(|error| unreadable(file, error))?;
    let meta = read_meta(&tx, file)?;
    let (prints, objects) = read_objects(&tx, file, meta)?;
    let history = if meta.format == 1 { Ok(History::empty(limits)) } else { History::read(&tx, meta.epoch, &objects, limits) };
    let history = history.map_err(|error| match error {
        Unread::Redb(error) => unreadable(file, error),
        Unread::Wrong(detail) => damaged(file, detail),
    })?;
    let sum = prints.values().fold(history.sum, |sum: u64, print| sum.wrapping_add(*print));
    if sum != meta.sum {
        return Err(damaged(file, "the sum over its rows is wrong"));
    }
    Ok(Contents { meta, prints, objects, history })
}

fn read_objects(tx: &ReadTransaction, file: &Path, meta: Meta) -> Result<(HashMap<Key, u64>, Objects), Error> {
    let (mut prints, mut objects) = (HashMap::new(), BTreeMap::new());
    let table = tx.open_table(OBJECTS).map_err(|error| unreadable(file, error))?;
    for row in table.iter().map_err(|error| unreadable(file, error))? {
        let (id, json) = row.map_err(|error| unreadable(file, error))?;
        let object = read_object(id.value(), json.value(), meta).map_err(|detail| damaged(file, detail))?;
        prints.insert(object.key.clone(), fingerprint(id.value(), json.value()));
        objects.insert(object.key.clone(), Arc::new(object));
    }
    Ok((prints, objects))
}

fn read_object(id: &str, json: &str, meta: Meta) -> Result<Object, String> {
    let object: Object = serde_json::from_str(json).map_err(|error| format!("{id}: {error}"))?;
    if row_key(&object.key) == id && object.revision <= meta.reserved {
        Ok(object)
    } else {
        Err(format!("{id} does not belong there"))
    }
}

fn read_meta(tx: &ReadTransaction, file: &Path) -> Result<Meta, Error> {
    let table = tx.open_table(META).map_err(|error| unreadable(file, error))?;
    let find = |key: &str| match table.get(key) {
        Ok(found) => Ok(found.map(|value| value.value())),
        Err(error) => Err(unreadable(file, error)),
    };
    let read = |key: &str| find(key)?.ok_or_else(|| damaged(file, format!("it has no `{key}`")));
    let format = read(FORMAT_KEY)?;
    if format > FORMAT {
        return Err(Error::Newer { file: file.to_owned(), found: format });
    }
    let is_backup = find(BACKUP_KEY)?.is_some();
    Ok(Meta { format, epoch: read(EPOCH_KEY)?, reserved: read(RESERVED_KEY)?, sum: read(SUM_KEY)?, is_backup })
}

fn refused(file: &Path, error: DatabaseError) -> Error {
    match error {
        DatabaseError::DatabaseAlreadyOpen => Error::Held { file: file.to_owned() },
        error => unreadable(file, error),
    }
}

/// Tells a file that cannot be read from one that holds the wrong bytes.
fn unreadable(file: &Path, error: impl Into<redb::Error>) -> Error {
    match error.into() {
        redb::Error::Io(source) if is_full(&source) => Error::Full,
        redb::Error::Io(source) if source.kind() == io::ErrorKind::ResourceBusy => Error::Held { file: file.to_owned() },
        redb::Error::Io(source) if !is_content(&source) => Error::Open { file: file.to_owned(), source: Arc::new(source) },
        error => damaged(file, error),
    }
}

fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn damaged(file: &Path, detail: impl std::fmt::Display) -> Error {
    Error::Damaged { file: file.to_owned(), detail: detail.to_string() }
}
