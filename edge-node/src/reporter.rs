//! The report: what the node says about itself, whole, after every round that changed something.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use shared::budget::Spent;
use shared::fault::{Fault, node};
use shared::oci::Platform;
use shared::report::{Facts, Report, Transfer};
use shared::time::{UnixMillis, Uptime};
use tokio::sync::watch;

use crate::budget::Ledger;
use crate::clock::Clock;
use crate::held::Held;
use crate::reconciler::Status;

/// Makes reports.
pub struct Reporter {
    clock: Clock,
    held: Arc<Held>,
    status: watch::Receiver<Status>,
    ledger: Arc<Ledger>,
    machine: Machine,
    /// Where other nodes of the site reach this one.
    address: watch::Receiver<Option<SocketAddr>>,
    /// What is wrong with the node that no round can see: a refused state, a repaired store.
    faults: Mutex<Vec<Fault>>,
    /// Of the last report.
    sequence: AtomicU64,
}

/// What a node is and does not change while it runs.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its kind.
    pub platform: Platform,
    /// Differs after every boot.
    pub boot: String,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Where images and volumes live.
    pub state: PathBuf,
}

/// Most faults of the node as a whole; the oldest go first.
const FAULTS_MAX: usize = 8;

impl Reporter {
    /// A reporter of what `held`, `status` and `ledger` say.
    pub fn new(
        clock: Clock,
        held: Arc<Held>,
        status: watch::Receiver<Status>,
        ledger: Arc<Ledger>,
        machine: Machine,
        address: watch::Receiver<Option<SocketAddr>>,
        faults: Vec<Fault>,
    ) -> Self {
        Self { clock, held, status, ledger, machine, address, faults: Mutex::new(faults), sequence: 0.into() }
    }

    /// A report of this moment.
    pub fn report(&self) -> Report {
        let (now, status) = (self.clock.now(), self.status.borrow().clone());
        let sequence = self.next(now.uptime);
        let mut faults = self.lock().clone();
        faults.extend(status.faults);
        Report {
            sequence,
            wall: now.wall,
            uptime_ms: u64::try_from(now.uptime.as_millis()).unwrap_or(u64::MAX),
            accepted: self.held.accepted().map(|(stamp, _)| stamp).unwrap_or_default(),
            facts: Facts {
                version: env!("CARGO_PKG_VERSION").into(),
                runtime: status.runtime,
                platform: self.machine.platform.clone(),
                boot: self.machine.boot.clone(),
                cpus: self.machine.cpus,
                memory: self.machine.memory,
                disk_free: free(&self.machine),
                address: *self.address.borrow(),
            },
            apps: status.apps,
            next: status.next,
            transfers: status.transfers,
            faults,
            spent: self.ledger.view().1,
        }
    }

    fn next(&self, uptime: Uptime) -> u64 {
        let update = self.sequence.fetch_update(Relaxed, Relaxed, |last| Some(after(last, uptime)));
        after(update.unwrap_or_else(|last| last), uptime)
    }

    /// Names why a desired state was not taken, until [`took_state`](Self::took_state).
    pub fn blame(&self, fault: Fault) {
        let mut faults = self.lock();
        faults.retain(|other| other.code != fault.code);
        faults.push(fault);
        let surplus = faults.len().saturating_sub(FAULTS_MAX);
        faults.drain(..surplus);
    }

    /// A desired state was taken, or hub and node agree: forgets why one was not.
    pub fn took_state(&self) {
        let of_the_disk = [&node::STATE_DISK_FULL, &node::STATE_FAILED].map(|text| text.code);
        self.lock().retain(|fault| !fault.code.starts_with("trust-") && !of_the_disk.contains(&&*fault.code));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sequence of the report after `last`, at `uptime`. It follows the uptime in microseconds, so that it grows within a
/// boot although a daemon that starts again does not know what the one before it said: the hub drops a report of the
/// same boot that is not newer than the last.
fn after(last: u64, uptime: Uptime) -> u64 {
    last.saturating_add(1).max(u64::try_from(uptime.as_micros()).unwrap_or(u64::MAX))
}

/// Whether two reports say the same, but for what changes by itself. Of a rate it counts only whether there is one.
pub fn says_the_same(a: &Report, b: &Report) -> bool {
    let moving = |transfer: &Transfer| Transfer { rate: transfer.rate.min(1), ..transfer.clone() };
    let still = |report: &Report| Report {
        sequence: 0,
        wall: UnixMillis(0),
        uptime_ms: 0,
        facts: Facts { disk_free: 0, ..report.facts.clone() },
        transfers: report.transfers.iter().map(moving).collect(),
        spent: Spent::default(),
        ..report.clone()
    };
    still(a) == still(b)
}

impl Machine {
    /// This machine, with its state below `state`.
    pub fn this(state: PathBuf) -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let info = rustix::system::sysinfo();
        let memory = u64::from(info.mem_unit).saturating_mul(info.totalram as u64);
        let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX));
        Self { platform: platform(), boot, cpus, memory, state }
    }
}

/// The machine's platform in Go's names.
pub fn platform() -> Platform {
    let (architecture, variant) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", ""),
        "aarch64" => ("arm64", ""),
        "arm" => ("arm", "v7"),
        other => (other, ""),
    };
    Platform { os: "linux".into(), architecture: architecture.into(), variant: variant.into() }
}

fn free(machine: &Machine) -> u64 {
    rustix::fs::statvfs(&machine.state).map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_rate_is_no_news_and_its_end_is() {
        let machine = Machine { platform: platform(), boot: "b".into(), cpus: 1, memory: 1, state: "/".into() };
        let held =
            Arc::new(Held::load(Arc::new(crate::store::Store::in_memory().unwrap()), &"n1".parse().unwrap(), Uptime::ZERO));
        let (_status, changes) = watch::channel(Status::default());
        let ledger = Arc::new(Ledger::unlimited(Clock::system()));
        let reporter = Reporter::new(Clock::system(), held, changes, ledger, machine, watch::channel(None).1, Vec::new());
        let at = |done, rate| {
            let image = shared::id::Digest::of(b"i");
            Report {
                transfers: vec![Transfer { image, done, total: 90, taken: 0, rate, reused: 7, waits: None }],
                ..reporter.report()
            }
        };
        assert!(says_the_same(&at(10, 5000), &at(10, 4000)), "clocks, free space and how fast it is");
        assert!(!says_the_same(&at(10, 5000), &at(11, 5000)), "what came");
        assert!(!says_the_same(&at(10, 5000), &at(10, 0)), "that nothing comes any more");
    }

    #[test]
    fn sequences_grow_within_a_boot_also_when_the_daemon_starts_again() {
        let at = Duration::from_millis;
        let first = after(0, at(20_000));
        let many = (0..50).fold(first, |last, _| after(last, at(20_000)));
        assert!(first < many, "also when no time passes");
        assert!(after(0, at(20_001)) > many, "a new daemon knows no last one");
        assert!(after(u64::MAX, at(1)) == u64::MAX);
    }
}
