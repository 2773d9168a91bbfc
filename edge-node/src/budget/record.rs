//! Where the count of the link lies: two small files of its own, written in turn, so that a save rewrites nothing else.
//!
//! ```text
//! spent.0, spent.1:  version 1 │ sha256 of the rest │ number of the save │ period told, of day and month │ v1::Spent
//! ```
//!
//! Each file is replaced whole and synced, so a power cut leaves the old one or the new one, and the other file as it was: the
//! newer one counts. When only one can be read, the other may have been the newer: the bytes that may lie between two saves
//! count as spent. When none can be read, nobody knows what was spent, and then all of the day and of the month is: to fetch an
//! image a day later costs less than a quota that was forgotten, and a person is told how to go on at once.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::budget::{Class, Spent};
use shared::id::Digest;
use shared::wire::v1;

use super::AHEAD_MAX;
use crate::private_file::{self, PrivateFileError};
use crate::reserve::Reserve;
use crate::store::Store;

const VERSION: u8 = 1;
/// Largest file that is read, in bytes.
const MAX: u64 = 4096;
/// The name of the record in the node's store, where it lay at first.
const IN_STORE: &str = "spent";
/// The name of the record in the node's store that says that the two files were made. A store of before that has none, and
/// nothing was counted yet.
const MADE: &str = "spent.made";

/// What is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Kept {
    pub(super) spent: Spent,
    /// The day and the month of which was told that their quota is used, each plus one; 0 for none.
    pub(super) told: [u64; 2],
}

/// What was kept, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing was ever spent.
    New,
    /// This was.
    Kept(Kept),
    /// Nobody knows; why.
    Lost(String),
}

/// The two files. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Record(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    place: Place,
    found: Found,
    /// Of the next save; its last bit names the file.
    next: u64,
    reserve: Reserve,
}

#[derive(Debug)]
enum Place {
    Dir(PathBuf),
    Memory([Vec<u8>; 2]),
}

impl Record {
    /// The record in `dir`, the directory of the node's `store`, which tells whether they were ever made; with `reserve` for
    /// when the disk is full.
    pub fn open(dir: &Path, store: &Store, reserve: Reserve) -> Self {
        let inner = Inner { place: Place::Dir(dir.into()), found: Found::New, next: 0, reserve };
        let record = Self(Arc::new(Mutex::new(inner)));
        let mut found = record.read(AHEAD_MAX);
        let before = store.get(IN_STORE);
        let was_made = store.get(MADE).is_some();
        if found == Found::New {
            found = match before.as_deref().map(v1::Spent::decode) {
                Some(Ok(spent)) => Found::Kept(Kept { spent: spent.into(), ..Kept::default() }),
                Some(Err(error)) => Found::Lost(error.to_string()),
                None if was_made => Found::Lost("there is no file".into()),
                None => Found::New,
            };
        }
        // Both files are there from now on, so that one that is missing is a damaged one.
        let kept = match &found {
            Found::New => Some(Kept::default()),
            Found::Kept(kept) => Some(*kept),
            Found::Lost(_) => None,
        };
        let written = kept.is_some_and(|kept| (0..2).all(|_| record.write(&kept).is_ok()));
        if written
            && (before.is_some() || !was_made)
            && let Err(error) = store.write(vec![(IN_STORE.into(), None), (MADE.into(), Some(Vec::new()))])
        {
            tracing::debug!(%error, "that the link is counted in files is not remembered yet");
        }
        record.lock().found = found;
        record
    }

    /// A record that lives as long as its clones: for the simulation.
    pub fn in_memory() -> Self {
        let place = Place::Memory(Default::default());
        Self(Arc::new(Mutex::new(Inner { place, found: Found::New, next: 0, reserve: Reserve::none() })))
    }

    /// What the ledger begins with.
    pub(super) fn found(&self) -> Found {
        let is_in_memory = matches!(self.lock().place, Place::Memory(_));
        if is_in_memory { self.read(0) } else { self.lock().found.clone() }
    }

    /// Reads both files. At most `step` bytes lie between two saves.
    fn read(&self, step: u64) -> Found {
        let mut inner = self.lock();
        let slots = [0, 1].map(|slot| inner.place.read(slot));
        let newest = slots.iter().filter_map(|slot| slot.as_ref().ok().copied().flatten()).max_by_key(|(number, _)| *number);
        let causes: Vec<String> = slots.iter().filter_map(|slot| slot.as_ref().err().cloned()).collect();
        let Some((number, mut kept)) = newest else {
            return if causes.is_empty() { Found::New } else { Found::Lost(causes.join("; ")) };
        };
        inner.next = number.wrapping_add(1);
        if slots.iter().any(|slot| !matches!(slot, Ok(Some(_)))) {
            tracing::warn!(?causes, "one of two counts of the link cannot be read; what may lie between them counts as spent");
            kept.spent.count(Class::Images, step);
        }
        Found::Kept(kept)
    }

    /// When this returns, no kill and no power cut takes it back.
    pub(super) fn write(&self, kept: &Kept) -> Result<(), PrivateFileError> {
        let mut inner = self.lock();
        let (number, reserve) = (inner.next, inner.reserve.clone());
        reserve.lend(|| inner.place.write(number, encode(number, kept)))?;
        inner.next = number.wrapping_add(1);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// `None` when there never was one.
    fn read(&self, slot: usize) -> Result<Option<(u64, Kept)>, String> {
        let bytes = match self {
            Self::Dir(dir) => private_file::read(&path(dir, slot), MAX).map_err(|error| error.to_string())?,
            Self::Memory(slots) => slots.get(slot).filter(|bytes| !bytes.is_empty()).cloned(),
        };
        bytes.map(|bytes| decode(&bytes).ok_or_else(|| format!("spent.{slot} is damaged"))).transpose()
    }

    fn write(&mut self, number: u64, bytes: Vec<u8>) -> Result<(), PrivateFileError> {
        let slot = usize::from(number % 2 == 1);
        match self {
            Self::Dir(dir) => return private_file::write(&path(dir, slot), &bytes),
            Self::Memory(slots) => slots.fill(bytes),
        }
        Ok(())
    }
}

fn path(dir: &Path, slot: usize) -> PathBuf {
    dir.join(format!("spent.{slot}"))
}

fn encode(number: u64, kept: &Kept) -> Vec<u8> {
    let mut body: Vec<u8> = [number, kept.told[0], kept.told[1]].into_iter().flat_map(u64::to_le_bytes).collect();
    body.extend(v1::Spent::from(&kept.spent).encode());
    [&[VERSION], Digest::of(&body).as_bytes().as_slice(), &body].concat()
}

/// `None` for what is damaged, or of another version.
fn decode(bytes: &[u8]) -> Option<(u64, Kept)> {
    let (version, rest) = bytes.split_first()?;
    let (sum, body) = rest.split_at_checked(32)?;
    if *version != VERSION || Digest::of(body).as_bytes() != sum {
        return None;
    }
    let (number, rest) = body.split_first_chunk().map(|(number, rest)| (u64::from_le_bytes(*number), rest))?;
    let (day, rest) = rest.split_first_chunk().map(|(day, rest)| (u64::from_le_bytes(*day), rest))?;
    let (month, rest) = rest.split_first_chunk().map(|(month, rest)| (u64::from_le_bytes(*month), rest))?;
    Some((number, Kept { spent: v1::Spent::decode(rest).ok()?.into(), told: [day, month] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(images: u64) -> Kept {
        let mut spent = Spent::default();
        spent.count(Class::Images, images);
        Kept { spent, told: [7, 0] }
    }

    fn open(dir: &tempfile::TempDir, store: &Store) -> Record {
        Record::open(dir.path(), store, Reserve::none())
    }

    fn used() -> Store {
        let store = Store::in_memory().expect("store");
        store.write(vec![("accepted".into(), Some(vec![1]))]).expect("write");
        store
    }

    #[test]
    fn the_bytes_of_a_file_stay_what_they_are() {
        let golden = concat!(
            "01",
            "dc643ccaf30138ac173c4880249a8f9c21844255e40d031c70b3a7c070e00f02",
            "050000000000000007000000000000000000000000000000",
            "010000000000ac020000000000ac02",
        );
        let hex: String = encode(5, &kept(300)).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden);
        assert_eq!(decode(&encode(5, &kept(300))), Some((5, kept(300))));
        let whole = encode(5, &kept(300));
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert_eq!((decode(&damaged), decode(&whole[..at])), (None, None), "{at}");
        }
    }

    #[test]
    fn the_newer_file_counts_and_a_damaged_one_forgets_nothing() {
        let (dir, store) = (tempfile::tempdir().expect("dir"), Store::in_memory().expect("store"));
        assert_eq!(open(&dir, &store).found(), Found::New);
        for images in [10, 20, 30] {
            open(&dir, &store).write(&kept(images)).expect("write");
            assert_eq!(open(&dir, &store).found(), Found::Kept(kept(images)));
        }
        let damage = |slot| std::fs::write(path(dir.path(), slot), b"garbage").expect("damage");
        for slot in [0, 1] {
            let record = open(&dir, &store);
            (0..3).for_each(|_| record.write(&kept(40)).expect("write"));
            damage(slot);
            let Found::Kept(found) = open(&dir, &store).found() else { panic!("the other one is there") };
            assert!(found.spent.day.counts.images >= 40, "{found:?}");
            assert_eq!(open(&dir, &store).found(), Found::Kept(found), "once");
        }
        damage(0);
        damage(1);
        assert!(matches!(open(&dir, &store).found(), Found::Lost(_)));
        (0..2).for_each(|slot| std::fs::remove_file(path(dir.path(), slot)).expect("remove"));
        assert!(matches!(open(&dir, &store).found(), Found::Lost(_)), "a node that is not new");
    }

    #[test]
    fn a_store_of_before_there_were_budgets_has_lost_nothing() {
        let (dir, store) = (tempfile::tempdir().expect("dir"), used());
        assert_eq!(open(&dir, &store).found(), Found::New);
        assert_eq!(open(&dir, &store).found(), Found::Kept(Kept::default()));
        (0..2).for_each(|slot| std::fs::remove_file(path(dir.path(), slot)).expect("remove"));
        assert!(matches!(open(&dir, &store).found(), Found::Lost(_)), "now they were made");
    }

    #[test]
    fn what_lay_in_the_store_is_taken_over_once() {
        let (dir, store) = (tempfile::tempdir().expect("dir"), used());
        let before = v1::Spent::from(&kept(50).spent).encode();
        store.write(vec![(IN_STORE.into(), Some(before))]).expect("write");
        let expected = Found::Kept(Kept { told: [0, 0], ..kept(50) });
        assert_eq!((open(&dir, &store).found(), store.get(IN_STORE)), (expected.clone(), None));
        assert_eq!(open(&dir, &store).found(), expected);
    }
}
