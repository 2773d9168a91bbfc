//! The node's memory: one redb file, and a second copy of everything that matters.
//!
//! ```text
//! records: name → bytes   what was accepted, releases, memory of apps, overrides   (small; held in memory too)
//! journal: number → bytes what happened, in order, without gaps
//! ```
//!
//! Every change of records is one transaction; when [`Store::write`] returns, no kill and no power cut takes it back. After
//! that the records are also written to `records.copy` (temporary file, fsync, rename, fsync of the directory), with a
//! checksum. Each transaction is counted in both, so that of file, copy and memory the one that fell behind is known: a disk
//! that lies may bring back an older file that is sound in itself.
//!
//! redb does nothing more with a file that failed once: it is opened again before it is used next, because a full disk damages
//! nothing. Only one that stays unreadable, or fell behind, is put aside and made anew, from the records in memory, or at start
//! from the copy; a write that it has although it was refused is undone. What finds no room is given some of the [`Reserve`]; a
//! copy that cannot be written even so is written with the next change, or when [`Held`](crate::held::Held) hears of room.

mod copy;
mod file;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use file::{Opened, guard};
use redb::Database;
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, node};

use crate::private_file::PrivateFileError;
use crate::reserve::{LacksRoom, Reserve};

/// File of the records and the journal within the directory.
const FILE: &str = "state.redb";
/// File of the second copy.
const COPY: &str = "records.copy";
/// Most journal entries that are kept; the oldest go first, and their numbers tell what is missing.
pub const JOURNAL_MAX: u64 = 10_000;

/// Small records by name.
pub type Records = BTreeMap<String, Vec<u8>>;

/// A change of one record; `None` removes it.
pub type Change = (String, Option<Vec<u8>>);

/// The records after so many writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    writes: u64,
    records: Records,
}

impl Kept {
    /// Whether this is later than the other. Before writes were counted, one without records was one that was lost.
    fn is_after(&self, other: &Self) -> bool {
        (self.writes, !self.records.is_empty()) > (other.writes, !other.records.is_empty())
    }

    /// What makes the records of `to` of these.
    fn changes_to(&self, to: &Self) -> Vec<Change> {
        let set = to.records.iter().filter(|(name, value)| self.records.get(*name) != Some(value));
        let gone = self.records.keys().filter(|name| !to.records.contains_key(*name));
        set.map(|(name, value)| (name.clone(), Some(value.clone()))).chain(gone.map(|name| (name.clone(), None))).collect()
    }
}

/// The node's memory. All calls are short and block; a write waits for the disk.
pub struct Store {
    inner: Mutex<Inner>,
    dir: Option<PathBuf>,
    reserve: Reserve,
}

struct Inner {
    db: Option<Database>,
    kept: Kept,
    /// The number of the next journal entry.
    next: u64,
    /// The copy does not have what is kept.
    copy_is_stale: bool,
    /// Entries were lost with a damaged file, and nobody knows how many.
    journal_is_lost: bool,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full.
    #[error("no space left for the node's state in {0}")]
    Full(String),
    /// The system refused.
    #[error("{doing} {path}: {cause}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: String,
        /// The cause.
        cause: std::io::Error,
    },
    /// The file is damaged, or the disk failed.
    #[error("the node's state file: {0}")]
    Damaged(String),
}

impl Faulty for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Full(path) => Fault::new(&node::STATE_DISK_FULL).with("path", path),
            Self::Io { doing, path, cause } => {
                Fault::new(&node::STATE_FAILED).with("cause", format_args!("{doing} {path}: {cause}"))
            }
            Self::Damaged(cause) => Fault::new(&node::STATE_FAILED).with("cause", cause),
        }
    }
}

impl LacksRoom for StoreError {
    fn lacks_room(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl From<PrivateFileError> for StoreError {
    fn from(error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Io { path, cause, .. } if cause.lacks_room() => Self::Full(path),
            PrivateFileError::Io { doing, path, cause } => Self::Io { doing, path, cause },
            other @ (PrivateFileError::Exposed { .. } | PrivateFileError::TooLarge { .. }) => Self::Damaged(other.to_string()),
        }
    }
}

impl Store {
    /// Opens or makes the store in `dir`, with `reserve` for when the disk is full. The fault says what was found damaged
    /// and repaired.
    pub fn open(dir: &Path, reserve: Reserve) -> Result<(Self, Option<Fault>), StoreError> {
        let (inner, repaired) = reserve.lend(|| Inner::open(dir))?;
        Ok((Self { inner: Mutex::new(inner), dir: Some(dir.into()), reserve }, repaired))
    }

    /// A store that forgets everything when it is dropped: for the simulation.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self { inner: Mutex::new(file::in_memory()?.into()), dir: None, reserve: Reserve::none() })
    }

    /// All records.
    pub fn records(&self) -> Records {
        self.lock().kept.records.clone()
    }

    /// One record.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().kept.records.get(name).cloned()
    }

    /// Makes all `changes` durable, or none. Without any, the copy catches up.
    pub fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let mut records = inner.kept.records.clone();
        for (name, value) in &changes {
            match value {
                Some(value) => drop(records.insert(name.clone(), value.clone())),
                None => drop(records.remove(name)),
            }
        }
        if records != inner.kept.records {
            let before = inner.kept.writes;
            let writes = self.with_file(&mut inner, |db| file::write(db, before, &changes))?;
            inner.kept = Kept { writes, records };
            inner.copy_is_stale = true;
        }
        if let Some(dir) = self.dir.as_ref().filter(|_| inner.copy_is_stale) {
            match self.reserve.lend(|| copy::write(&dir.join(COPY), &inner.kept)) {
                Ok(()) => inner.copy_is_stale = false,
                // The file has the change: nobody may hear that it was not made.
                Err(error) => tracing::warn!(%error, "the second copy of the node's state was not written; it follows later"),
            }
        }
        Ok(())
    }

    /// Adds entries to the journal and makes them durable. `make` gets each entry's number.
    pub fn append(&self, entries: usize, mut make: impl FnMut(usize, u64) -> Vec<u8>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let first = inner.next;
        let rows: Vec<(u64, Vec<u8>)> = (first..).zip(0..entries).map(|(number, index)| (number, make(index, number))).collect();
        self.with_file(&mut inner, |db| file::append(db, &rows))?;
        inner.next = first + rows.len() as u64;
        Ok(())
    }

    /// Up to `limit` journal entries from number `from` on.
    pub fn journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.with_file(&mut self.lock(), |db| file::journal(db, from, limit))
    }

    /// The number the next journal entry will get.
    pub fn next_entry(&self) -> u64 {
        self.lock().next
    }

    /// After the journal was lost with a damaged file: the next entry gets a number of at least `number`. Otherwise nothing.
    pub fn skip_lost_entries(&self, number: u64) {
        let mut inner = self.lock();
        if std::mem::take(&mut inner.journal_is_lost) {
            inner.next = inner.next.max(number);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` on the file. One that fails is opened again before it is used next.
    fn with_file<T>(&self, inner: &mut Inner, work: impl Fn(&Database) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.reserve.lend(|| {
            let db = self.database(inner)?;
            let done = guard(|| work(db));
            if let (Err(error), Some(_)) = (&done, &self.dir) {
                tracing::warn!(%error, "the state file failed; it is opened again");
                inner.db = None;
            }
            done
        })
    }

    /// The file, opened again if it failed. If it stays unreadable it is made anew from the records in memory; then the
    /// journal's numbers go on, and its lost entries show as a gap.
    fn database<'i>(&self, inner: &'i mut Inner) -> Result<&'i Database, StoreError> {
        if let (None, Some(dir)) = (&inner.db, &self.dir) {
            let path = dir.join(FILE);
            let again = guard(|| file::open(&path)?.that_has(&inner.kept));
            let again = match again {
                Err(StoreError::Damaged(cause)) => {
                    tracing::warn!(%cause, "the state file is damaged; making it anew");
                    file::rebuild(&path, &inner.kept)
                }
                other => other,
            };
            let Opened { db, kept, next } = again?;
            (inner.db, inner.kept, inner.next, inner.copy_is_stale) = (Some(db), kept, inner.next.max(next), true);
        }
        inner.db.as_ref().ok_or_else(|| StoreError::Damaged("there is none".into()))
    }
}

impl Opened {
    /// The file with these records, which are what was acknowledged. One that fell behind them is as bad as a damaged one. One
    /// that is ahead has a write whose end was not heard of and that was refused: it is undone.
    fn that_has(self, kept: &Kept) -> Result<Self, StoreError> {
        if kept.is_after(&self.kept) {
            return Err(StoreError::Damaged("it fell behind".into()));
        }
        let undo = self.kept.changes_to(kept);
        if undo.is_empty() {
            return Ok(self);
        }
        let writes = file::write(&self.db, 0, &undo)?;
        Ok(Self { kept: Kept { writes, records: kept.records.clone() }, ..self })
    }
}

impl From<Opened> for Inner {
    fn from(opened: Opened) -> Self {
        let Opened { db, kept, next } = opened;
        Self { db: Some(db), kept, next, copy_is_stale: true, journal_is_lost: false }
    }
}

impl Inner {
    /// Opens or makes the store in `dir`. The fault says what was found damaged and repaired.
    fn open(dir: &Path) -> Result<(Self, Option<Fault>), StoreError> {
        let failed = |cause: std::io::Error| match cause.lacks_room() {
            true => StoreError::Full(dir.display().to_string()),
            false => StoreError::Io { doing: "creating", path: dir.display().to_string(), cause },
        };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        std::fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed)?;
        let (path, copy) = (dir.join(FILE), copy::read(&dir.join(COPY)));
        let opened = guard(|| file::open(&path)).and_then(|opened| match copy.is_after(&opened.kept) {
            true => Err(StoreError::Damaged("it fell behind its copy".into())),
            false => Ok(opened),
        });
        match opened {
            Ok(opened) => Ok((opened.into(), None)),
            Err(StoreError::Damaged(cause)) => {
                let rebuilt = file::rebuild(&path, &copy)?;
                let fault = Fault::new(&node::STATE_REPAIRED).with("cause", cause).with("records", copy.records.len());
                Ok((Self { journal_is_lost: true, ..rebuilt.into() }, Some(fault)))
            }
            Err(error) => Err(error),
        }
    }
}
