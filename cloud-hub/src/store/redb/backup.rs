//! A redb store to a backup file and back.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableTable, WriteTransaction};

use super::tables::{self, FORMAT, FORMAT_NOW, HEADS, LOGS, META, RECORDS, REVISION, failed};
use crate::store::StoreError;
use crate::store::backup::{Item, Reader, Writer};

/// Writes the snapshot to `path`, which appears whole or not at all.
pub(super) fn export(snapshot: &ReadTransaction, path: &Path) -> Result<(), StoreError> {
    let temporary = path.with_extension("writing");
    let write = || -> Result<(), StoreError> {
        let file = File::create(&temporary).map_err(writing)?;
        let mut writer = Writer::new(BufWriter::new(file)).map_err(writing)?;
        each_item(snapshot, |item| writer.item(&item).map_err(writing))?;
        let file = writer.finish().map_err(writing)?.into_inner().map_err(|error| writing(error.into_error()))?;
        file.sync_all().map_err(writing)?;
        publish(&temporary, path).map_err(writing)
    };
    write().inspect_err(|_| drop(fs::remove_file(&temporary)))
}

/// Makes a new store at `path` from a backup; `path` appears whole or not at all, and must not exist.
pub(super) fn import(backup: &Path, path: &Path) -> Result<(), StoreError> {
    if path.exists() {
        return Err(reading(io::Error::new(io::ErrorKind::AlreadyExists, format!("{} exists", path.display()))));
    }
    let temporary = path.with_extension("writing");
    let read = || -> Result<(), StoreError> {
        let file = File::open(backup).map_err(reading)?;
        let mut reader = Reader::new(BufReader::new(file)).map_err(reading)?;
        let db = Database::create(&temporary).map_err(|error| failed("making the store", error))?;
        let transaction = db.begin_write().map_err(|error| failed("making the store", error))?;
        fill(&transaction, &mut reader)?;
        transaction.commit().map_err(|error| failed("making the store", error))?;
        drop(db);
        publish(&temporary, path).map_err(reading)
    };
    let _left_over = fs::remove_file(&temporary);
    read().inspect_err(|_| drop(fs::remove_file(&temporary)))
}

fn each_item(snapshot: &ReadTransaction, mut item: impl FnMut(Item) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let open = |error: redb::TableError| failed("reading the store", error);
    let read = |error: redb::StorageError| failed("reading the store", error);
    let revision = snapshot.open_table(META).map_err(open)?.get(REVISION).map_err(read)?;
    item(Item::Revision(revision.map_or(0, |revision| revision.value())))?;
    for row in snapshot.open_table(RECORDS).map_err(open)?.iter().map_err(read)? {
        let (key, bytes) = row.map_err(read)?;
        let record = tables::record_from_bytes(key.value(), bytes.value())?;
        item(Item::Record { key: key.value().into(), revision: record.revision, value: record.value })?;
    }
    let logs = snapshot.open_table(LOGS).map_err(open)?;
    for row in snapshot.open_table(HEADS).map_err(open)?.iter().map_err(read)? {
        let (log, head) = row.map_err(read)?;
        let (log, (first, next)) = (log.value(), head.value());
        item(Item::Log { log: log.into(), first, next })?;
        for row in logs.range((log, first)..(log, next)).map_err(read)? {
            let (key, bytes) = row.map_err(read)?;
            let (_, number) = key.value();
            item(Item::Entry { log: log.into(), number, entry: tables::entry_from_bytes(log, number, bytes.value())? })?;
        }
    }
    Ok(())
}

fn fill(transaction: &WriteTransaction, reader: &mut Reader<impl io::Read>) -> Result<(), StoreError> {
    let open = |error: redb::TableError| failed("making the store", error);
    let write = |error: redb::StorageError| failed("making the store", error);
    let mut meta = transaction.open_table(META).map_err(open)?;
    let mut records = transaction.open_table(RECORDS).map_err(open)?;
    let mut logs = transaction.open_table(LOGS).map_err(open)?;
    let mut heads = transaction.open_table(HEADS).map_err(open)?;
    meta.insert(FORMAT, FORMAT_NOW).map_err(write)?;
    while let Some(item) = reader.next().map_err(reading)? {
        match item {
            Item::Revision(revision) => meta.insert(REVISION, revision).map(drop),
            Item::Record { key, revision, value } => {
                records.insert(key.as_str(), tables::record_to_bytes(revision, &value).as_slice()).map(drop)
            }
            Item::Log { log, first, next } => heads.insert(log.as_str(), (first, next)).map(drop),
            Item::Entry { log, number, entry } => {
                logs.insert((log.as_str(), number), tables::entry_to_bytes(&entry).as_slice()).map(drop)
            }
            Item::End { .. } => Ok(()),
        }
        .map_err(write)?;
    }
    Ok(())
}

/// Gives a synced file its name, durably.
fn publish(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

fn writing(source: io::Error) -> StoreError {
    if tables::is_full(&source) {
        return StoreError::Full;
    }
    StoreError::Failed { doing: "writing the backup", source: Arc::new(source) }
}

fn reading(source: io::Error) -> StoreError {
    StoreError::Failed { doing: "reading the backup", source: Arc::new(source) }
}
