//! What a node's link carried of images, counted from outside: no quota of a day is passed by more than one frame, and
//! nothing comes while somebody on site holds it.
//!
//! It counts nothing that the node counts, and knows nothing of how the node decides. What it takes from the node is what
//! the node holds, and the time on its wall: a day that is later than all before gives a quota, and so does a day that the
//! node ran while its clock stood before that.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use edge_node::clock::Clock;
use edge_node::held::Holding;
use shared::budget::Budget;
use shared::id::{Digest, Name};
use shared::wire::v1::{Down, Frame};
use tokio::time::Instant;

use super::catalog::Catalog;
use super::history::History;

/// What was asked for before a change may come so long after it.
const GRACE: Duration = Duration::from_secs(90);
/// In milliseconds.
const DAY: u64 = 24 * 3600 * 1000;

/// Looks at one node's line.
pub struct Meter {
    node: Name,
    catalog: Arc<Catalog>,
    history: Arc<History>,
    past: Mutex<Past>,
}

struct Past {
    clock: Clock,
    /// Answers that came, each of which counts once.
    answered: BTreeSet<u32>,
    span: Option<Span>,
    paused: Option<Instant>,
}

/// A budget in force without a break.
struct Span {
    budget: Budget,
    since: Instant,
    /// The latest day so far.
    day: u64,
    /// How many quotas there were.
    quotas: u64,
    bytes: u64,
}

impl Meter {
    /// Nothing came yet.
    pub fn new(node: Name, clock: Clock, catalog: Arc<Catalog>, history: Arc<History>) -> Self {
        let past = Past { clock, answered: BTreeSet::new(), span: None, paused: None };
        Self { node, catalog, history, past: Mutex::new(past) }
    }

    /// A daemon starts, by this clock.
    pub fn starts(&self, clock: Clock) {
        let mut past = self.past();
        past.clock = clock;
        past.answered.clear();
    }

    /// The node holds this from now on.
    pub fn holds(&self, holding: &Holding) {
        let mut past = self.past();
        let budget = holding.desired.budget.as_ref();
        if past.span.as_ref().map(|span| &span.budget) != budget {
            let span = |budget: &Budget| Span { budget: budget.clone(), since: Instant::now(), day: 0, quotas: 0, bytes: 0 };
            past.span = budget.map(span);
        }
        past.paused = holding.paused.all.then(|| past.paused.unwrap_or_else(Instant::now));
    }

    /// A message of the hub reached the node.
    pub fn arrived(&self, message: &Bytes) {
        // Releases are no images: they never wait.
        let Ok(Down::Frame(Frame { request, blob, data, .. })) = Down::decode(message) else { return };
        let blob = Digest::from_bytes(blob);
        let mut past = self.past();
        if self.catalog.all.iter().any(|published| published.id == blob) || !past.answered.insert(request) {
            return;
        }
        if past.paused.is_some_and(|since| since.elapsed() > GRACE) {
            self.history.violated(format!("{}: {} bytes of an image came while all were paused", self.node, data.len()));
        }
        let wall = past.clock.now().wall;
        let Some(span) = past.span.as_mut().filter(|span| span.since.elapsed() > GRACE) else { return };
        let Some(quota) = span.budget.per_day else { return };
        let minutes = i64::from(span.budget.zone.minutes());
        let day = wall.0.saturating_add_signed(minutes * 60_000) / DAY;
        if day > span.day || span.quotas == 0 {
            (span.day, span.quotas) = (day, span.quotas + 1);
        }
        let ran = u64::try_from(span.since.elapsed().as_millis()).unwrap_or(u64::MAX) / DAY;
        if span.bytes >= quota * (span.quotas + ran) {
            let Span { budget, bytes, quotas, .. } = span;
            let what = format!("{bytes} bytes had come of {budget:?} in {quotas} days, and then {} more", data.len());
            self.history.violated(format!("{}: {what}", self.node));
        }
        span.bytes += data.len() as u64;
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
