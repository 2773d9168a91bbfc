//! The redb file: the records, how often they were written, the journal.
//!
//! redb panics when it reads a damaged page (measured: 8 of 46 pages), so callers run all of this in [`guard`].

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Change, JOURNAL_MAX, Kept, Records, StoreError};
use crate::private_file;
use crate::reserve::LacksRoom;

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const WRITES: TableDefinition<'_, (), u64> = TableDefinition::new("writes");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// redb's page cache. Records are held in memory anyway.
const CACHE: usize = 256 << 10;

/// An open file with what it holds.
pub struct Opened {
    pub db: Database,
    pub kept: Kept,
    /// The number of the next journal entry.
    pub next: u64,
}

/// Opens the file, or makes it.
pub fn open(path: &Path) -> Result<Opened, StoreError> {
    load(create(path)?)
}

/// A file that is none, and forgets everything when it is dropped.
pub fn in_memory() -> Result<Opened, StoreError> {
    load(Builder::new().create_with_backend(InMemoryBackend::new()).map_err(damaged)?)
}

fn create(path: &Path) -> Result<Database, StoreError> {
    Builder::new().set_cache_size(CACHE).create(path).map_err(damaged)
}

fn load(db: Database) -> Result<Opened, StoreError> {
    let begin = db.begin_write().map_err(damaged)?;
    let (kept, next) = {
        let table = begin.open_table(RECORDS).map_err(damaged)?;
        let rows = table.iter().map_err(damaged)?;
        let records = rows.map(|row| row.map(|(name, value)| (name.value().to_owned(), value.value().to_vec())));
        let records: Records = records.collect::<Result<_, _>>().map_err(damaged)?;
        let writes = begin.open_table(WRITES).map_err(damaged)?.get(()).map_err(damaged)?.map_or(0, |writes| writes.value());
        let journal = begin.open_table(JOURNAL).map_err(damaged)?;
        let last = journal.last().map_err(damaged)?.map(|(number, _)| number.value());
        (Kept { writes, records }, last.map_or(0, |last| last + 1))
    };
    begin.commit().map_err(damaged)?;
    Ok(Opened { db, kept, next })
}

/// A new file with the records of `kept`. The damaged one stays beside it for whoever wants to look; of several, the first.
pub fn rebuild(path: &Path, kept: &Kept) -> Result<Opened, StoreError> {
    let (new, aside) = (path.with_extension("redb.new"), path.with_extension("redb.damaged"));
    let failed = |doing| move |cause| StoreError::Io { doing, path: path.display().to_string(), cause };
    private_file::absent(fs::remove_file(&new)).map_err(failed("clearing"))?;
    let opened = guard(|| {
        let db = create(&new)?;
        write(&db, kept.writes, &Kept::default().changes_to(kept))?;
        load(db)
    })?;
    if path.exists() && !aside.exists() {
        fs::rename(path, &aside).map_err(failed("putting aside"))?;
    }
    fs::rename(&new, path).map_err(failed("replacing"))?;
    private_file::sync_parent(path).map_err(failed("syncing"))?;
    Ok(opened)
}

/// Makes all `changes`, or none, after at least so many writes before. How many there were then.
pub fn write(db: &Database, before: u64, changes: &[Change]) -> Result<u64, StoreError> {
    let begin = db.begin_write().map_err(damaged)?;
    let writes = {
        let mut table = begin.open_table(RECORDS).map_err(damaged)?;
        for (name, value) in changes {
            match value {
                Some(value) => drop(table.insert(name.as_str(), value.as_slice()).map_err(damaged)?),
                None => drop(table.remove(name.as_str()).map_err(damaged)?),
            }
        }
        let mut table = begin.open_table(WRITES).map_err(damaged)?;
        let written = table.get(()).map_err(damaged)?.map_or(0, |writes| writes.value());
        let writes = written.max(before).saturating_add(1);
        table.insert((), writes).map_err(damaged)?;
        writes
    };
    begin.commit().map_err(damaged)?;
    Ok(writes)
}

/// Adds these rows to the journal, and forgets the oldest that are too many.
pub fn append(db: &Database, rows: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
    let begin = db.begin_write().map_err(damaged)?;
    {
        let mut table = begin.open_table(JOURNAL).map_err(damaged)?;
        for (number, entry) in rows {
            table.insert(number, entry.as_slice()).map_err(damaged)?;
        }
        let end = rows.last().map_or(0, |(number, _)| number + 1);
        table.retain_in(..end.saturating_sub(JOURNAL_MAX), |_, _| false).map_err(damaged)?;
    }
    begin.commit().map_err(damaged)
}

/// Up to `limit` rows of the journal from number `from` on.
pub fn journal(db: &Database, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let table = db.begin_read().map_err(damaged)?.open_table(JOURNAL).map_err(damaged)?;
    let rows = table.range(from..).map_err(damaged)?.take(limit);
    rows.map(|row| row.map(|(number, entry)| (number.value(), entry.value().to_vec())).map_err(damaged)).collect()
}

/// Runs `work` and makes an error of a panic inside redb.
pub fn guard<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(StoreError::Damaged(text.unwrap_or_else(|| "panic while reading".into())))
    })
}

fn damaged(error: impl Into<redb::Error>) -> StoreError {
    let error = error.into();
    if let redb::Error::Io(cause) = &error
        && cause.lacks_room()
    {
        return StoreError::Full("state.redb".into());
    }
    StoreError::Damaged(error.to_string())
}
