//! Images on their way, for whoever wants to see how far they are, at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::fault::{Fault, budget};
use shared::id::Digest;
use shared::report::Transfer;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Progress;

/// The images that are being fetched, and those that an on-site operator holds. Cheap to clone; clones share.
#[derive(Debug, Clone, Default)]
pub struct Transfers(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    moving: BTreeMap<Digest, watch::Receiver<Progress>>,
    paused: BTreeSet<Digest>,
    /// How far an image was when it was last on its way.
    left: BTreeMap<Digest, Progress>,
}

impl Transfers {
    /// From now on the image is on its way; whoever fetches it says how far it is.
    pub fn begin(&self, image: Digest) -> watch::Sender<Progress> {
        let (tell, progress) = watch::channel(Progress::default());
        self.lock().moving.insert(image, progress);
        tell
    }

    /// It arrived, or was given up.
    pub fn end(&self, image: Digest) {
        let mut state = self.lock();
        if let Some(progress) = state.moving.remove(&image) {
            let progress = progress.borrow().clone();
            state.left.insert(image, progress);
        }
    }

    /// These images are paused, and no others.
    pub fn pause(&self, paused: Vec<Digest>) {
        let mut state = self.lock();
        state.paused = paused.into_iter().collect();
        let State { paused, left, .. } = &mut *state;
        left.retain(|image, _| paused.contains(image));
    }

    /// Which images are on their way.
    pub fn images(&self) -> Vec<Digest> {
        self.lock().moving.keys().copied().collect()
    }

    /// How far each of them is, and why it waits. `waits` says why those wait that are on their way and wait for no neighbour.
    pub fn list(&self, now: Instant, waits: Option<&Fault>) -> Vec<Transfer> {
        let transfer = |image: Digest, progress: Progress, waits: Option<Fault>| {
            let Progress { done, total, taken, reused, rate, .. } = progress;
            Transfer { image, done, total, taken, rate: rate.per_second(now), reused, waits }
        };
        let state = self.lock();
        let moving = state.moving.iter().map(|(image, progress)| {
            let progress = progress.borrow().clone();
            let waits = progress.waits.clone().or_else(|| waits.cloned());
            transfer(*image, progress, waits)
        });
        let held = state.paused.iter().filter(|image| !state.moving.contains_key(*image)).map(|image| {
            let progress = state.left.get(image).cloned().unwrap_or_default();
            transfer(*image, progress, Some(Fault::new(&budget::PAUSED)))
        });
        moving.chain(held).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
