//! What this node is doing about layers, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::id::Digest;
use shared::neighbour::Stage;
use tokio::time::Instant;

/// Bytes that come with a longer pause between them are measured anew …
const GAP: Duration = Duration::from_secs(10);
/// … and so are those of a longer time: links change.
const SPAN_MAX: Duration = Duration::from_secs(60);
/// What came in less time is no measure.
const SPAN_MIN: Duration = Duration::from_secs(5);
/// What the link gave so long ago says nothing.
const STALE: Duration = Duration::from_secs(3600);

/// Layers that this node wants or brings. Cheap to clone; clones share.
#[derive(Clone, Default)]
pub(super) struct Board(Arc<Mutex<Doing>>);

#[derive(Default)]
struct Doing {
    /// How often each layer is wanted.
    wanted: BTreeMap<Digest, usize>,
    /// How often each layer is brought over the link.
    brought: BTreeMap<Digest, usize>,
    /// Grows as this node gets on with any of them.
    done: u64,
    link: Link,
}

/// What the link gives this node while it brings layers.
#[derive(Default)]
struct Link {
    /// When the bytes began that are measured now, when they last came, and how many they are.
    flow: Option<(Instant, Instant, u64)>,
    /// Bytes per second, and when that was.
    lately: Option<(u64, Instant)>,
}

impl Link {
    fn gave(&mut self, new: u64, now: Instant) {
        let is_one = |(began, last, _): &(Instant, Instant, u64)| now - *last < GAP && now - *began < SPAN_MAX;
        let Some((began, _, bytes)) = self.flow.filter(is_one) else {
            self.flow = Some((now, now, 0));
            return;
        };
        let (bytes, span) = (bytes.saturating_add(new), now - began);
        self.flow = Some((began, now, bytes));
        if span >= SPAN_MIN {
            self.lately = Some((bytes / span.as_secs(), now));
        }
    }
}

impl Board {
    pub(super) fn want(&self, layers: impl IntoIterator<Item = Digest>) -> Wants {
        let layers: Vec<Digest> = layers.into_iter().collect();
        let mut doing = self.lock();
        for layer in &layers {
            *doing.wanted.entry(*layer).or_default() += 1;
        }
        Wants { board: self.clone(), layers }
    }

    pub(super) fn bring(&self, layer: Digest) -> Brings {
        *self.lock().brought.entry(layer).or_default() += 1;
        Brings { board: self.clone(), layer }
    }

    /// Bytes per second that the link gave this node when it brought something lately; 0 when it did not.
    pub(super) fn link(&self, now: Instant) -> u64 {
        self.lock().link.lately.filter(|(_, at)| now - *at < STALE).map_or(0, |(rate, _)| rate)
    }

    pub(super) fn stage(&self, layer: Digest) -> Stage {
        let doing = self.lock();
        if doing.brought.contains_key(&layer) {
            Stage::Brings(doing.done)
        } else if doing.wanted.contains_key(&layer) {
            Stage::Wants
        } else {
            Stage::Lacks
        }
    }

    fn lock(&self) -> MutexGuard<'_, Doing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says that this node wants layers.
pub struct Wants {
    board: Board,
    layers: Vec<Digest>,
}

impl Drop for Wants {
    fn drop(&mut self) {
        let mut doing = self.board.lock();
        for layer in &self.layers {
            once_less(&mut doing.wanted, *layer);
        }
    }
}

/// Says that this node brings a layer over the link.
pub struct Brings {
    board: Board,
    layer: Digest,
}

impl Brings {
    /// So many bytes came.
    pub fn tell(&self, new: u64, now: Instant) {
        let mut doing = self.board.lock();
        doing.done = doing.done.saturating_add(new);
        doing.link.gave(new, now);
    }
}

impl Drop for Brings {
    fn drop(&mut self) {
        once_less(&mut self.board.lock().brought, self.layer);
    }
}

fn once_less(counts: &mut BTreeMap<Digest, usize>, layer: Digest) {
    if let Some(count) = counts.get_mut(&layer) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&layer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_link_gives_is_measured_while_it_flows() {
        let (board, start) = (Board::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let brings = board.bring(Digest::of(b"layer"));
        assert_eq!(board.link(start), 0);
        brings.tell(5_000_000, at(0)); // It came before anybody looked.
        (1..=4).for_each(|second| brings.tell(8000, at(second)));
        assert_eq!(board.link(at(4)), 0, "too short a time");
        (5..=30).for_each(|second| brings.tell(8000, at(second)));
        assert_eq!(board.link(at(30)), 8000);
        brings.tell(90_000_000, at(100));
        assert_eq!(board.link(at(101)), 8000, "a pause is no part of it");
        (101..=300).for_each(|second| brings.tell(1000, at(second)));
        assert_eq!(board.link(at(300)), 1000, "another link");
        assert_eq!(board.link(at(300 + 3600)), 0);
    }
}
