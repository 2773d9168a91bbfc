//! Images on their way, for whoever wants to see how far they are, at any moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::id::Digest;
use shared::report::Transfer;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Progress;

/// The images that are being fetched. Cheap to clone; clones share.
#[derive(Debug, Clone, Default)]
pub struct Transfers(Arc<Mutex<BTreeMap<Digest, watch::Receiver<Progress>>>>);

impl Transfers {
    /// From now on the image is on its way; whoever fetches it says how far it is.
    pub fn begin(&self, image: Digest) -> watch::Sender<Progress> {
        let (tell, progress) = watch::channel(Progress::default());
        self.lock().insert(image, progress);
        tell
    }

    /// It arrived, or was given up.
    pub fn end(&self, image: Digest) {
        self.lock().remove(&image);
    }

    /// Which images are on their way.
    pub fn images(&self) -> Vec<Digest> {
        self.lock().keys().copied().collect()
    }

    /// How far each of them is.
    pub fn list(&self, now: Instant) -> Vec<Transfer> {
        let transfer = |(image, progress): (&Digest, &watch::Receiver<Progress>)| {
            let Progress { done, total, reused, rate } = *progress.borrow();
            Transfer { image: *image, done, total, rate: rate.per_second(now), reused }
        };
        self.lock().iter().map(transfer).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Digest, watch::Receiver<Progress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
