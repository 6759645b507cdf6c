//! Reading the file, once, and trusting none of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable};
use spec::{Key, Object};

use super::{
    EPOCH_KEY, FORMAT, FORMAT_KEY, Loaded, Log, META, OBJECTS, Objects, RESERVED_KEY, SUM_KEY, builder, fingerprint, row_key,
};
use crate::Error;
use crate::error::is_full;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Meta {
    epoch: u64,
    reserved: u64,
    sum: u64,
}

#[derive(PartialEq)]
struct Contents {
    meta: Meta,
    prints: HashMap<Key, u64>,
    objects: Objects,
}

/// Opens a file that exists, and checks all of it.
pub(super) fn open(file: &Path) -> Result<(Log, Loaded), Error> {
    // redb trusts what it reads between its own checks, so a damaged page can make it panic.
    catch_unwind(AssertUnwindSafe(|| open_checked(file)))
        .unwrap_or_else(|_| Err(damaged(file, "its pages contradict each other")))
}

fn open_checked(file: &Path) -> Result<(Log, Loaded), Error> {
    let mut db = builder().open(file).map_err(|error| refused(file, error))?;
    let contents = read(&db, file)?;
    // Rows have their own sum; this is for the pages that writing will build on.
    if !db.check_integrity().map_err(|error| refused(file, error))? {
        tracing::warn!(file = %file.display(), "the store's free pages were in disorder and were put right");
        if read(&db, file)? != contents {
            return Err(damaged(file, "its latest changes are lost"));
        }
    }
    let Contents { meta, prints, objects } = contents;
    let log = Log { db: Some(db), file: Some(file.to_owned()), prints, sum: meta.sum, reserved: meta.reserved, dirty: false };
    Ok((log, Loaded { epoch: meta.epoch, head: meta.reserved, objects }))
}

fn read(db: &Database, file: &Path) -> Result<Contents, Error> {
    let tx = db.begin_read().map_err(|error| unreadable(file, error))?;
    let meta = read_meta(&tx, file)?;
    let (mut prints, mut objects) = (HashMap::new(), BTreeMap::new());
    let table = tx.open_table(OBJECTS).map_err(|error| unreadable(file, error))?;
    for row in table.iter().map_err(|error| unreadable(file, error))? {
        let (id, json) = row.map_err(|error| unreadable(file, error))?;
        let object = read_object(id.value(), json.value(), meta).map_err(|detail| damaged(file, detail))?;
        prints.insert(object.key.clone(), fingerprint(id.value(), json.value()));
        objects.insert(object.key.clone(), Arc::new(object));
    }
    if prints.values().fold(0, |sum: u64, print| sum.wrapping_add(*print)) != meta.sum {
        return Err(damaged(file, "the sum over its objects is wrong"));
    }
    Ok(Contents { meta, prints, objects })
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
    let read = |key: &str| match table.get(key) {
        Ok(Some(value)) => Ok(value.value()),
        Ok(None) => Err(damaged(file, format!("it has no `{key}`"))),
        Err(error) => Err(unreadable(file, error)),
    };
    let found = read(FORMAT_KEY)?;
    if found > FORMAT {
        return Err(Error::Newer { file: file.to_owned(), found });
    }
    Ok(Meta { epoch: read(EPOCH_KEY)?, reserved: read(RESERVED_KEY)?, sum: read(SUM_KEY)? })
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
