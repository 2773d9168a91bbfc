//! What this node is doing about layers, for whoever asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::Digest;
use shared::neighbour::Stage;

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
    pub fn tell(&self, new: u64) {
        let mut doing = self.board.lock();
        doing.done = doing.done.saturating_add(new);
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
