//! Health: what the results of a health check say about a service, as Compose defines it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::manifest::HealthCheck;
use crate::time::Uptime;

/// What is known about a running service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It has no health check.
    #[default]
    Unchecked,
    /// No check succeeded yet, and failures do not count yet or are too few.
    Starting,
    /// The last checks succeeded.
    Healthy,
    /// `retries` checks in a row failed.
    Unhealthy,
}

/// The state of one health check of one start of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// When the process was started.
    pub started: Uptime,
    /// What is known now.
    pub health: Health,
    /// Failures in a row that count.
    pub failures: u32,
    /// When the last check ended.
    pub last: Option<Uptime>,
}

impl Checks {
    /// Nothing is known about a process started at `started`.
    pub const fn new(started: Uptime) -> Self {
        Self { started, health: Health::Starting, failures: 0, last: None }
    }

    /// The state after a check that ended at `at` with `ok`.
    #[must_use]
    pub fn after(self, check: &HealthCheck, ok: bool, at: Uptime) -> Self {
        let last = Some(at);
        if ok {
            return Self { health: Health::Healthy, failures: 0, last, ..self };
        }
        let excused = self.health == Health::Starting && at.saturating_sub(self.started) < grace(check);
        let failures = if excused { self.failures } else { self.failures.saturating_add(1) };
        let health = if failures >= check.retries.max(1) { Health::Unhealthy } else { self.health };
        Self { health, failures, last, ..self }
    }

    /// When the next check is due: soon and often while starting, because a success is never too early.
    pub fn due(&self, check: &HealthCheck) -> Uptime {
        let starting = self.health == Health::Starting;
        let often = check.start_interval.duration().min(check.interval.duration());
        let (from, wait) = match self.last {
            None => (self.started, often.min(SOON)),
            Some(last) if starting && last.saturating_sub(self.started) < grace(check) => (last, often),
            Some(last) => (last, check.interval.duration()),
        };
        from + wait.max(SOON)
    }
}

/// The first check comes this long after start, and two checks are at least this far apart.
const SOON: Duration = Duration::from_secs(1);

/// Failures this long after start do not count: Compose's first check comes after one interval, ours sooner.
fn grace(check: &HealthCheck) -> Duration {
    check.start_period.duration().max(check.interval.duration())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Period, Probe};

    fn check() -> HealthCheck {
        HealthCheck {
            test: Probe::Tcp { port: 80 },
            interval: Period::seconds(30),
            timeout: Period::seconds(5),
            retries: 3,
            start_period: Period::seconds(60),
            start_interval: Period::seconds(5),
        }
    }

    fn s(seconds: u64) -> Uptime {
        Duration::from_secs(seconds)
    }

    fn run(results: &[(u64, bool)]) -> Checks {
        results.iter().fold(Checks::new(s(100)), |checks, (at, ok)| checks.after(&check(), *ok, s(*at)))
    }

    #[test]
    fn failures_while_starting_do_not_count() {
        assert_eq!(run(&[(105, false), (110, false), (115, false), (120, false)]).health, Health::Starting);
        assert_eq!(run(&[(105, false), (110, true)]).health, Health::Healthy);
    }

    #[test]
    fn three_failures_in_a_row_are_unhealthy_and_one_success_heals() {
        assert_eq!(run(&[(110, true), (140, false), (170, false)]).health, Health::Healthy);
        assert_eq!(run(&[(110, true), (140, false), (170, false), (200, false)]).health, Health::Unhealthy);
        assert_eq!(run(&[(110, true), (140, false), (170, false), (200, false), (230, true)]).health, Health::Healthy);
        assert_eq!(run(&[(161, false), (191, false), (221, false)]).health, Health::Unhealthy, "start period is over");
    }

    #[test]
    fn checks_come_more_often_while_starting() {
        assert_eq!(run(&[]).due(&check()), s(101));
        assert_eq!(run(&[(105, false)]).due(&check()), s(110));
        assert_eq!(run(&[(105, true)]).due(&check()), s(135));
    }
}
