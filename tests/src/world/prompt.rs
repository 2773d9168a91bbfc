//! The hub's store, so that simulated time stands still while it works.
//!
//! Paused time jumps to the next timer whenever nothing runs. A commit is done by a thread that the runtime does not
//! know, so to it a hub that waits for its disk looks idle, and hours would pass. Here every commit also holds a blocking
//! task, which the runtime does know, until it is answered. Everything else is the real [`RedbStore`].

use std::path::Path;
use std::sync::mpsc;

use cloud_hub::store::redb::RedbStore;
use cloud_hub::store::{Answer, Append, Bounds, Change, Changed, Record, Store, Watch};
use tokio::task::spawn_blocking;

/// A [`RedbStore`] that takes no simulated time.
pub struct Prompt(RedbStore);

impl Prompt {
    /// A new store in memory.
    pub fn in_memory() -> Self {
        Self(RedbStore::in_memory().expect("store"))
    }

    /// The store of the file at `path`.
    pub fn open(path: &Path) -> Self {
        Self(RedbStore::open(path).expect("store"))
    }

    /// Writes a backup to `path`.
    pub async fn export(&self, path: &Path) {
        self.0.export(path).await.expect("backup");
    }
}

impl Store for Prompt {
    fn revision(&self) -> Answer<'_, u64> {
        self.0.revision()
    }

    fn get<'a>(&'a self, key: &'a str) -> Answer<'a, Option<Record>> {
        self.0.get(key)
    }

    fn list<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> Answer<'a, Vec<(String, Record)>> {
        self.0.list(prefix, after, limit)
    }

    fn commit(&self, changes: Vec<Change>, appends: Vec<Append>) -> Answer<'_, u64> {
        Box::pin(async move {
            let (answered, wait) = mpsc::sync_channel::<()>(1);
            let hold = spawn_blocking(move || wait.recv());
            let answer = self.0.commit(changes, appends).await;
            drop(answered);
            // It ends when its channel does, which was just now.
            let _ended = hold.await;
            answer
        })
    }

    fn read_log<'a>(&'a self, log: &'a str, from: u64, limit: usize) -> Answer<'a, Vec<(u64, Vec<u8>)>> {
        self.0.read_log(log, from, limit)
    }

    fn log_bounds<'a>(&'a self, log: &'a str) -> Answer<'a, Bounds> {
        self.0.log_bounds(log)
    }

    fn trim<'a>(&'a self, log: &'a str, below: u64) -> Answer<'a, ()> {
        self.0.trim(log, below)
    }

    fn changes(&self, after: u64, limit: usize) -> Answer<'_, Vec<Changed>> {
        self.0.changes(after, limit)
    }

    fn watch(&self) -> Watch {
        self.0.watch()
    }
}
