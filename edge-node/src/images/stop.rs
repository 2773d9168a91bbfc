//! Telling work on another thread that nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Tells work on another thread to end soon. Cheap to clone; clones share.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends it.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it shall end.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ends the work when the future that waits for it is dropped.
#[derive(Debug, Default)]
pub struct StopOnDrop(Stop);

impl StopOnDrop {
    /// What the work asks.
    pub fn asked(&self) -> Stop {
        self.0.clone()
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.now();
    }
}
