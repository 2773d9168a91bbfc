//! The node's clocks. The only place that reads one.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use shared::time::{Now, UnixMillis, Uptime};
use tokio::time::Instant;

/// Samples both clocks. Uptime advances with tokio's time, so a paused runtime pauses it too.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    uptime: Uptime,
    started: Instant,
    wall: Option<UnixMillis>,
}

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        let boot = clock_gettime(ClockId::Boottime);
        let uptime =
            Duration::new(u64::try_from(boot.tv_sec).unwrap_or_default(), u32::try_from(boot.tv_nsec).unwrap_or_default());
        Self { uptime, started: Instant::now(), wall: None }
    }

    /// A simulated machine that booted `uptime` ago, at `wall` now.
    pub fn simulated(uptime: Uptime, wall: UnixMillis) -> Self {
        Self { uptime, started: Instant::now(), wall: Some(wall) }
    }

    /// Both clocks now.
    pub fn now(&self) -> Now {
        let passed = self.started.elapsed();
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let wall = match self.wall {
            Some(wall) => UnixMillis(wall.0.saturating_add(millis(passed))),
            None => UnixMillis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis)),
        };
        Now { uptime: self.uptime + passed, wall }
    }

    /// The moment `at` as tokio counts.
    pub fn instant(&self, at: Uptime) -> Instant {
        self.started + at.saturating_sub(self.uptime)
    }
}
