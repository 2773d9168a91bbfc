//! How often an instance was started again because its process ended by itself: the count behind its backoff.

use shared::state::{STABLE, Task};
use shared::time::Uptime;

/// The restarts of one instance in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restarts {
    count: u32,
    /// When its process started, as far as that was seen. Unknown is not long ago: a process may end before anybody looks.
    since: Option<Uptime>,
}

impl Restarts {
    /// Its task is seen; answers the restarts in a row, which a long run forgets.
    pub fn seen(&mut self, task: &Task) -> u32 {
        match task {
            Task::Running { since, .. } => self.since = Some(*since),
            Task::Exited(exit) if self.since.is_some_and(|since| exit.at.saturating_sub(since) >= STABLE) => self.count = 0,
            Task::Exited(_) | Task::Absent => {}
        }
        self.count
    }

    /// Its process was started at `now`; `again` when it had ended by itself.
    pub fn started(&mut self, now: Uptime, again: bool) {
        self.since = Some(now);
        self.count = self.count.saturating_add(u32::from(again));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::state::Exit;

    use super::*;

    fn s(seconds: u64) -> Uptime {
        Duration::from_secs(seconds)
    }

    fn ended(at: u64) -> Task {
        Task::Exited(Exit { code: 1, oom: false, at: s(at) })
    }

    #[test]
    fn only_a_long_run_is_forgiven() {
        let mut restarts = Restarts::default();
        assert_eq!(restarts.seen(&ended(5000)), 0);
        restarts.started(s(5000), true);
        assert_eq!(restarts.seen(&ended(5000)), 1, "it ended before anybody saw it run, hours after boot");
        restarts.started(s(5001), true);
        assert_eq!(restarts.seen(&Task::Running { pid: 1, since: s(5001) }), 2);
        assert_eq!(restarts.seen(&ended(5600)), 2);
        restarts.started(s(5604), true);
        assert_eq!(restarts.seen(&ended(6204)), 0, "ten minutes");
        restarts.started(s(7000), false);
        assert_eq!(restarts.seen(&Task::Absent), 0, "a start after a reboot is no restart");
    }
}
