//! What is remembered about ends of processes: that memory ran out, and when in our own clock.
//!
//! containerd tells the wall-clock time of an end; the clock may be set later, but the time of an end must not move,
//! because backoff counts from it. So the first answer is kept while the container exists.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use shared::state::InstanceId;
use shared::time::Uptime;

use super::clock;

/// Most instances that are remembered between two observations, which forget those that are gone.
const REMEMBERED_MAX: usize = 4096;

/// Memory of ends, by instance.
#[derive(Debug, Default)]
pub struct Exits(Mutex<BTreeMap<InstanceId, Known>>);

#[derive(Debug, Default, Clone, Copy)]
struct Known {
    oom: bool,
    end: Option<(SystemTime, Uptime)>,
}

impl Exits {
    /// The kernel killed something in `id` for want of memory.
    pub fn out_of_memory(&self, id: InstanceId) {
        let mut table = self.table();
        if table.len() < REMEMBERED_MAX || table.contains_key(&id) {
            table.entry(id).or_default().oom = true;
        }
    }

    /// Whether it did, since the last start.
    pub fn was_out_of_memory(&self, id: &InstanceId) -> bool {
        self.table().get(id).is_some_and(|known| known.oom)
    }

    /// The end of `id` at wall-clock time `at`, in uptime: the same answer every time.
    pub fn ended(&self, id: &InstanceId, at: SystemTime) -> Uptime {
        let mut table = self.table();
        if let Some((_, uptime)) = table.get(id).and_then(|known| known.end).filter(|(wall, _)| *wall == at) {
            return uptime;
        }
        let uptime = clock::in_uptime(at, SystemTime::now(), crate::clock::uptime());
        if table.len() < REMEMBERED_MAX || table.contains_key(id) {
            table.entry(id.clone()).or_default().end = Some((at, uptime));
        }
        uptime
    }

    /// `id` starts again: what was before does not count.
    pub fn forget(&self, id: &InstanceId) {
        self.table().remove(id);
    }

    /// Only containers for which `exists` says so are remembered on.
    pub fn retain(&self, exists: impl Fn(&InstanceId) -> bool) {
        self.table().retain(|id, _| exists(id));
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the kernel's own counter of `<cgroup>` says that it killed something: events are lost while we are down.
pub fn counted_oom(cgroup: &str) -> bool {
    let files = [format!("/sys/fs/cgroup/memory{cgroup}/memory.oom_control"), format!("/sys/fs/cgroup{cgroup}/memory.events")];
    files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).any(|text| kills(&text) > 0)
}

fn kills(text: &str) -> u64 {
    let counts = text.lines().filter_map(|line| line.strip_prefix("oom_kill "));
    counts.filter_map(|count| count.trim().parse::<u64>().ok()).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_end_keeps_its_time_until_the_next_start() {
        let (exits, id) = (Exits::default(), InstanceId::parse("a-b-1").expect("id"));
        let at = SystemTime::now();
        let first = exits.ended(&id, at);
        assert_eq!(exits.ended(&id, at), first);
        assert!(exits.ended(&id, at - Duration::from_secs(1)) < first, "another end is another time");
        exits.out_of_memory(id.clone());
        assert!(exits.was_out_of_memory(&id));
        exits.forget(&id);
        assert!(!exits.was_out_of_memory(&id));
    }

    #[test]
    fn the_memory_is_bounded() {
        let exits = Exits::default();
        for n in 0..REMEMBERED_MAX + 10 {
            exits.out_of_memory(InstanceId::parse(&format!("a-b-{n}")).expect("id"));
        }
        assert_eq!(exits.table().len(), REMEMBERED_MAX);
        exits.retain(|id| id.as_str() == "a-b-7");
        assert_eq!(exits.table().len(), 1);
    }

    #[test]
    fn both_cgroup_versions_count() {
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(kills("low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n"), 1);
        assert_eq!(kills(""), 0);
    }
}
