//! The node's memory: one redb file, and a second copy of everything that matters.
//!
//! ```text
//! records: name → bytes   what was accepted, releases, memory of apps, overrides   (small; held in memory too)
//! journal: number → bytes what happened, in order, without gaps
//! ```
//!
//! Every change of a record is one transaction; when [`Store::write`] returns, no kill and no power cut takes
//! it back. After that the records are also written to `records.copy` (temporary file, fsync, rename, fsync of the
//! directory), with a checksum. redb panics when it reads a damaged page (measured: 8 of 46 pages), so every call
//! is caught. redb does nothing more with a file that failed once: it is opened again before it is used next, because a full
//! disk damages nothing. Only one that stays unreadable is put aside and made anew, from the records in memory, or at start
//! from the copy. What finds no room is given some of the [`Reserve`]; a copy that finds none even so is written with the next
//! change, or when [`Held`](crate::held::Held) hears of room.

mod copy;

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};
use shared::fault::{Fault, Faulty, node};

use crate::private_file::PrivateFileError;
use crate::reserve::{LacksRoom, Reserve};

const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

/// redb's page cache. Records are held in memory anyway.
const CACHE: usize = 256 << 10;
/// Most journal entries that are kept; the oldest go first, and their numbers tell what is missing.
pub const JOURNAL_MAX: u64 = 10_000;

/// Small records by name.
pub type Records = BTreeMap<String, Vec<u8>>;

/// A change of one record; `None` removes it.
pub type Change = (String, Option<Vec<u8>>);

/// The node's memory. All calls are short and block; a write waits for the disk.
pub struct Store {
    inner: Mutex<Inner>,
    dir: Option<PathBuf>,
    reserve: Reserve,
}

struct Inner {
    db: Option<Database>,
    records: Records,
    next: u64,
    /// The copy does not have all of `records`.
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
        let db = Builder::new().create_with_backend(InMemoryBackend::new()).map_err(damaged)?;
        Ok(Self { inner: Mutex::new(load(db)?), dir: None, reserve: Reserve::none() })
    }

    /// All records.
    pub fn records(&self) -> Records {
        self.lock().records.clone()
    }

    /// One record.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().records.get(name).cloned()
    }

    /// Makes all `changes` durable, or none. Without any, the copy catches up.
    pub fn write(&self, changes: Vec<Change>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let mut records = inner.records.clone();
        for (name, value) in &changes {
            match value {
                Some(value) => drop(records.insert(name.clone(), value.clone())),
                None => drop(records.remove(name)),
            }
        }
        if records != inner.records {
            self.with_file(&mut inner, |db| write_records(db, &changes))?;
            inner.records = records;
            inner.copy_is_stale = true;
        }
        if let Some(dir) = self.dir.as_ref().filter(|_| inner.copy_is_stale) {
            match self.reserve.lend(|| copy::write(&dir.join("records.copy"), &inner.records)) {
                Err(error) if error.lacks_room() => {
                    // The file has the change: nobody may hear that it was not made.
                    tracing::warn!(%error, "the second copy of the node's state follows when there is room");
                    return Ok(());
                }
                done => done?,
            }
        }
        inner.copy_is_stale = false;
        Ok(())
    }

    /// Adds entries to the journal and makes them durable. `make` gets each entry's number.
    pub fn append(&self, entries: usize, mut make: impl FnMut(usize, u64) -> Vec<u8>) -> Result<(), StoreError> {
        let mut inner = self.lock();
        let first = inner.next;
        let rows: Vec<(u64, Vec<u8>)> = (first..).zip(0..entries).map(|(number, index)| (number, make(index, number))).collect();
        self.with_file(&mut inner, |db| append_rows(db, &rows))?;
        inner.next = first + rows.len() as u64;
        Ok(())
    }

    /// Up to `limit` journal entries from number `from` on.
    pub fn journal(&self, from: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.with_file(&mut self.lock(), |db| {
            let table = db.begin_read().map_err(damaged)?.open_table(JOURNAL).map_err(damaged)?;
            let rows = table.range(from..).map_err(damaged)?.take(limit);
            rows.map(|row| row.map(|(number, entry)| (number.value(), entry.value().to_vec())).map_err(damaged)).collect()
        })
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
            let file = dir.join("state.redb");
            let again = guard(|| load(open_file(&file)?)).and_then(|opened| opened.has_all_of(&inner.records));
            let again = match again {
                Err(StoreError::Damaged(cause)) => {
                    tracing::warn!(%cause, "the state file is damaged; making it anew");
                    rebuild(&file, inner.records.clone())
                }
                other => other,
            };
            let new = again?;
            *inner = Inner { next: inner.next.max(new.next), copy_is_stale: true, ..new };
        }
        inner.db.as_ref().ok_or_else(|| StoreError::Damaged("there is none".into()))
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
        let file = dir.join("state.redb");
        let copy = copy::read(&dir.join("records.copy"));
        let opened = guard(|| load(open_file(&file)?)).and_then(|inner| match (inner.records.is_empty(), copy.is_empty()) {
            (true, false) => Err(StoreError::Damaged("the file is empty".into())),
            _ => Ok(inner),
        });
        match opened {
            Ok(inner) => Ok((inner, None)),
            Err(StoreError::Damaged(cause)) => {
                let fault = Fault::new(&node::STATE_REPAIRED).with("cause", cause).with("records", copy.len());
                Ok((Self { journal_is_lost: true, ..rebuild(&file, copy)? }, Some(fault)))
            }
            Err(error) => Err(error),
        }
    }

    /// A file that fell behind what was acknowledged is as bad as a damaged one. One that is ahead holds a change whose
    /// end was not heard of.
    fn has_all_of(self, records: &Records) -> Result<Self, StoreError> {
        if records.keys().all(|name| self.records.contains_key(name)) {
            Ok(self)
        } else {
            Err(StoreError::Damaged("records are missing".into()))
        }
    }
}

fn open_file(file: &Path) -> Result<Database, StoreError> {
    Builder::new().set_cache_size(CACHE).create(file).map_err(damaged)
}

fn load(db: Database) -> Result<Inner, StoreError> {
    let begin = db.begin_write().map_err(damaged)?;
    let (records, next) = {
        let table = begin.open_table(RECORDS).map_err(damaged)?;
        let rows = table.iter().map_err(damaged)?;
        let records = rows.map(|row| row.map(|(name, value)| (name.value().to_owned(), value.value().to_vec())));
        let records: Records = records.collect::<Result<_, _>>().map_err(damaged)?;
        let journal = begin.open_table(JOURNAL).map_err(damaged)?;
        let last = journal.last().map_err(damaged)?.map(|(number, _)| number.value());
        (records, last.map_or(0, |last| last + 1))
    };
    begin.commit().map_err(damaged)?;
    Ok(Inner { db: Some(db), records, next, copy_is_stale: true, journal_is_lost: false })
}

/// A new file with `records`. The damaged one stays beside it for whoever wants to look; of several, the first.
fn rebuild(file: &Path, records: Records) -> Result<Inner, StoreError> {
    let (new, aside) = (file.with_extension("redb.new"), file.with_extension("redb.damaged"));
    let failed = |doing| move |cause| StoreError::Io { doing, path: file.display().to_string(), cause };
    match std::fs::remove_file(&new) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(failed("clearing")(cause)),
        _ => {}
    }
    let inner = guard(|| {
        let db = open_file(&new)?;
        let changes: Vec<Change> = records.into_iter().map(|(name, value)| (name, Some(value))).collect();
        write_records(&db, &changes)?;
        load(db)
    })?;
    if file.exists() && !aside.exists() {
        std::fs::rename(file, &aside).map_err(failed("putting aside"))?;
    }
    std::fs::rename(&new, file).map_err(failed("replacing"))?;
    let dir = file.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing"))?;
    Ok(inner)
}

fn write_records(db: &Database, changes: &[Change]) -> Result<(), StoreError> {
    let begin = db.begin_write().map_err(damaged)?;
    {
        let mut table = begin.open_table(RECORDS).map_err(damaged)?;
        for (name, value) in changes {
            match value {
                Some(value) => drop(table.insert(name.as_str(), value.as_slice()).map_err(damaged)?),
                None => drop(table.remove(name.as_str()).map_err(damaged)?),
            }
        }
    }
    begin.commit().map_err(damaged)
}

fn append_rows(db: &Database, rows: &[(u64, Vec<u8>)]) -> Result<(), StoreError> {
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

/// Runs `work` and makes an error of a panic inside redb.
fn guard<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::SmallDisk;

    fn set(name: &str, value: &str) -> Change {
        (name.into(), Some(value.into()))
    }

    fn reopen(dir: &Path) -> (Store, Option<Fault>) {
        Store::open(dir, Reserve::none()).expect("open")
    }

    #[test]
    fn what_was_written_is_there_after_a_restart() {
        let dir = tempfile::tempdir().expect("dir");
        let (store, fault) = reopen(dir.path());
        assert_eq!(fault, None);
        store.write(vec![set("a", "1"), set("b", "2")]).expect("write");
        store.write(vec![set("a", "3"), ("b".into(), None)]).expect("write");
        store.append(2, |index, number| format!("{index} {number}").into_bytes()).expect("append");
        drop(store);
        let (store, _) = reopen(dir.path());
        assert_eq!(store.records(), [("a".to_owned(), b"3".to_vec())].into());
        assert_eq!(store.next_entry(), 2);
        assert_eq!(store.journal(1, 9).expect("journal"), [(1, b"1 1".to_vec())]);
    }

    #[test]
    fn the_journal_is_bounded_and_keeps_its_numbers() {
        let store = Store::in_memory().expect("store");
        for _ in 0..11 {
            store.append(1000, |_, number| number.to_be_bytes().to_vec()).expect("append");
        }
        let kept = store.journal(0, usize::MAX).expect("journal");
        assert_eq!((kept.len() as u64, kept.first().map(|row| row.0), store.next_entry()), (JOURNAL_MAX, Some(1000), 11_000));
    }

    #[test]
    fn a_damaged_file_is_made_anew_from_the_copy() {
        for damage in [&b"garbage"[..], b""] {
            let dir = tempfile::tempdir().expect("dir");
            let (store, _) = reopen(dir.path());
            store.write(vec![set("a", "1")]).expect("write");
            drop(store);
            std::fs::write(dir.path().join("state.redb"), damage).expect("damage");
            let (store, fault) = reopen(dir.path());
            assert_eq!(fault.expect("fault").code, "node-state-repaired");
            assert_eq!(store.get("a"), Some(b"1".to_vec()));
        }
    }

    /// Every page of the file is destroyed in turn: the store opens, and nothing that was written is lost.
    #[test]
    fn no_damaged_page_loses_a_record_or_ends_the_process() {
        let dir = tempfile::tempdir().expect("dir");
        let (store, _) = reopen(dir.path());
        for n in 0..40 {
            store.write(vec![set(&format!("release/{n}"), &"x".repeat(3000))]).expect("write");
        }
        let expected = store.records();
        drop(store);
        let file = dir.path().join("state.redb");
        let whole = std::fs::read(&file).expect("read");
        for page in 0..whole.len() / 4096 {
            let mut broken = whole.clone();
            broken[page * 4096..(page + 1) * 4096].fill(0);
            std::fs::write(&file, &broken).expect("damage");
            let (store, _) = reopen(dir.path());
            if store.records() != expected {
                panic!("page {page}: {} of {} records", store.records().len(), expected.len());
            }
            store.write(vec![set("probe", "1"), ("probe".into(), None)]).expect("still writes");
            drop(store);
        }
    }

    #[test]
    fn a_full_disk_damages_nothing() {
        let disk = SmallDisk::mount(2);
        let dir = disk.path().join("store");
        let (store, _) = reopen(&dir);
        store.write(vec![set("a", "1")]).expect("write");
        store.append(1, |_, _| b"one".to_vec()).expect("append");
        let ballast = disk.fill();
        for _ in 0..4 {
            store.write(vec![set("big", &"x".repeat(900_000))]).expect_err("no room");
            drop(store.append(1, |_, _| vec![0; 900_000]));
        }
        std::fs::remove_file(ballast).expect("room again");
        let after = (0..3).find(|_| store.write(vec![set("b", "2")]).is_ok());
        assert!(after.is_some(), "it writes again once there is room");
        assert_eq!(store.journal(0, 1).expect("journal"), [(0, b"one".to_vec())]);
        drop(store);
        assert!(!dir.join("state.redb.damaged").exists(), "the good file was not put aside");
        let (store, fault) = reopen(&dir);
        assert_eq!(fault, None);
        assert_eq!((store.get("a"), store.get("b")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
        assert_eq!(copy::read(&dir.join("records.copy")), store.records());
    }

    #[test]
    fn a_full_disk_takes_what_the_reserve_has_room_for() {
        let disk = SmallDisk::mount(8);
        let reserve = Reserve::of(disk.path(), 2 << 20);
        let dir = disk.path().join("store");
        let open = || Store::open(&dir, reserve.clone()).expect("opened").0;
        let store = open();
        let ballast = disk.fill();
        let mut written = Records::new();
        for n in 0..8 {
            store.write(vec![set(&format!("release/{n}"), &"x".repeat(50_000))]).expect("some of the reserve");
            store.append(1, |_, number| format!("{number}").into_bytes()).expect("the journal, too");
            written = store.records();
        }
        drop(store);
        let store = open();
        assert_eq!((store.records(), store.next_entry()), (written.clone(), 8));
        assert_eq!(copy::read(&dir.join("records.copy")), written);

        let refused = (0..100).find_map(|n| store.write(vec![set(&format!("more/{n}"), &"x".repeat(50_000))]).err());
        assert!(matches!(refused, Some(StoreError::Full(_))), "{refused:?}");
        written = store.records();
        drop(store);
        let store = open();
        assert_eq!(store.records(), written, "all that was taken, and nothing that was refused");
        assert_ne!(copy::read(&dir.join("records.copy")), written, "there was no room for a second copy");
        assert_eq!(reserve.look().map(|fault| fault.code), Some("node-state-reserve-used".into()));
        std::fs::remove_file(ballast).expect("room again");
        store.write(Vec::new()).expect("at once");
        assert_eq!(copy::read(&dir.join("records.copy")), written);
        assert_eq!(reserve.look().map(|fault| fault.code), Some("node-state-reserve-back".into()));
        assert!(!dir.join("state.redb.damaged").exists());
    }

    #[test]
    fn the_copy_is_written_again_when_it_could_not_be() {
        let dir = tempfile::tempdir().expect("dir");
        let (store, _) = reopen(dir.path());
        let copy = dir.path().join("records.copy");
        std::fs::create_dir(copy.with_extension("copy.new")).expect("something in the way");
        store.write(vec![set("a", "1")]).expect_err("no copy");
        std::fs::remove_dir(copy.with_extension("copy.new")).expect("out of the way");
        store.write(vec![set("a", "1")]).expect("the same again");
        assert_eq!(copy::read(&copy), store.records());
    }

    #[test]
    fn a_damaged_copy_is_not_believed() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("copy");
        let records: Records = [("a".to_owned(), vec![1, 2, 3])].into();
        copy::write(&path, &records).expect("write");
        assert_eq!(copy::read(&path), records);
        let bytes = std::fs::read(&path).expect("read");
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            std::fs::write(&path, broken).expect("damage");
            assert_eq!(copy::read(&path), Records::new(), "byte {at}");
        }
    }
}
