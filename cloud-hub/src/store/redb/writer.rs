//! The one writer: a thread that takes waiting commits together, writes them in one transaction and answers each.
//!
//! A durable transaction is one fsync whatever it holds, so ten commits that wait together cost as much as one. A
//! commit that is refused ([`StoreError::Conflict`]) is refused before it changes anything and disturbs no other.

use std::collections::BTreeMap;
use std::sync::Arc;

use redb::{Database, ReadableTable, Table, WriteTransaction};
use tokio::sync::{mpsc, oneshot};

use super::file::File;
use super::tables::{self, HEADS, LOGS, META, RECORDS, REVISION, failed};
use crate::store::feed::Feed;
use crate::store::{Append, Bounds, Change, Expect, Found, StoreError};

/// Most commits of one transaction.
const BATCH_MAX: usize = 128;
/// Most entries one transaction removes from a log, so that trimming a long one does not hold up commits.
const TRIM_STEP: usize = 10_000;

/// What a caller wants written.
pub(super) enum Work {
    Commit { changes: Vec<Change>, appends: Vec<Append> },
    Trim { log: String, below: u64 },
}

/// Work with the place for its answer: the revision after it.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Result<u64, StoreError>>,
}

/// Runs until the last sender is gone and the queue is empty.
pub(super) fn run(file: &Arc<File>, feed: &Feed, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            batch.push(job);
        }
        let (works, answers): (Vec<Work>, Vec<_>) = batch.into_iter().map(|job| (job.work, job.answer)).unzip();
        let results = file.write(|db| write(db, &works));
        answer(feed, works, answers, results);
    }
}

/// Publishes what became durable, then wakes the callers: who gets an answer can already see the change in the feed.
fn answer(
    feed: &Feed,
    works: Vec<Work>,
    answers: Vec<oneshot::Sender<Result<u64, StoreError>>>,
    results: Result<Vec<Result<u64, StoreError>>, StoreError>,
) {
    let results = results.unwrap_or_else(|error| vec![Err(error); works.len()]);
    for ((work, answer), result) in works.into_iter().zip(answers).zip(results) {
        if let (Ok(revision), Work::Commit { changes, appends }) = (&result, work)
            && !(changes.is_empty() && appends.is_empty())
        {
            feed.publish(*revision, changes.into_iter().map(|change| change.key));
        }
        // Nobody waits any more: the commit is done all the same.
        let _gone = answer.send(result);
    }
}

/// One transaction for all of `works`; an outer error means nothing of it happened.
fn write(db: &Database, works: &[Work]) -> Result<Vec<Result<u64, StoreError>>, StoreError> {
    let transaction = db.begin_write().map_err(|error| failed("beginning a transaction", error))?;
    let mut results = Vec::with_capacity(works.len());
    let changed = {
        let mut tables = Tables::open(&transaction)?;
        let before = tables.revision;
        for work in works {
            results.push(tables.work(work)?);
        }
        tables.finish(before)?
    };
    if changed {
        transaction.commit().map_err(|error| failed("committing", error))?;
    } else {
        transaction.abort().map_err(|error| failed("ending a transaction", error))?;
    }
    Ok(results)
}

/// The open tables of a write transaction.
struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    records: Table<'t, &'static str, &'static [u8]>,
    logs: Table<'t, (&'static str, u64), &'static [u8]>,
    heads: Table<'t, &'static str, (u64, u64)>,
    revision: u64,
    trimmed: bool,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        let open = |error| failed("opening a table", error);
        let meta = transaction.open_table(META).map_err(open)?;
        let revision = meta.get(REVISION).map_err(|error| failed("reading the revision", error))?.map_or(0, |r| r.value());
        Ok(Self {
            meta,
            records: transaction.open_table(RECORDS).map_err(open)?,
            logs: transaction.open_table(LOGS).map_err(open)?,
            heads: transaction.open_table(HEADS).map_err(open)?,
            revision,
            trimmed: false,
        })
    }

    /// The inner error refuses this work only, the outer one ends the transaction.
    fn work(&mut self, work: &Work) -> Result<Result<u64, StoreError>, StoreError> {
        match work {
            Work::Commit { changes, appends } => match self.check(changes, appends) {
                Ok(()) => self.commit(changes, appends).map(Ok),
                Err(error @ StoreError::Conflict { .. }) => Ok(Err(error)),
                Err(error) => Err(error),
            },
            Work::Trim { log, below } => self.trim(log, *below).map(|()| Ok(self.revision)),
        }
    }

    /// Whether everything the commit takes for granted holds now.
    fn check(&self, changes: &[Change], appends: &[Append]) -> Result<(), StoreError> {
        for change in changes {
            let found = self.found(&change.key)?;
            let holds = match (change.expect, found) {
                (Expect::Anything, _) | (Expect::Absent, Found::Nothing) => true,
                (Expect::Revision(expected), Found::Revision(found)) => expected == found,
                (Expect::Absent, Found::Revision(_)) | (Expect::Revision(_), Found::Nothing) => false,
            };
            if !holds {
                return Err(StoreError::Conflict { key: change.key.clone(), expected: change.expect, found });
            }
        }
        let mut ends: BTreeMap<&str, u64> = BTreeMap::new();
        for append in appends {
            let end = match ends.get(append.log.as_str()) {
                Some(end) => *end,
                None => tables::bounds(&self.heads, &append.log)?.next,
            };
            if let Some(at) = append.at.filter(|at| *at != end) {
                let (key, found) = (append.log.clone(), Found::Revision(end));
                return Err(StoreError::Conflict { key, expected: Expect::Revision(at), found });
            }
            ends.insert(&append.log, end + 1);
        }
        Ok(())
    }

    fn found(&self, key: &str) -> Result<Found, StoreError> {
        match self.records.get(key).map_err(|error| failed("reading a record", error))? {
            Some(bytes) => tables::record_from_bytes(key, bytes.value()).map(|record| Found::Revision(record.revision)),
            None => Ok(Found::Nothing),
        }
    }

    fn commit(&mut self, changes: &[Change], appends: &[Append]) -> Result<u64, StoreError> {
        if changes.is_empty() && appends.is_empty() {
            return Ok(self.revision);
        }
        self.revision += 1;
        for change in changes {
            self.change(change)?;
        }
        for append in appends {
            self.append(append)?;
        }
        Ok(self.revision)
    }

    fn change(&mut self, change: &Change) -> Result<(), StoreError> {
        let key = change.key.as_str();
        match &change.value {
            Some(value) => self.records.insert(key, tables::record_to_bytes(self.revision, value).as_slice()).map(drop),
            None => self.records.remove(key).map(drop),
        }
        .map_err(|error| failed("writing a record", error))
    }

    fn append(&mut self, append: &Append) -> Result<(), StoreError> {
        let Bounds { first, next } = tables::bounds(&self.heads, &append.log)?;
        let log = append.log.as_str();
        let writing = |error| failed("writing a log entry", error);
        self.logs.insert((log, next), tables::entry_to_bytes(&append.entry).as_slice()).map_err(writing)?;
        self.heads.insert(log, (first, next + 1)).map_err(writing)?;
        Ok(())
    }

    /// Removes at most [`TRIM_STEP`] entries; the head says how far it came, so the next trim goes on.
    fn trim(&mut self, log: &str, below: u64) -> Result<(), StoreError> {
        let trimming = |error| failed("trimming a log", error);
        let Bounds { first, next } = tables::bounds(&self.heads, log)?;
        let below = below.min(next).min(first.saturating_add(TRIM_STEP as u64));
        if below <= first {
            return Ok(());
        }
        for number in first..below {
            self.logs.remove((log, number)).map_err(trimming)?;
        }
        self.heads.insert(log, (below, next)).map_err(trimming)?;
        self.trimmed = true;
        Ok(())
    }

    /// Writes the revision; tells whether there is anything to commit.
    fn finish(mut self, before: u64) -> Result<bool, StoreError> {
        if self.revision != before {
            self.meta.insert(REVISION, self.revision).map_err(|error| failed("writing the revision", error))?;
        }
        Ok(self.trimmed || self.revision != before)
    }
}
