//! The hub's memory: what must survive a restart and is not content.
//!
//! Three things and no more: **records** (key → value, each with the revision that wrote it, changed by
//! compare-and-swap), **logs** (append-only, numbered from 0 without gaps, trimmed from below) and a **watch**
//! (what changed since revision *n*). One [`commit`](Store::commit) is all or nothing and durable when it answers.
//!
//! ```text
//! read ──▶ decide ──▶ commit([Change { expect: Revision(7), … }]) ──▶ Ok(8) | Conflict: read again
//! watch.changed() ──▶ changes(after: 8) ──▶ ["nodes/n1", …] ──▶ get each      Compacted ──▶ revision(), list anew
//! ```
//!
//! Keys are `kind/name` texts made of [`shared::id::Name`]s; values are versioned bytes of their owner. Content
//! (layers) never comes here: see [`crate::blobs`].

mod backup;
#[cfg(test)]
pub(crate) mod conformance;
mod feed;
pub mod redb;

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use shared::fault::{Fault, Faulty, hub};
use tokio::sync::watch;

/// Longest key or log name, in bytes.
pub const KEY_MAX: usize = 512;
/// Largest value or log entry, in bytes: a signed release ([`shared::release::RELEASE_MAX`]) with room for its envelope.
pub const VALUE_MAX: usize = 4 << 20;
/// Most changes and appends of one commit.
pub const COMMIT_MAX: usize = 4096;
/// Most records, entries or changed keys of one answer; a larger limit is cut to this.
pub const PAGE_MAX: usize = 10_000;

/// Bytes after which a page of records or entries ends, even below its limit.
pub const PAGE_BYTES_MAX: usize = 16 << 20;

/// An answer that comes later; boxed so that `Arc<dyn Store>` works.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The store's revision when it was last written: what [`Expect::Revision`] names.
    pub revision: u64,
    /// The bytes, versioned by their owner.
    pub value: Vec<u8>,
}

/// What a change takes for granted about its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Nothing: the last writer wins.
    Anything,
    /// There is no such record.
    Absent,
    /// The record was last written at this revision.
    Revision(u64),
}

/// One record's new value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which record.
    pub key: String,
    /// Otherwise the whole commit is refused with [`StoreError::Conflict`].
    pub expect: Expect,
    /// `None` deletes it; deleting what is not there is no error under [`Expect::Anything`].
    pub value: Option<Vec<u8>>,
}

impl Change {
    /// Writes `value`, whatever was there.
    pub fn put(key: impl Into<String>, value: Vec<u8>) -> Self {
        Self { key: key.into(), expect: Expect::Anything, value: Some(value) }
    }

    /// Writes a record that must be new.
    pub fn create(key: impl Into<String>, value: Vec<u8>) -> Self {
        Self { key: key.into(), expect: Expect::Absent, value: Some(value) }
    }

    /// Replaces the record that was last written at `revision`.
    pub fn replace(key: impl Into<String>, revision: u64, value: Vec<u8>) -> Self {
        Self { key: key.into(), expect: Expect::Revision(revision), value: Some(value) }
    }

    /// Removes a record; `expect` says which one.
    pub fn delete(key: impl Into<String>, expect: Expect) -> Self {
        Self { key: key.into(), expect, value: None }
    }
}

/// One entry at the end of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Which log; the first entry makes it.
    pub log: String,
    /// The number the entry must get, so that the same entry sent twice is stored once; otherwise
    /// [`StoreError::Conflict`]. `None`: whatever comes next.
    pub at: Option<u64>,
    /// The bytes, versioned by their owner.
    pub entry: Vec<u8>,
}

impl Append {
    /// An entry that gets the next number.
    pub fn next(log: impl Into<String>, entry: Vec<u8>) -> Self {
        Self { log: log.into(), at: None, entry }
    }
}

/// The numbers a log holds: `first..next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The oldest entry that was not trimmed.
    pub first: u64,
    /// The number the next entry gets.
    pub next: u64,
}

/// Which record was written or deleted, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The revision of the commit.
    pub revision: u64,
    /// The record's key; its value is what [`Store::get`] says now.
    pub key: String,
}

/// What keeps the hub's records and logs. Ships as [`redb::RedbStore`] (file and in memory).
pub trait Store: Send + Sync + 'static {
    /// The revision of the last commit; 0 for a new store. Read it *before* listing, to watch from it afterwards.
    fn revision(&self) -> Answer<'_, u64>;

    /// The record of `key`.
    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Record>>;

    /// Records whose key begins with `prefix`, in byte order of the keys, from the first one behind `after`; at most
    /// `limit`. Each page is one consistent snapshot and ends early behind [`PAGE_BYTES_MAX`]: the list is complete when
    /// a page is empty.
    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<(String, Record)>>;

    /// Does all or nothing, in order, and answers the new revision when it is on disk. Each
    /// [`Expect`] is about the state before the commit. Without changes and appends nothing is written.
    fn commit(&self, changes: Vec<Change>, appends: Vec<Append>) -> Answer<'_, u64>;

    /// Entries of `log` from number `from` on, at most `limit`, ending early behind [`PAGE_BYTES_MAX`]; numbers
    /// that were trimmed are skipped.
    fn read_log<'a>(&'a self, log: &'a str, from: u64, limit: usize) -> Answer<'a, Vec<(u64, Vec<u8>)>>;

    /// Which numbers `log` holds; `0..0` when it does not exist.
    fn log_bounds<'a>(&'a self, log: &'a str) -> Answer<'a, Bounds>;

    /// Forgets entries below number `below`; numbers are never used again.
    fn trim<'a>(&'a self, log: &'a str, below: u64) -> Answer<'a, ()>;

    /// Records changed by commits after revision `after`, oldest first, at most `limit` (but never half a commit).
    /// [`StoreError::Compacted`] when the history does not reach back so far, for example after a restart.
    fn changes(&self, after: u64, limit: usize) -> Answer<'_, Vec<Changed>>;

    /// Wakes at every commit from now on.
    fn watch(&self) -> Watch;
}

/// Wakes at commits. A hint with a number; what changed is said by [`Store::changes`].
#[derive(Debug, Clone)]
pub struct Watch(watch::Receiver<u64>);

impl Watch {
    /// Over the sender of a store implementation.
    pub(crate) const fn new(receiver: watch::Receiver<u64>) -> Self {
        Self(receiver)
    }

    /// The newest revision this watch knows of.
    pub fn revision(&self) -> u64 {
        *self.0.borrow()
    }

    /// Waits for a commit this watch has not seen and returns the newest revision; many commits may be one wake.
    /// Cancel-safe. [`StoreError::Closed`] when the store is gone.
    pub async fn changed(&mut self) -> Result<u64, StoreError> {
        self.0.changed().await.map_err(|_| StoreError::Closed)?;
        Ok(*self.0.borrow_and_update())
    }
}

/// What was found where [`Expect`] said something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No record.
    Nothing,
    /// A record of this revision; for a log: its next number.
    Revision(u64),
}

/// Why the store did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Somebody else was faster: read again, decide again.
    #[error("{key} was changed meanwhile: expected {expected:?}, found {found:?}")]
    Conflict {
        /// The record or log.
        key: String,
        /// What the change took for granted.
        expected: Expect,
        /// What is there.
        found: Found,
    },
    /// The history of changes begins later: list anew.
    #[error("changes before revision {oldest} are forgotten")]
    Compacted {
        /// Changes after this revision are known.
        oldest: u64,
    },
    /// A key, value or commit beyond its bound.
    #[error("{what} has {size}, allowed are {max}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large.
        size: usize,
        /// The bound.
        max: usize,
    },
    /// The disk is full; nothing was written.
    #[error("no space left on the disk of the store")]
    Full,
    /// Stored bytes are not what was written. Nothing is written any more; restore a backup.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// Where and how.
        what: String,
    },
    /// The system failed.
    #[error("{doing}: {source}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether reading and deciding again can help.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

impl Faulty for StoreError {
    fn fault(&self) -> Fault {
        match self {
            Self::Conflict { key, .. } => Fault::new(&hub::STORE_CONFLICT).with("key", key),
            Self::Compacted { oldest } => Fault::new(&hub::STORE_COMPACTED).with("oldest", oldest),
            Self::TooLarge { what, size, max } => {
                Fault::new(&hub::STORE_TOO_LARGE).with("what", what).with("size", size).with("max", max)
            }
            Self::Full => Fault::new(&hub::STORE_FULL),
            Self::Damaged { what } => Fault::new(&hub::STORE_DAMAGED).with("what", what),
            Self::Failed { doing, source } => Fault::new(&hub::STORE_FAILED).with("doing", doing).with("cause", source),
            Self::Closed => Fault::new(&hub::STORE_CLOSED),
        }
    }
}

/// The bounds every implementation checks before it begins.
pub(crate) fn check_bounds(changes: &[Change], appends: &[Append]) -> Result<(), StoreError> {
    let bound = |what, size, max| if size > max { Err(StoreError::TooLarge { what, size, max }) } else { Ok(()) };
    bound("a commit", changes.len() + appends.len(), COMMIT_MAX)?;
    for change in changes {
        bound("a key", change.key.len(), KEY_MAX)?;
        bound("a value", change.value.as_ref().map_or(0, Vec::len), VALUE_MAX)?;
    }
    for append in appends {
        bound("a log's name", append.log.len(), KEY_MAX)?;
        bound("a log entry", append.entry.len(), VALUE_MAX)?;
    }
    Ok(())
}
