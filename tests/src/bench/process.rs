//! What a process cost so far, in the kernel's words.

use std::time::Duration;

use crate::demo::Failure;
use crate::swarm::memory_of;

/// Ticks of a second in `/proc`: 100 on every machine we run on (the kernel's `asm-generic/param.h`).
const USER_HZ: u64 = 100;

/// What a process used since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Used {
    /// In the kernel and outside.
    pub cpu: Duration,
    /// Bytes that it made the disk write.
    pub written: u64,
}

impl Used {
    /// By `pid` until now.
    pub(super) fn by(pid: u32) -> Result<Self, Failure> {
        let read = |file: &str| {
            std::fs::read_to_string(format!("/proc/{pid}/{file}")).map_err(|error| format!("/proc/{pid}/{file}: {error}"))
        };
        let cpu = cpu(&read("stat")?, USER_HZ).ok_or("stat without times")?;
        let written = written(&read("io")?).ok_or("io without write_bytes")?;
        Ok(Self { cpu, written })
    }

    /// Since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), written: self.written.saturating_sub(earlier.written) }
    }
}

/// Fields 14 and 15 of `stat`; the second field may hold spaces and ends with the last `)`.
fn cpu(stat: &str, per_second: u64) -> Option<Duration> {
    let (_, after) = stat.rsplit_once(") ")?;
    let mut times = after.split(' ').skip(11).map(str::parse::<u64>);
    let ticks = times.next()?.ok()? + times.next()?.ok()?;
    Some(Duration::from_millis(ticks * 1000 / per_second.max(1)))
}

fn written(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}

/// Proportional memory in MB (10⁶ bytes).
pub(super) fn memory(pid: u32) -> Result<f64, Failure> {
    memory_of(pid).map(|bytes| bytes as f64 / 1e6).map_err(|error| format!("memory of process {pid}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 99 0 0 0 150 25 0 0 20 0 3 0 100 1 2";
        assert_eq!(cpu(stat, 100), Some(Duration::from_millis(1750)));
        assert_eq!(written("rchar: 1\nwrite_bytes: 8192\ncancelled_write_bytes: 5\n"), Some(8192));
        assert_eq!((cpu("7 (x", 100), written("")), (None, None));
    }
}
