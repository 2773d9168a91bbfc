//! How often one node may have the hub do something that costs. Pure.

use shared::time::UnixMillis;

/// How much at once, and how much in the long run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// So much at once.
    pub(crate) burst: u64,
    /// Milliseconds after which there may be one more.
    pub(crate) every_ms: u64,
}

/// How much of a limit is used up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bucket {
    used: u64,
    since: UnixMillis,
}

impl Bucket {
    /// Takes `count`, if there is so much.
    pub(super) fn take(&mut self, limit: &Limit, count: u64, now: UnixMillis) -> bool {
        let back = now.0.saturating_sub(self.since.0) / limit.every_ms;
        if back > 0 || now < self.since {
            self.used = self.used.saturating_sub(back);
            self.since = now;
        }
        let used = self.used.saturating_add(count);
        let enough = used <= limit.burst;
        if enough {
            self.used = used;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_one_a_second() {
        let limit = Limit { burst: 2000, every_ms: 1000 };
        let mut bucket = Bucket::default();
        let mut take = |count, now| bucket.take(&limit, count, UnixMillis(now));
        assert!(take(limit.burst, 5000));
        assert!(!take(1, 5999));
        assert!(take(1, 6000));
        assert!(!take(1, 0), "a clock that went back gives nothing");
        assert!(take(3, 3000), "and takes nothing for long");
        assert!(take(limit.burst, u64::MAX), "never more than a burst");
        assert!(!take(1, u64::MAX));
    }
}
