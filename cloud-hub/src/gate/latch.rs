//! An event that happens once: any number of tasks may wait for it, before or after.

use tokio::sync::Semaphore;

/// Forty bytes and no allocation, because every idle connection holds some.
pub struct Latch(Semaphore);

impl Default for Latch {
    fn default() -> Self {
        Self::new()
    }
}

impl Latch {
    pub const fn new() -> Self {
        Self(Semaphore::const_new(0))
    }

    /// Lets everybody go who waits, now and later.
    pub fn set(&self) {
        self.0.close();
    }

    pub fn is_set(&self) -> bool {
        self.0.is_closed()
    }

    /// Returns once it is set. May be dropped and called again.
    pub async fn wait(&self) {
        // A semaphore without permits has one way to answer: it was closed.
        let _closed = self.0.acquire().await;
    }
}
