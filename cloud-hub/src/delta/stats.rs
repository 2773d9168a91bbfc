//! What is counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the start.
#[derive(Debug, Default)]
pub(super) struct Stats {
    packs: AtomicU64,
    made: AtomicU64,
    milliseconds: AtomicU64,
    failed: AtomicU64,
    hits: AtomicU64,
}

/// Names and values, as [`crate::metrics`] shows them.
pub(crate) type Figures = [(&'static str, f64); 7];

impl Stats {
    pub(super) fn packed(&self) {
        self.packs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn made(&self, took: Duration) {
        self.made.fetch_add(1, Ordering::Relaxed);
        self.milliseconds.fetch_add(u64::try_from(took.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn figures(&self, cached: u64, pinned: usize) -> Figures {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        [
            ("packs_made_total", read(&self.packs)),
            ("patches_made_total", read(&self.made)),
            ("patches_seconds_total", read(&self.milliseconds) / 1000.0),
            ("patches_failed_total", read(&self.failed)),
            ("patch_cache_hits_total", read(&self.hits)),
            ("patch_cache_bytes", cached as f64),
            ("patch_cache_pinned", pinned as f64),
        ]
    }
}
