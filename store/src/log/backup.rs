//! Files that are no store in use.

use std::fs::File;

use redb::WriteTransaction;

use super::{
    BACKUP_KEY, EPOCH_KEY, FORMAT, FORMAT_KEY, HISTORY, OBJECTS, RESERVED_KEY, SUM_KEY, builder, fingerprint, load, row_key,
    write_meta,
};
use crate::apply::encode;
use crate::backup::Checked;
use crate::disk::Disk;
use crate::ring::Limits;
use crate::{Cursor, Error, Options, Snapshot};

/// Writes a backup to an empty file, and flushes it.
pub(crate) fn write_backup(file: File, snapshot: &Snapshot) -> Result<(), redb::Error> {
    let mut db = builder().create_file(file)?;
    let tx = db.begin_write()?;
    let sum = write_objects(&tx, snapshot)?;
    tx.open_table(HISTORY)?;
    let Cursor { epoch, revision } = snapshot.cursor;
    let meta = [(FORMAT_KEY, FORMAT), (EPOCH_KEY, epoch), (RESERVED_KEY, revision), (SUM_KEY, sum), (BACKUP_KEY, 1)];
    write_meta(&tx, &meta)?;
    tx.commit()?;
    // Room for growth is of no use in a copy.
    db.compact()?;
    Ok(())
}

fn write_objects(tx: &WriteTransaction, snapshot: &Snapshot) -> Result<u64, redb::Error> {
    let mut table = tx.open_table(OBJECTS)?;
    let mut sum: u64 = 0;
    for object in &snapshot.objects {
        // It was encoded when it was committed, so it is not too large.
        let (id, json) = (row_key(&object.key), encode(object).expect("an object of the store has a JSON form"));
        table.insert(id.as_str(), json.as_str())?;
        sum = sum.wrapping_add(fingerprint(&id, &json));
    }
    Ok(sum)
}

/// Checks all that a disk holds.
pub(crate) fn check(disk: &dyn Disk) -> Result<Checked, Error> {
    let everything = Limits::from(&Options { history_revisions: usize::MAX, history_bytes: usize::MAX, ..Options::default() });
    load::check(disk, everything)
}
