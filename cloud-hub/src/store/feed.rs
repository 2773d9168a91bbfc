//! What changed lately: a bounded history in memory that every store implementation keeps beside its disk.
//!
//! It begins empty at every start, so a watcher that comes back with an older revision is told to list anew.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Changed, PAGE_MAX, StoreError, Watch};

/// Changed keys that are remembered: about 4 MB of memory at 64 bytes per key.
pub(crate) const HISTORY_MAX: usize = 65_536;

/// The newest revision, who waits for the next one, and the changes before it.
#[derive(Debug)]
pub(crate) struct Feed {
    history: Mutex<History>,
    wake: watch::Sender<u64>,
}

#[derive(Debug)]
struct History {
    /// Everything after this revision is in `changes`.
    oldest: u64,
    newest: u64,
    changes: VecDeque<Changed>,
}

impl Feed {
    /// A store that was opened at `revision`.
    pub(crate) fn new(revision: u64) -> Self {
        let history = History { oldest: revision, newest: revision, changes: VecDeque::new() };
        Self { history: Mutex::new(history), wake: watch::Sender::new(revision) }
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().newest
    }

    /// A commit became durable: `keys` were written at `revision`.
    pub(crate) fn publish(&self, revision: u64, keys: impl IntoIterator<Item = String>) {
        self.lock().push(revision, keys);
        self.wake.send_replace(revision);
    }

    /// See [`super::Store::changes`].
    pub(crate) fn since(&self, after: u64, limit: usize) -> Result<Vec<Changed>, StoreError> {
        self.lock().since(after, limit)
    }

    /// See [`super::Store::watch`].
    pub(crate) fn watch(&self) -> Watch {
        Watch::new(self.wake.subscribe())
    }

    /// The history holds plain values, so a panic elsewhere cannot have left it half changed.
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn push(&mut self, revision: u64, keys: impl IntoIterator<Item = String>) {
        self.newest = revision;
        self.changes.extend(keys.into_iter().map(|key| Changed { revision, key }));
        while self.changes.len() > HISTORY_MAX {
            let Some(forgotten) = self.changes.pop_front() else { break };
            self.oldest = forgotten.revision;
        }
        // Half a commit is worth nothing: what is left of the forgotten revision goes too.
        while self.changes.front().is_some_and(|change| change.revision <= self.oldest) {
            self.changes.pop_front();
        }
    }

    fn since(&self, after: u64, limit: usize) -> Result<Vec<Changed>, StoreError> {
        if after < self.oldest || after > self.newest {
            return Err(StoreError::Compacted { oldest: self.oldest });
        }
        let limit = limit.clamp(1, PAGE_MAX);
        let begin = self.changes.partition_point(|change| change.revision <= after);
        let mut page: Vec<Changed> = Vec::new();
        for change in self.changes.range(begin..) {
            if page.len() >= limit && page.last().is_some_and(|last| last.revision != change.revision) {
                break;
            }
            page.push(change.clone());
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(feed: &Feed, after: u64, limit: usize) -> Result<Vec<String>, String> {
        let page = feed.since(after, limit).map_err(|error| error.to_string())?;
        Ok(page.into_iter().map(|change| format!("{}:{}", change.revision, change.key)).collect())
    }

    #[test]
    fn pages_never_split_a_commit() {
        let feed = Feed::new(7);
        feed.publish(8, ["a".into(), "b".into(), "c".into()]);
        feed.publish(9, ["d".into()]);
        assert_eq!(keys(&feed, 7, 2), Ok(vec!["8:a".into(), "8:b".into(), "8:c".into()]));
        assert_eq!(keys(&feed, 8, 2), Ok(vec!["9:d".into()]));
        assert_eq!(keys(&feed, 9, 2), Ok(vec![]));
    }

    #[test]
    fn what_is_older_than_the_history_or_newer_than_the_store_must_list_anew() {
        let feed = Feed::new(7);
        assert!(matches!(feed.since(6, 9), Err(StoreError::Compacted { oldest: 7 })));
        assert!(matches!(feed.since(8, 9), Err(StoreError::Compacted { oldest: 7 })), "a restored backup");
        for revision in 8..=8 + HISTORY_MAX as u64 {
            feed.publish(revision, [format!("k{revision}")]);
        }
        assert!(matches!(feed.since(7, 9), Err(StoreError::Compacted { oldest: 8 })));
        assert_eq!(keys(&feed, 8, 1), Ok(vec!["9:k9".into()]));
    }

    #[test]
    fn a_commit_larger_than_the_history_leaves_nothing_of_itself() {
        let feed = Feed::new(0);
        feed.publish(1, (0..=HISTORY_MAX).map(|n| n.to_string()));
        assert!(matches!(feed.since(0, 9), Err(StoreError::Compacted { oldest: 1 })));
        assert_eq!(keys(&feed, 1, 9), Ok(vec![]));
    }
}
