//! What a node says about itself.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Fault, Spent, Stamp, WireError, malformed, name};
use crate::fault::Fault as CoreFault;
use crate::health::Health as CoreHealth;
use crate::id::{Digest, Name};
use crate::oci::Platform as CorePlatform;
use crate::report;
use crate::time::UnixMillis;

/// [`report::Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Grows with every report of one boot.
    pub sequence: u64,
    /// The node's wall clock.
    pub wall_ms: u64,
    /// Milliseconds since boot.
    pub uptime_ms: u64,
    /// What the node holds durably.
    pub accepted: Stamp,
    /// The node itself.
    pub facts: Facts,
    /// Every app.
    pub apps: Vec<AppReport>,
    /// Releases that are brought to disk.
    pub next: Vec<NextReport>,
    /// Images on their way.
    pub transfers: Vec<Transfer>,
    /// What is wrong with the node as a whole.
    pub faults: Vec<Fault>,
    /// What its link carried.
    pub spent: Spent,
}

/// [`report::Facts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Version of the daemon.
    pub version: String,
    /// Version of containerd.
    pub runtime: String,
    /// os, architecture, variant.
    pub platform: (String, String, String),
    /// Differs after every boot.
    pub boot: String,
    /// Processors.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// Bytes free.
    pub disk_free: u64,
    /// Where other nodes of its site reach it.
    pub address: Option<SocketAddr>,
}

/// [`report::Transfer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The image.
    pub image: [u8; 32],
    /// Bytes on disk.
    pub done: u64,
    /// Bytes in all that travel.
    pub total: u64,
    /// Bytes from neighbours.
    pub taken: u64,
    /// Bytes per second.
    pub rate: u64,
    /// Bytes that need not travel.
    pub reused: u64,
    /// Why it waits.
    pub waits: Option<Fault>,
}

/// [`report::AppReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppReport {
    /// Its name.
    pub app: String,
    /// The release that runs.
    pub release: [u8; 32],
    /// Its version.
    pub version: String,
    /// The release the hub wants.
    pub wanted: [u8; 32],
    /// The last release that proved itself there, and its version.
    pub good: Option<([u8; 32], String)>,
    /// Place in [`PHASES`].
    pub phase: u8,
    /// Its services.
    pub services: Vec<ServiceReport>,
    /// Why it is not running.
    pub fault: Option<Fault>,
}

/// [`report::NextReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextReport {
    /// Its app.
    pub app: String,
    /// The release.
    pub release: [u8; 32],
    /// Its version.
    pub version: String,
    /// Place in [`PHASES`].
    pub phase: u8,
    /// Why it does not come.
    pub fault: Option<Fault>,
}

/// [`report::ServiceReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Its name.
    pub service: String,
    /// Place in [`STATES`].
    pub state: u8,
    /// Place in [`HEALTHS`].
    pub health: u8,
    /// Starts after exits by itself.
    pub restarts: u32,
    /// Its container.
    pub instance: String,
    /// Process id.
    pub pid: u32,
    /// Milliseconds since boot when the process started.
    pub since_ms: u64,
    /// Exit code of the last end.
    pub exit: Option<u32>,
    /// The last end was for want of memory.
    pub oom: bool,
}

/// Phases in the order of their wire numbers.
pub const PHASES: [report::Phase; 9] = {
    use report::Phase::{Failing, Fetched, Fetching, Leaving, Pending, Running, Starting, Stopped, Undone};
    [Pending, Fetching, Starting, Running, Failing, Undone, Stopped, Leaving, Fetched]
};
/// Service states in the order of their wire numbers.
pub const STATES: [report::ServiceState; 6] = {
    use report::ServiceState::{Completed, Failed, Restarting, Running, Stopped, Waiting};
    [Waiting, Running, Restarting, Completed, Failed, Stopped]
};
/// Healths in the order of their wire numbers.
pub const HEALTHS: [CoreHealth; 4] = [CoreHealth::Unchecked, CoreHealth::Starting, CoreHealth::Healthy, CoreHealth::Unhealthy];

#[expect(clippy::cast_possible_truncation, reason = "the lists above are shorter than 256")]
fn number<T: PartialEq>(list: &[T], value: &T) -> u8 {
    list.iter().position(|entry| entry == value).unwrap_or_default() as u8
}

fn entry<T: Copy>(list: &[T], number: u8, what: &'static str) -> Result<T, WireError> {
    list.get(usize::from(number)).copied().ok_or_else(|| malformed(what, format!("number {number}")))
}

impl From<&report::Report> for Report {
    fn from(report: &report::Report) -> Self {
        let CorePlatform { os, architecture, variant } = report.facts.platform.clone();
        Self {
            sequence: report.sequence,
            wall_ms: report.wall.0,
            uptime_ms: report.uptime_ms,
            accepted: report.accepted.into(),
            facts: Facts {
                version: report.facts.version.clone(),
                runtime: report.facts.runtime.clone(),
                platform: (os, architecture, variant),
                boot: report.facts.boot.clone(),
                cpus: report.facts.cpus,
                memory: report.facts.memory,
                disk_free: report.facts.disk_free,
                address: report.facts.address,
            },
            apps: report.apps.iter().map(AppReport::from).collect(),
            next: report.next.iter().map(NextReport::from).collect(),
            transfers: report.transfers.iter().map(Transfer::from).collect(),
            faults: report.faults.iter().cloned().map(Fault::from).collect(),
            spent: Spent::from(&report.spent),
        }
    }
}

impl TryFrom<Report> for report::Report {
    type Error = WireError;
    fn try_from(report: Report) -> Result<Self, WireError> {
        let (os, architecture, variant) = report.facts.platform;
        let apps: Result<Vec<_>, _> = report.apps.into_iter().map(report::AppReport::try_from).collect();
        let next: Result<Vec<_>, _> = report.next.into_iter().map(report::NextReport::try_from).collect();
        Ok(Self {
            sequence: report.sequence,
            wall: UnixMillis(report.wall_ms),
            uptime_ms: report.uptime_ms,
            accepted: report.accepted.into(),
            facts: report::Facts {
                version: report.facts.version,
                runtime: report.facts.runtime,
                platform: CorePlatform { os, architecture, variant },
                boot: report.facts.boot,
                cpus: report.facts.cpus,
                memory: report.facts.memory,
                disk_free: report.facts.disk_free,
                address: report.facts.address,
            },
            apps: apps?,
            next: next?,
            transfers: report.transfers.into_iter().map(report::Transfer::from).collect(),
            faults: report.faults.into_iter().map(CoreFault::from).collect(),
            spent: report.spent.into(),
        })
    }
}

impl From<&report::Transfer> for Transfer {
    fn from(transfer: &report::Transfer) -> Self {
        let report::Transfer { image, done, total, taken, rate, reused, waits } = transfer.clone();
        Self { image: *image.as_bytes(), done, total, taken, rate, reused, waits: waits.map(Fault::from) }
    }
}

impl From<Transfer> for report::Transfer {
    fn from(transfer: Transfer) -> Self {
        let Transfer { image, done, total, taken, rate, reused, waits } = transfer;
        Self { image: Digest::from_bytes(image), done, total, taken, rate, reused, waits: waits.map(CoreFault::from) }
    }
}

impl From<&report::AppReport> for AppReport {
    fn from(app: &report::AppReport) -> Self {
        Self {
            app: app.app.to_string(),
            release: *app.release.as_bytes(),
            version: app.version.clone(),
            wanted: *app.wanted.as_bytes(),
            good: app.good.as_ref().map(|good| (*good.release.as_bytes(), good.version.clone())),
            phase: number(&PHASES, &app.phase),
            services: app.services.iter().map(ServiceReport::from).collect(),
            fault: app.fault.clone().map(Fault::from),
        }
    }
}

impl TryFrom<AppReport> for report::AppReport {
    type Error = WireError;
    fn try_from(app: AppReport) -> Result<Self, WireError> {
        let services: Result<Vec<_>, _> = app.services.into_iter().map(report::ServiceReport::try_from).collect();
        Ok(Self {
            app: name(&app.app)?,
            release: Digest::from_bytes(app.release),
            version: app.version,
            wanted: Digest::from_bytes(app.wanted),
            good: app.good.map(|(release, version)| report::Good { release: Digest::from_bytes(release), version }),
            phase: entry(&PHASES, app.phase, "phase")?,
            services: services?,
            fault: app.fault.map(CoreFault::from),
        })
    }
}

impl From<&report::NextReport> for NextReport {
    fn from(next: &report::NextReport) -> Self {
        Self {
            app: next.app.to_string(),
            release: *next.release.as_bytes(),
            version: next.version.clone(),
            phase: number(&PHASES, &next.phase),
            fault: next.fault.clone().map(Fault::from),
        }
    }
}

impl TryFrom<NextReport> for report::NextReport {
    type Error = WireError;
    fn try_from(next: NextReport) -> Result<Self, WireError> {
        Ok(Self {
            app: name(&next.app)?,
            release: Digest::from_bytes(next.release),
            version: next.version,
            phase: entry(&PHASES, next.phase, "phase")?,
            fault: next.fault.map(CoreFault::from),
        })
    }
}

impl From<&report::ServiceReport> for ServiceReport {
    fn from(service: &report::ServiceReport) -> Self {
        Self {
            service: service.service.to_string(),
            state: number(&STATES, &service.state),
            health: number(&HEALTHS, &service.health),
            restarts: service.restarts,
            instance: service.instance.clone(),
            pid: service.pid,
            since_ms: service.since_ms,
            exit: service.exit,
            oom: service.oom,
        }
    }
}

impl TryFrom<ServiceReport> for report::ServiceReport {
    type Error = WireError;
    fn try_from(service: ServiceReport) -> Result<Self, WireError> {
        Ok(Self {
            service: name(&service.service)?,
            state: entry(&STATES, service.state, "service state")?,
            health: entry(&HEALTHS, service.health, "health")?,
            restarts: service.restarts,
            instance: service.instance,
            pid: service.pid,
            since_ms: service.since_ms,
            exit: service.exit,
            oom: service.oom,
        })
    }
}

/// [`report::Event`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number on this node.
    pub number: u64,
    /// The node's wall clock.
    pub wall_ms: u64,
    /// The app it is about.
    pub app: Option<String>,
    /// What happened.
    pub what: Fault,
}

impl From<&report::Event> for Event {
    fn from(event: &report::Event) -> Self {
        let app = event.app.as_ref().map(Name::to_string);
        Self { number: event.number, wall_ms: event.wall.0, app, what: event.what.clone().into() }
    }
}

impl TryFrom<Event> for report::Event {
    type Error = WireError;
    fn try_from(event: Event) -> Result<Self, WireError> {
        let app = event.app.as_deref().map(name).transpose()?;
        Ok(Self { number: event.number, wall: UnixMillis(event.wall_ms), app, what: event.what.into() })
    }
}
