//! The node's clocks. The only place that reads one.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};
use shared::time::{Now, UnixMillis, Uptime};
use tokio::time::Instant;

/// Time since boot, also what passed while the machine was suspended: processes are dated in it.
pub fn uptime() -> Uptime {
    let boot = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(boot.tv_sec).unwrap_or_default(), u32::try_from(boot.tv_nsec).unwrap_or_default())
}

/// The wall clock, whatever it says.
pub fn wall() -> UnixMillis {
    UnixMillis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis))
}

/// Samples both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Kind);

#[derive(Debug, Clone, Copy)]
enum Kind {
    System,
    /// Both advance with tokio's time, so a paused runtime pauses them.
    Simulated {
        uptime: Uptime,
        wall: UnixMillis,
        since: Instant,
    },
}

impl Clock {
    /// The machine's clocks.
    pub const fn system() -> Self {
        Self(Kind::System)
    }

    /// A simulated machine that booted `uptime` ago, at `wall` now.
    pub fn simulated(uptime: Uptime, wall: UnixMillis) -> Self {
        Self(Kind::Simulated { uptime, wall, since: Instant::now() })
    }

    /// Both clocks now.
    pub fn now(&self) -> Now {
        match self.0 {
            Kind::System => Now { uptime: uptime(), wall: wall() },
            Kind::Simulated { uptime, wall, since } => {
                let passed = since.elapsed();
                Now { uptime: uptime + passed, wall: UnixMillis(wall.0.saturating_add(millis(passed))) }
            }
        }
    }

    /// The moment `at` as tokio counts, whose time stands still while a machine is suspended.
    pub fn instant(&self, at: Uptime) -> Instant {
        Instant::now() + at.saturating_sub(self.now().uptime)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
