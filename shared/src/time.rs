//! Time as an argument: what a caller sampled, never what this crate read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Time since the node's boot (`CLOCK_BOOTTIME`). Timers and backoff use only this one, because
/// nobody can set it.
pub type Uptime = Duration;

/// Wall clock in milliseconds since 1970-01-01 UTC. For display and certificate checks only: it may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// Both clocks, sampled once per round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For timers and backoff.
    pub uptime: Uptime,
    /// For people.
    pub wall: UnixMillis,
}

/// Delay before attempt number `failures + 1`: 1 s, 2 s, 4 s … at most one minute.
///
/// The bound is what users of KubeEdge and Docker know (Docker caps at 60 s, Kubernetes at 300 s); an
/// edge node restarts a local process, so the shorter one costs nothing.
pub fn backoff(failures: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60);
    match failures {
        0 => Duration::ZERO,
        n => Duration::from_secs(1).saturating_mul(1 << (n - 1).min(6)).min(LONGEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_and_is_bounded() {
        let seconds: Vec<u64> = (0..9).map(|n| backoff(n).as_secs()).collect();
        assert_eq!(seconds, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff(u32::MAX), Duration::from_secs(60));
    }
}
