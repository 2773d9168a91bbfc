//! Who works on what: one worker per digest within this process, the others wait.
//!
//! Two images that share a layer are fetched and unpacked side by side; the shared layer must be written
//! by one of them while the other waits and then finds it done. A claim ends when its guard is dropped,
//! also when the work is cancelled.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use shared::id::Digest;
use tokio::sync::Notify;

/// The digests that somebody works on. Cheap to clone; clones share.
#[derive(Debug, Clone, Default)]
pub struct Claims(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    held: Mutex<BTreeSet<Digest>>,
    freed: Notify,
}

/// The right to work on one digest, until dropped.
#[derive(Debug)]
pub struct Claim {
    inner: Arc<Inner>,
    digest: Digest,
}

impl Claims {
    /// Waits until nobody else works on `digest`.
    pub async fn claim(&self, digest: Digest) -> Claim {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable(); // before the look, so that no release in between is missed
            if self.0.held.lock().unwrap_or_else(PoisonError::into_inner).insert(digest) {
                return Claim { inner: self.0.clone(), digest };
            }
            freed.await;
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.inner.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
        self.inner.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let claims = Claims::default();
        let digest = Digest::of(b"layer");
        let first = claims.claim(digest).await;
        let _other = claims.claim(Digest::of(b"other")).await;
        let waiting = tokio::spawn({
            let claims = claims.clone();
            async move { drop(claims.claim(digest).await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
    }
}
