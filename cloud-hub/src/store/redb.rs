//! [`Store`] in one redb file, or in memory.
//!
//! Reads run beside each other on blocking threads, each on its own snapshot; all writes go through one thread
//! (`writer`) that takes waiting commits together. A queue of 256 commits is the bound: then callers wait.

mod backup;
mod file;
mod tables;
mod writer;

use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_blocking;

use self::file::File;
use self::tables::{HEADS, LOGS, RECORDS, failed};
use self::writer::{Job, Work};
use super::feed::Feed;
use super::{Answer, Append, Bounds, Change, Changed, PAGE_BYTES_MAX, PAGE_MAX, Record, Store, StoreError, Watch, check_bounds};

/// Commits that wait for the writer.
const QUEUE: usize = 256;

/// The store of a hub that runs alone.
#[derive(Debug)]
pub struct RedbStore {
    file: Arc<File>,
    feed: Arc<Feed>,
    jobs: mpsc::Sender<Job>,
    closed: oneshot::Receiver<()>,
}

impl RedbStore {
    /// Opens the file at `path` or makes it. Only one process has it open at a time. Blocks while a file is repaired
    /// after a crash.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::start(Some(path))
    }

    /// A store that is gone with the process, for simulation and tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::start(None)
    }

    fn start(path: Option<&Path>) -> Result<Self, StoreError> {
        let (file, revision) = File::open(path)?;
        let (file, feed) = (Arc::new(file), Arc::new(Feed::new(revision)));
        let (jobs, queue) = mpsc::channel(QUEUE);
        let (close, closed) = oneshot::channel::<()>();
        let (thread_file, thread_feed) = (Arc::clone(&file), Arc::clone(&feed));
        let writing = move || {
            writer::run(&thread_file, &thread_feed, queue);
            drop(thread_file);
            drop(close);
        };
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(writing)
            .map_err(|error| StoreError::Failed { doing: "starting the writer", source: Arc::new(error) })?;
        Ok(Self { file, feed, jobs, closed })
    }

    /// Writes a consistent backup to `path` while the store goes on working; the file appears whole or not at all.
    pub async fn export(&self, path: &Path) -> Result<(), StoreError> {
        let path = path.to_owned();
        self.read(move |snapshot| backup::export(snapshot, &path)).await
    }

    /// Makes a new store file at `path`, which must not exist, from a backup. A damaged backup makes nothing. Blocks.
    pub fn import(backup: &Path, path: &Path) -> Result<(), StoreError> {
        backup::import(backup, path)
    }

    /// Waits for all commits that were asked for and closes the file, so that it can be opened again.
    pub async fn close(self) {
        let Self { file, jobs, closed, .. } = self;
        drop(jobs);
        // The writer never sends; its end closes the channel.
        let _ended = closed.await;
        drop(file);
    }

    /// Runs `read` on a snapshot, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let file = Arc::clone(&self.file);
        let snapshot = move |db: &Database| read(&db.begin_read().map_err(|error| failed("beginning to read", error))?);
        match spawn_blocking(move || file.read(snapshot)).await {
            Ok(answer) => answer,
            Err(_shutting_down) => Err(StoreError::Closed),
        }
    }

    async fn write(&self, work: Work) -> Result<u64, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { work, answer }).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

impl Store for RedbStore {
    fn revision(&self) -> Answer<'_, u64> {
        Box::pin(async { Ok(self.feed.revision()) })
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Record>> {
        let key = key.to_owned();
        Box::pin(self.read(move |snapshot| get(snapshot, &key)))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<(String, Record)>> {
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        Box::pin(self.read(move |snapshot| list(snapshot, &prefix, after.as_deref(), limit.min(PAGE_MAX))))
    }

    fn commit(&self, changes: Vec<Change>, appends: Vec<Append>) -> Answer<'_, u64> {
        Box::pin(async move {
            check_bounds(&changes, &appends)?;
            self.write(Work::Commit { changes, appends }).await
        })
    }

    fn read_log<'a>(&'a self, log: &'a str, from: u64, limit: usize) -> Answer<'a, Vec<(u64, Vec<u8>)>> {
        let log = log.to_owned();
        Box::pin(self.read(move |snapshot| read_log(snapshot, &log, from, limit.min(PAGE_MAX))))
    }

    fn log_bounds<'a>(&'a self, log: &'a str) -> Answer<'a, Bounds> {
        let log = log.to_owned();
        Box::pin(self.read(move |snapshot| log_bounds(snapshot, &log)))
    }

    fn trim<'a>(&'a self, log: &'a str, below: u64) -> Answer<'a, ()> {
        Box::pin(async move {
            let reached = |bounds: Bounds| bounds.first >= below.min(bounds.next);
            // Each step moves the log's first number forward or ends the loop with an error.
            while !reached(self.log_bounds(log).await?) {
                self.write(Work::Trim { log: log.to_owned(), below }).await?;
            }
            Ok(())
        })
    }

    fn changes(&self, after: u64, limit: usize) -> Answer<'_, Vec<Changed>> {
        Box::pin(async move { self.feed.since(after, limit) })
    }

    fn watch(&self) -> Watch {
        self.feed.watch()
    }
}

fn get(snapshot: &ReadTransaction, key: &str) -> Result<Option<Record>, StoreError> {
    let table = snapshot.open_table(RECORDS).map_err(|error| failed("reading a record", error))?;
    let found = table.get(key).map_err(|error| failed("reading a record", error))?;
    found.map(|bytes| tables::record_from_bytes(key, bytes.value())).transpose()
}

fn list(
    snapshot: &ReadTransaction,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Record)>, StoreError> {
    let table = snapshot.open_table(RECORDS).map_err(|error| failed("listing records", error))?;
    let begin = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        Some(_) | None => Bound::Included(prefix),
    };
    let rows = table.range::<&str>((begin, Bound::Unbounded)).map_err(|error| failed("listing records", error))?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let (key, value) = row.map_err(|error| failed("listing records", error))?;
        if page.len() >= limit || bytes >= PAGE_BYTES_MAX || !key.value().starts_with(prefix) {
            break;
        }
        bytes += value.value().len();
        page.push((key.value().to_owned(), tables::record_from_bytes(key.value(), value.value())?));
    }
    Ok(page)
}

fn read_log(snapshot: &ReadTransaction, log: &str, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let table = snapshot.open_table(LOGS).map_err(|error| failed("reading a log", error))?;
    let rows = table.range((log, from)..=(log, u64::MAX)).map_err(|error| failed("reading a log", error))?;
    let (mut page, mut bytes) = (Vec::new(), 0);
    for row in rows {
        let (key, entry) = row.map_err(|error| failed("reading a log", error))?;
        if page.len() >= limit || bytes >= PAGE_BYTES_MAX {
            break;
        }
        bytes += entry.value().len();
        let (_, number) = key.value();
        page.push((number, tables::entry_from_bytes(log, number, entry.value())?));
    }
    Ok(page)
}

fn log_bounds(snapshot: &ReadTransaction, log: &str) -> Result<Bounds, StoreError> {
    tables::bounds(&snapshot.open_table(HEADS).map_err(|error| failed("reading a log's head", error))?, log)
}

#[cfg(test)]
mod tests;
