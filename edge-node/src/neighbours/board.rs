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
    /// Layers that come over the link, and how many bytes are there.
    brought: BTreeMap<Digest, u64>,
    /// Layers that come from neighbours.
    taking: usize,
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
        self.lock().brought.insert(layer, 0);
        Brings { board: self.clone(), layer }
    }

    pub(super) fn take(&self) -> Takes {
        self.lock().taking += 1;
        Takes(self.clone())
    }

    pub(super) fn is_taking(&self) -> bool {
        self.lock().taking > 0
    }

    pub(super) fn stage(&self, layer: Digest) -> Stage {
        let doing = self.lock();
        match doing.brought.get(&layer) {
            Some(done) => Stage::Brings(*done),
            None if doing.wanted.contains_key(&layer) => Stage::Wants,
            None => Stage::Lacks,
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
            if let Some(count) = doing.wanted.get_mut(layer) {
                *count -= 1;
                if *count == 0 {
                    doing.wanted.remove(layer);
                }
            }
        }
    }
}

/// Says that this node brings a layer over the link.
pub struct Brings {
    board: Board,
    layer: Digest,
}

impl Brings {
    /// So many bytes are there.
    pub fn tell(&self, done: u64) {
        if let Some(here) = self.board.lock().brought.get_mut(&self.layer) {
            *here = done;
        }
    }
}

impl Drop for Brings {
    fn drop(&mut self) {
        self.board.lock().brought.remove(&self.layer);
    }
}

/// A layer is coming from neighbours.
pub(super) struct Takes(Board);

impl Drop for Takes {
    fn drop(&mut self) {
        self.0.lock().taking -= 1;
    }
}
