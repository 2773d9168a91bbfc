//! Writes the fleet's lives to the store: news within a second, the rest once an hour. So an idle fleet costs
//! the disk next to nothing, and after a restart people see what they saw before, with its age.

use std::time::Duration;

use shared::id::Name;
use shared::time::{UnixMillis, backoff};

use super::{Fleet, Unsaved};
use crate::hub::Hub;
use crate::records::{FLEET, Stored, key};
use crate::stop::{Stop, stopped};
use crate::store::{Change, StoreError};

/// How long news may wait.
const NEWS: Duration = Duration::from_secs(1);
/// How long the rest may wait, in milliseconds.
const QUIET_MS: u64 = 3_600_000;
/// Most nodes of one commit.
const BATCH: usize = 256;

/// Which nodes are due at `now`; all that have anything unsaved when `all` is set.
fn due(fleet: &Fleet, now: UnixMillis, all: bool) -> Vec<Name> {
    let is_due = |unsaved: Unsaved, saved: UnixMillis| match unsaved {
        Unsaved::Nothing => false,
        Unsaved::News => true,
        Unsaved::Quiet => all || now.0.saturating_sub(saved.0) >= QUIET_MS,
    };
    fleet.nodes.iter().filter(|(_, life)| is_due(life.unsaved, life.saved)).map(|(name, _)| name.clone()).collect()
}

impl Hub {
    /// Writes as long as the hub runs, and everything once more when `stop` says so.
    pub async fn keep_fleet(&self, mut stop: Stop) {
        let mut failures = 0;
        loop {
            let stopped = tokio::select! {
                () = tokio::time::sleep(NEWS + backoff(failures)) => false,
                () = stopped(&mut stop) => true,
            };
            match self.save_fleet(stopped).await {
                Ok(()) => failures = 0,
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the fleet's state was not written; it stays in memory");
                }
            }
            if stopped {
                return;
            }
        }
    }

    /// Writes what is due, or everything.
    pub async fn save_fleet(&self, all: bool) -> Result<(), StoreError> {
        let now = self.now();
        let names = due(&self.fleet(), now, all);
        for batch in names.chunks(BATCH) {
            let changes = self.lives(batch, now);
            if let Err(error) = self.store.commit(changes, Vec::new()).await {
                self.unsaved_again(batch);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The records of `names`, marked as saved: what comes while they are written makes them due again.
    fn lives(&self, names: &[Name], now: UnixMillis) -> Vec<Change> {
        let mut fleet = self.fleet();
        let mut changes = Vec::with_capacity(names.len());
        for name in names {
            if let Some(life) = fleet.nodes.get_mut(name) {
                life.unsaved = Unsaved::Nothing;
                life.saved = now;
                changes.push(Change::put(key(FLEET, name), life.to_record().encode()));
            }
        }
        changes
    }

    fn unsaved_again(&self, names: &[Name]) {
        let mut fleet = self.fleet();
        for name in names {
            if let Some(life) = fleet.nodes.get_mut(name) {
                life.unsaved = Unsaved::News;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Life;
    use super::*;

    #[test]
    fn news_are_due_at_once_and_the_rest_after_an_hour() {
        let life = |unsaved, saved| Life { unsaved, saved: UnixMillis(saved), ..Life::default() };
        let now = UnixMillis(QUIET_MS + 10);
        for (life, due_now, due_at_stop) in [
            (life(Unsaved::Nothing, 0), false, false),
            (life(Unsaved::News, now.0), true, true),
            (life(Unsaved::Quiet, 11), false, true),
            (life(Unsaved::Quiet, 10), true, true),
        ] {
            let name = Name::new("n1").expect("name");
            let fleet = Fleet { nodes: [(name, life.clone())].into(), ..Fleet::default() };
            assert_eq!(!due(&fleet, now, false).is_empty(), due_now, "{life:?}");
            assert_eq!(!due(&fleet, now, true).is_empty(), due_at_stop, "{life:?}");
        }
    }
}
