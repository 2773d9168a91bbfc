//! The journal: numbered, crash-safe record of what happened on this node, for people here and at the hub.

use std::sync::Arc;

use shared::fault::Fault;
use shared::id::Name;
use shared::report::Event;
use shared::time::UnixMillis;
use shared::wire::v1;
use tokio::sync::watch;

use crate::store::{JOURNAL_MAX, Store, StoreError};

/// The oldest entry the hub has not confirmed, as a record.
const CONFIRMED: &str = "journal-confirmed";
/// Most entries in one message.
const BATCH: usize = 32;

/// The node's journal. Entries are numbered from 0 without gaps.
pub struct Journal {
    store: Arc<Store>,
    next: watch::Sender<u64>,
}

impl Journal {
    /// The journal of `store`.
    pub fn new(store: Arc<Store>) -> Self {
        let journal = Self { next: watch::Sender::default(), store };
        // The hub may have entries whose confirmation was not heard, and takes no number twice.
        journal.store.skip_lost_entries(journal.confirmed().saturating_add(JOURNAL_MAX));
        journal.next.send_replace(journal.store.next_entry());
        journal
    }

    /// Adds an entry. A journal that cannot be written must not stop the loop: the entry is lost and the log says so.
    pub fn record(&self, wall: UnixMillis, app: Option<&Name>, what: Fault) {
        tracing::info!(app = app.map(Name::as_str), code = %what.code, "{what}");
        let entry = |number| Event { number, wall, app: app.cloned(), what: what.clone() };
        match self.store.append(1, |_, number| v1::Event::from(&entry(number)).encode()) {
            Ok(()) => _ = self.next.send_replace(self.store.next_entry()),
            Err(error) => tracing::warn!(%error, "an event is lost"),
        }
    }

    /// The number the next entry will get.
    pub fn next(&self) -> u64 {
        self.store.next_entry()
    }

    /// Up to `limit` entries from number `from` on.
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows = self.store.journal(from, limit)?;
        Ok(rows.iter().filter_map(|(_, bytes)| v1::Event::decode(bytes).ok()?.try_into().ok()).collect())
    }

    /// The next entries the hub has not confirmed; empty when it has all.
    pub fn unconfirmed(&self) -> Result<Vec<v1::Event>, StoreError> {
        let rows = self.store.journal(self.confirmed(), BATCH)?;
        Ok(rows.iter().filter_map(|(_, bytes)| v1::Event::decode(bytes).ok()).collect())
    }

    /// All entries the hub has not confirmed, the oldest first: at most `limit`, and at most `bytes` as they are stored.
    pub fn unconfirmed_within(&self, limit: usize, bytes: usize) -> Result<Vec<Event>, StoreError> {
        let rows = self.store.journal(self.confirmed(), limit)?;
        let mut left = bytes;
        let fits = |(_, row): &&(u64, Vec<u8>)| {
            let fits = row.len() <= left;
            left = left.saturating_sub(row.len());
            fits
        };
        Ok(rows.iter().take_while(fits).filter_map(|(_, bytes)| v1::Event::decode(bytes).ok()?.try_into().ok()).collect())
    }

    /// The oldest number the hub has not confirmed.
    pub fn confirmed(&self) -> u64 {
        let record = self.store.get(CONFIRMED).and_then(|bytes| <[u8; 8]>::try_from(bytes.as_slice()).ok());
        record.map_or(0, u64::from_be_bytes)
    }

    /// The hub has all entries below `below`.
    pub fn confirm(&self, below: u64) -> Result<(), StoreError> {
        let below = below.min(self.store.next_entry());
        if below <= self.confirmed() {
            return Ok(());
        }
        self.store.write(vec![(CONFIRMED.to_owned(), Some(below.to_be_bytes().to_vec()))])
    }

    /// Wakes on every new entry.
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use shared::fault::node;

    use super::*;
    use crate::reserve::Reserve;

    #[test]
    fn entries_wait_until_the_hub_has_them() {
        let store = Arc::new(Store::in_memory().expect("store"));
        let journal = Journal::new(store.clone());
        for _ in 0..BATCH + 1 {
            journal.record(UnixMillis(5), None, Fault::new(&node::STATE_REPAIRED));
        }
        assert_eq!(journal.unconfirmed().expect("read").len(), BATCH);
        journal.confirm(BATCH as u64).expect("confirm");
        journal.confirm(3).expect("an old confirmation changes nothing");
        let left: Vec<u64> = Journal::new(store).unconfirmed().expect("read").iter().map(|event| event.number).collect();
        assert_eq!(left, [BATCH as u64]);
        assert_eq!(journal.entries(1, 2).expect("read").iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn after_a_damaged_file_no_number_comes_twice() {
        let dir = tempfile::tempdir().expect("dir");
        let journal = Journal::new(Arc::new(Store::open(dir.path(), Reserve::none()).expect("store").0));
        for _ in 0..9 {
            journal.record(UnixMillis(5), None, Fault::new(&node::STATE_REPAIRED));
        }
        journal.confirm(7).expect("confirm");
        drop(journal);
        std::fs::write(dir.path().join("state.redb"), "garbage").expect("damage");
        let journal = Journal::new(Arc::new(Store::open(dir.path(), Reserve::none()).expect("store").0));
        journal.record(UnixMillis(6), None, Fault::new(&node::STATE_REPAIRED));
        let next: Vec<u64> = journal.unconfirmed().expect("read").iter().map(|event| event.number).collect();
        assert_eq!(next, [7 + JOURNAL_MAX]);
    }
}
