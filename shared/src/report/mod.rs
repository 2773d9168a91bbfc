//! What a node tells the hub and the people on site: a whole snapshot, never a difference.

mod apps;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::budget::Spent;
use crate::fault::Fault;
use crate::health::Health;
use crate::id::{Digest, Name};
use crate::oci::Platform;
use crate::state::Stamp;
use crate::time::UnixMillis;

pub use apps::{apps, next};

/// A snapshot of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Grows with every report of one boot, also when the daemon starts again.
    pub sequence: u64,
    /// The node's wall clock, which may be wrong.
    pub wall: UnixMillis,
    /// Milliseconds since boot.
    pub uptime_ms: u64,
    /// The desired state the node holds durably.
    pub accepted: Stamp,
    /// The node itself.
    pub facts: Facts,
    /// Every app, by name.
    pub apps: Vec<AppReport>,
    /// Releases that are brought to disk and not run, by app.
    pub next: Vec<NextReport>,
    /// Images on their way.
    pub transfers: Vec<Transfer>,
    /// What is wrong with the node as a whole, for example a refused desired state.
    pub faults: Vec<Fault>,
    /// What its link carried today and this month.
    pub spent: Spent,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of the daemon.
    pub version: String,
    /// Version of containerd; empty while it cannot be reached.
    pub runtime: String,
    /// Its kind of machine.
    pub platform: Platform,
    /// Differs after every boot.
    pub boot: String,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Bytes free where images and volumes live.
    pub disk_free: u64,
    /// Where other nodes of its site reach it; absent while it shares no images.
    pub address: Option<SocketAddr>,
}

/// One app on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppReport {
    /// Its name.
    pub app: Name,
    /// The release that runs or is being started.
    pub release: Digest,
    /// Its version, for people.
    pub version: String,
    /// The release the hub wants; differs from `release` while images arrive and after an undo.
    pub wanted: Digest,
    /// The last release that proved itself there: what the node goes back to by itself. Absent while none did.
    pub good: Option<Good>,
    /// In one word.
    pub phase: Phase,
    /// Its services, by name.
    pub services: Vec<ServiceReport>,
    /// Why it is not running, or why a release was undone.
    pub fault: Option<Fault>,
}

/// A release that a node can go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Good {
    /// The release.
    pub release: Digest,
    /// Its version, for people.
    pub version: String,
}

/// A release that a node brings to disk and does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextReport {
    /// Its app.
    pub app: Name,
    /// The release.
    pub release: Digest,
    /// Its version, for people.
    pub version: String,
    /// [`Phase::Pending`], [`Phase::Fetching`] or [`Phase::Fetched`].
    pub phase: Phase,
    /// Why it does not come.
    pub fault: Option<Fault>,
}

/// An app's state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Waiting for images or for a dependency.
    Pending,
    /// Images are on their way.
    Fetching,
    /// Services are starting, or the new release is proving itself.
    Starting,
    /// All services are up.
    Running,
    /// Some service is not up.
    Failing,
    /// The wanted release was undone; the last good one runs.
    Undone,
    /// Stopped by the hub or on site.
    Stopped,
    /// It is being removed.
    Leaving,
    /// All of it is on disk, unpacked, and it is not to run yet.
    Fetched,
}

/// One service on one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Its name.
    pub service: Name,
    /// In one word.
    pub state: ServiceState,
    /// What its health check says.
    pub health: Health,
    /// Starts after exits by itself, in a row.
    pub restarts: u32,
    /// Its container; empty when there is none.
    pub instance: String,
    /// Process id; 0 when none runs.
    pub pid: u32,
    /// Milliseconds since boot when the process started; 0 when none runs.
    pub since_ms: u64,
    /// Exit code of the last end, if it ended.
    pub exit: Option<u32>,
    /// The last end was for want of memory.
    pub oom: bool,
}

/// A service's state in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// No process yet.
    Waiting,
    /// A process runs.
    Running,
    /// The process ended and will start again.
    Restarting,
    /// The process ended with 0 and stays so.
    Completed,
    /// The process ended otherwise and stays so.
    Failed,
    /// Stopped by the hub or on site.
    Stopped,
}

/// An image on its way, or kept from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The image.
    pub image: Digest,
    /// Bytes of the link that are on disk.
    pub done: u64,
    /// Bytes in all that travel over the link; 0 while that is not known, also while it waits for another image.
    pub total: u64,
    /// Bytes that came from neighbours instead.
    pub taken: u64,
    /// Bytes of the link per second, as the last seconds showed; 0 when nothing came.
    pub rate: u64,
    /// Bytes of the image, as its publisher compressed it, that need not come: the node has them, or a patch makes them.
    pub reused: u64,
    /// Why it waits, and what for; absent while it does not.
    pub waits: Option<Fault>,
}

impl Transfer {
    /// [`seconds_left`] of this image, where there is a link or none. While it waits nobody can say.
    pub const fn seconds_left(&self, online: bool) -> Option<u64> {
        if self.waits.is_some() { None } else { seconds_left(self.done, self.total, self.rate, online) }
    }
}

/// Seconds until the last byte has come, at this rate; `None` when nobody can say: there is no link, nothing comes, or it is
/// not known how much is missing.
pub const fn seconds_left(done: u64, total: u64, rate: u64, online: bool) -> Option<u64> {
    match total.saturating_sub(done) {
        _ if total == 0 => None,
        0 => Some(0),
        _ if !online || rate == 0 => None,
        left => Some(left.div_ceil(rate)),
    }
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number on this node; no number is missing.
    pub number: u64,
    /// The node's wall clock, which may be wrong.
    pub wall: UnixMillis,
    /// The app it is about.
    pub app: Option<Name>,
    /// What happened, as code and parameters.
    pub what: Fault,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_said_only_when_it_is_known() {
        for (done, total, rate, online, left) in [
            (10, 30, 10, true, Some(2)),
            (10, 31, 10, true, Some(3)),
            (10, 30, 10, false, None),
            (10, 30, 0, true, None),
            (30, 30, 0, false, Some(0)),
            (31, 30, 5, true, Some(0)),
            (0, 0, 5, true, None),
            (0, u64::MAX, 1, true, Some(u64::MAX)),
        ] {
            assert_eq!(seconds_left(done, total, rate, online), left, "{done} of {total} at {rate}");
        }
    }
}
