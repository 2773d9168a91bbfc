//! How fast one node may fill the log of events. Pure.

use shared::time::UnixMillis;

/// Entries a node may send at once: a journal that grew while it was offline.
const BURST: u64 = 2000;
/// Milliseconds after which it may send one more.
const EVERY_MS: u64 = 1000;

/// How many events a node may still cause.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    left: u64,
    since: UnixMillis,
}

impl Default for Bucket {
    /// A full one.
    fn default() -> Self {
        Self { left: BURST, since: UnixMillis(0) }
    }
}

impl Bucket {
    /// Takes `count`, if there is so much.
    pub(super) fn take(&mut self, count: u64, now: UnixMillis) -> bool {
        let more = now.0.saturating_sub(self.since.0) / EVERY_MS;
        if more > 0 || now < self.since {
            self.left = self.left.saturating_add(more).min(BURST);
            self.since = now;
        }
        let enough = count <= self.left;
        self.left -= if enough { count } else { 0 };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_a_second() {
        let mut bucket = Bucket::default();
        assert!(bucket.take(BURST, UnixMillis(5000)));
        assert!(!bucket.take(1, UnixMillis(5999)));
        assert!(bucket.take(1, UnixMillis(6000)));
        assert!(!bucket.take(1, UnixMillis(0)), "a clock that went back gives nothing");
        assert!(bucket.take(3, UnixMillis(3000)), "and takes nothing for long");
        assert!(bucket.take(BURST, UnixMillis(u64::MAX)), "never more than a burst");
        assert!(!bucket.take(1, UnixMillis(u64::MAX)));
    }
}
