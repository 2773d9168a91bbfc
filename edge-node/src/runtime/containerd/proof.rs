//! What is known about the layers on this disk, in a life of the daemon that began in doubt.
//!
//! ```text
//! nothing known ──shape──▶ Shape: starts ──content, in the background──▶ Whole
//!              └────────── Damaged: nothing starts ◀──┘      └─▶ all layers Whole: believed
//! ```
//!
//! In every other life all layers count as whole, and nothing is looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::Digest;
use tokio::sync::Notify;

use crate::boot::Boot;

/// How far a layer was compared with its fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It differs.
    Damaged,
    /// Every file is there and has its size.
    Shape,
    /// Every byte is there, or there is nothing to compare with.
    Whole,
}

/// The proofs of one containerd namespace. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Proofs {
    boot: Arc<Boot>,
    layers: Arc<Mutex<BTreeMap<Digest, Proof>>>,
    /// Somebody should look again.
    wake: Arc<Notify>,
}

/// Images by what is known about their layers.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Judged {
    pub(super) ready: BTreeSet<Digest>,
    pub(super) doubtful: BTreeSet<Digest>,
    pub(super) damaged: BTreeSet<Digest>,
}

impl Proofs {
    /// Proofs for a life that begins as `boot` says. `wake` is told when a layer turns out damaged, or all are whole.
    pub fn new(boot: Arc<Boot>, wake: Arc<Notify>) -> Self {
        Self { boot, layers: Arc::default(), wake }
    }

    /// Whether layers are in doubt at all.
    pub(super) fn is_doubtful(&self) -> bool {
        self.boot.is_doubtful()
    }

    /// What is known about a layer.
    pub(super) fn of(&self, chain: Digest) -> Option<Proof> {
        if self.boot.is_doubtful() { self.lock().get(&chain).copied() } else { Some(Proof::Whole) }
    }

    /// Notes what was found out about a layer.
    pub(super) fn note(&self, chain: Digest, proof: Proof) {
        if self.boot.is_doubtful() {
            if proof == Proof::Damaged {
                tracing::error!(layer = %chain.short(), "a layer is damaged");
            }
            self.lock().insert(chain, proof);
            self.wake.notify_one();
        }
    }

    /// Notes what reading all of a layer showed of which only the shape was known, unless somebody found out more meanwhile.
    pub(super) fn settle(&self, chain: Digest, proof: Proof) {
        if self.of(chain) == Some(Proof::Shape) {
            self.note(chain, proof);
        }
    }

    /// Sorts images, given with the chain ids of their layers. When all layers of images are whole, and all `others` that an
    /// image may be made of later, the doubt is over.
    pub(super) fn judge(&self, images: &BTreeMap<Digest, Vec<Digest>>, others: impl IntoIterator<Item = Digest>) -> Judged {
        let mut judged = Judged::default();
        for (image, chain) in images {
            let proofs = || chain.iter().map(|layer| self.of(*layer));
            let of_them = if proofs().any(|proof| proof == Some(Proof::Damaged)) {
                &mut judged.damaged
            } else if proofs().all(|proof| proof.is_some()) {
                &mut judged.ready
            } else {
                &mut judged.doubtful
            };
            of_them.insert(*image);
        }
        let mut all = images.values().flatten().copied().chain(others);
        if self.boot.is_doubtful() && all.all(|layer| self.of(layer) == Some(Proof::Whole)) {
            match self.boot.believe() {
                Ok(()) => self.lock().clear(),
                Err(error) => tracing::warn!(%error, "all images are verified, which could not be remembered"),
            }
        }
        judged
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, Proof>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_what_its_layers_are() {
        let dir = tempfile::tempdir().unwrap();
        Boot::begin(dir.path(), true).unwrap();
        let boot = Arc::new(Boot::begin(dir.path(), true).unwrap());
        let proofs = Proofs::new(boot.clone(), Arc::default());
        let [a, b, base, top, other] = ["a", "b", "base", "top", "other"].map(|text| Digest::of(text.as_bytes()));
        let images = [(a, vec![base, top]), (b, vec![base, other])].into();
        let set = |ids: &[Digest]| ids.iter().copied().collect::<BTreeSet<_>>();
        let expect = |layer, proof, [ready, doubtful, damaged]: [&[Digest]; 3]| {
            proofs.note(layer, proof);
            let expected = Judged { ready: set(ready), doubtful: set(doubtful), damaged: set(damaged) };
            assert_eq!(proofs.judge(&images, []), expected, "{proof:?}");
        };
        expect(base, Proof::Shape, [&[], &[a, b], &[]]);
        expect(top, Proof::Whole, [&[a], &[b], &[]]);
        expect(other, Proof::Damaged, [&[a], &[], &[b]]);
        expect(base, Proof::Damaged, [&[], &[], &[a, b]]);
        expect(base, Proof::Whole, [&[a], &[], &[b]]);
        assert!(boot.is_doubtful());
        expect(other, Proof::Whole, [&[a, b], &[], &[]]);
        assert!(!boot.is_doubtful());
        expect(other, Proof::Damaged, [&[a, b], &[], &[]]); // said too late
    }
}
