//! Whom a node waits for while it wants a layer.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use shared::id::{Digest, Name};
use shared::neighbour::claim::{Claim, Measure};
use shared::neighbour::{Stage, score};
use tokio::time::Instant;

/// Whoever wants a layer and has not begun after so long is not waited for.
const GRACE: Duration = Duration::from_secs(20);

/// What the others said of one layer so far.
pub(super) struct Waiting {
    layer: Digest,
    /// Bytes of the layer, as its publisher compressed it.
    size: u64,
    seen: BTreeMap<Name, Seen>,
}

/// What one said so far. That it wants or brings the layer is news only once: whoever says the one and the other in turn gains
/// nothing.
struct Seen {
    stage: Stage,
    wants: bool,
    /// Since when it brings it.
    brings: Option<Instant>,
    /// When it last got on.
    on: Instant,
    /// By how much it did.
    told: u64,
}

impl Waiting {
    /// For a layer of `size` bytes, as its publisher compressed it.
    pub(super) const fn new(layer: Digest, size: u64) -> Self {
        Self { layer, size, seen: BTreeMap::new() }
    }

    /// What the others say of the layer, without those that have not got on for too long, when the `link` gave this node so
    /// many bytes per second lately. Of those that only want it one after the other is given up, the chosen one first, so
    /// that the next one begins before all do.
    pub(super) fn without_idlers(&mut self, mut stages: BTreeMap<Name, Stage>, link: u64, now: Instant) -> BTreeMap<Name, Stage> {
        for (name, stage) in &stages {
            self.seen.entry(name.clone()).or_insert(Seen::new(now)).says(*stage, now);
        }
        let by = Measure { size: self.size, nodes: stages.len() + 1, link };
        let is_credible = |name: &Name| self.seen.get(name).is_some_and(|seen| seen.claim(now).is_credible(by));
        stages.retain(|name, stage| !matches!(stage, Stage::Brings(_)) || is_credible(name));
        if stages.values().any(|stage| matches!(stage, Stage::Brings(_))) {
            // Whoever brings it may vanish: then the time of the others begins.
            self.seen.values_mut().filter(|seen| seen.stage == Stage::Wants).for_each(|seen| seen.on = now);
            return stages;
        }
        let wanting = stages.iter().filter(|(_, stage)| **stage == Stage::Wants).map(|(name, _)| name.clone());
        let mut wanting: Vec<Name> = wanting.collect();
        wanting.sort_by_cached_key(|name| Reverse(score(name, self.layer)));
        for (patience, name) in (1..).map(|rank| GRACE * rank).zip(wanting) {
            if self.seen.get(&name).is_some_and(|seen| now - seen.on >= patience) {
                stages.remove(&name);
            }
        }
        stages
    }
}

impl Seen {
    const fn new(now: Instant) -> Self {
        Self { stage: Stage::Lacks, wants: false, brings: None, on: now, told: 0 }
    }

    fn says(&mut self, stage: Stage, now: Instant) {
        let new = match (self.stage, stage) {
            (Stage::Brings(before), Stage::Brings(told)) => told.saturating_sub(before),
            _ => 0,
        };
        let begins = match stage {
            Stage::Wants => !std::mem::replace(&mut self.wants, true),
            Stage::Brings(_) => *self.brings.get_or_insert(now) == now,
            Stage::Lacks | Stage::Has => false,
        };
        if new > 0 || begins {
            self.on = now;
        }
        (self.stage, self.told) = (stage, self.told.saturating_add(new));
    }

    fn claim(&self, now: Instant) -> Claim {
        let waited = self.brings.map_or(Duration::ZERO, |since| now - since);
        Claim { waited, idle: now - self.on, told: self.told }
    }
}
