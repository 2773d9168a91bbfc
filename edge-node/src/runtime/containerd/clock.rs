//! Times of processes in the node's own clock: time since boot.

use std::time::{Duration, SystemTime};

use shared::time::Uptime;

/// `/proc` counts in this unit on every Linux processor we build for (USER_HZ).
const TICKS_PER_SECOND: u64 = 100;

/// When process `pid` was started; `None` when there is none.
pub fn started(pid: u32) -> Option<Uptime> {
    start_time(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name in field 2 may hold spaces and parentheses.
fn start_time(stat: &str) -> Option<Uptime> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks: u64 = fields.split_ascii_whitespace().nth(19)?.parse().ok()?;
    Some(Duration::from_millis(ticks.saturating_mul(1000 / TICKS_PER_SECOND)))
}

/// The moment `then` of the wall clock in uptime. The wall clock may have been set since, so the answer is kept between
/// boot and now.
pub fn in_uptime(then: SystemTime, wall: SystemTime, uptime: Uptime) -> Uptime {
    uptime.saturating_sub(wall.duration_since(then).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::uptime;

    #[test]
    fn start_times_are_read_past_odd_names() {
        let fields = "S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4242 100 10";
        assert_eq!(start_time(&format!("7 (a) b (c)) {fields}")), Some(Duration::from_millis(42_420)));
        assert_eq!(start_time("7 (short) S 1"), None);
        assert_eq!(start_time(""), None);
        let own = started(std::process::id()).expect("we run");
        assert!(own <= uptime() && uptime() - own < Duration::from_secs(3600));
    }

    #[test]
    fn ends_stay_between_boot_and_now() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let at = |seconds| in_uptime(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds), wall, Duration::from_secs(100));
        assert_eq!([at(990), at(0), at(2000)], [90, 0, 100].map(Duration::from_secs));
    }
}
