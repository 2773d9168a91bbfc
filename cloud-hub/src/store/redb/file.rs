//! The open file with what redb alone would not survive: damaged pages and a disk that failed once.
//!
//! redb panics on some damaged pages (8 of 46 zeroed pages, redb 4.4); here that is [`StoreError::Damaged`], and from
//! then on nothing is written. After an I/O error redb refuses everything until it is opened again; here it
//! is opened again at once, so that reads go on and a full disk heals by itself when there is space.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase};

use super::tables::{self, FORMAT, FORMAT_NOW, HEADS, LOGS, META, RECORDS, REVISION, damaged, failed};
use crate::store::StoreError;

/// Page cache of the store, in bytes (redb's default of 1 GiB is more than the hub has to offer).
const CACHE: usize = 32 << 20;

/// A redb database that can be opened again.
#[derive(Debug)]
pub(super) struct File {
    /// `None`: in memory.
    path: Option<PathBuf>,
    /// `None`: closed after an error; the next write tries to open it again.
    db: RwLock<Option<Database>>,
    damaged: AtomicBool,
}

impl File {
    /// Opens or makes the file at `path`, or an empty database in memory; answers it with its revision.
    pub(super) fn open(path: Option<&Path>) -> Result<(Self, u64), StoreError> {
        let (db, revision) = open(path)?;
        let path = path.map(Path::to_path_buf);
        Ok((Self { path, db: RwLock::new(Some(db)), damaged: AtomicBool::new(false) }, revision))
    }

    /// Runs `read` on the database.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let Some(db) = db.as_ref() else { return Err(not_open()) };
        guarded(|| read(db))
    }

    /// Runs `write` on the database. Only the writer's thread calls this.
    pub(super) fn write<T>(&self, write: impl FnOnce(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.damaged.load(Ordering::Relaxed) {
            return Err(damaged("a page of the file is not what was written"));
        }
        self.heal()?;
        let result = self.read(write);
        match &result {
            Err(StoreError::Damaged { .. }) => self.damaged.store(true, Ordering::Relaxed),
            Err(StoreError::Full | StoreError::Failed { .. }) => self.reopen(),
            Ok(_) | Err(_) => {}
        }
        result
    }

    /// Closes a file that had an I/O error and opens it again, so that reads go on; memory has no such errors. What
    /// fails here is tried again at the next write.
    fn reopen(&self) {
        if self.path.is_some() {
            *self.db.write().unwrap_or_else(PoisonError::into_inner) = None;
            let _later = self.heal();
        }
    }

    /// Opens the file again if it was closed.
    fn heal(&self) -> Result<(), StoreError> {
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if db.is_none() {
            *db = Some(open(self.path.as_deref())?.0);
        }
        Ok(())
    }
}

fn not_open() -> StoreError {
    let cause = io::Error::other("the file had an error and could not be opened again yet");
    StoreError::Failed { doing: "reading the store", source: Arc::new(cause) }
}

fn open(path: Option<&Path>) -> Result<(Database, u64), StoreError> {
    guarded(|| {
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE);
        let db = match path {
            Some(path) => builder.create(path),
            None => builder.create_with_backend(InMemoryBackend::new()),
        }
        .map_err(|error| failed("opening the store", error))?;
        let revision = prepare(&db)?;
        Ok((db, revision))
    })
}

/// Makes the tables of a new file; refuses the file of a newer hub. Answers the revision.
fn prepare(db: &Database) -> Result<u64, StoreError> {
    let opening = |error: redb::Error| failed("opening the store", error);
    let read = db.begin_read().map_err(|error| opening(error.into()))?;
    match read.open_table(META) {
        Ok(meta) => {
            let number = |key| meta.get(key).map(|found| found.map(|n| n.value())).map_err(|error| opening(error.into()));
            match number(FORMAT)? {
                Some(FORMAT_NOW) => Ok(number(REVISION)?.unwrap_or(0)),
                found => Err(tables::unknown_format(found)),
            }
        }
        Err(redb::TableError::TableDoesNotExist(_)) => create(db).map(|()| 0),
        Err(error) => Err(opening(error.into())),
    }
}

fn create(db: &Database) -> Result<(), StoreError> {
    let make = || -> Result<(), redb::Error> {
        let transaction = db.begin_write()?;
        transaction.open_table(META)?.insert(FORMAT, FORMAT_NOW)?;
        transaction.open_table(RECORDS)?;
        transaction.open_table(LOGS)?;
        transaction.open_table(HEADS)?;
        transaction.commit()?;
        Ok(())
    };
    make().map_err(|error| failed("making the store", error))
}

/// A panic inside redb is damage. What `work` borrows is behind redb's own locks, or thrown away with the answer.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let what = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(damaged(what.unwrap_or("redb stopped")))
    })
}
