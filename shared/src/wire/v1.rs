//! Version 1, frozen. A change of any type here is a new version.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::WireError;
use crate::fault::Fault as CoreFault;
use crate::health::Health as CoreHealth;
use crate::id::{Digest, Name};
use crate::oci::Platform as CorePlatform;
use crate::time::UnixMillis;
use crate::{release, report, sign, state};

const VERSION: u8 = 1;

macro_rules! coded {
    ($($kind:ident),*) => {$(
        impl $kind {
            /// Bytes with the version in front.
            pub fn encode(&self) -> Vec<u8> {
                super::encode(VERSION, self)
            }
            /// Reads what [`encode`](Self::encode) wrote and nothing else.
            pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
                super::decode(VERSION, stringify!($kind), bytes)
            }
        }
    )*};
}
coded!(Up, Down, Envelope, Release, Desired, Memory, Overrides, Event, Join);

fn malformed(what: &'static str, why: impl ToString) -> WireError {
    WireError::Malformed { what, why: why.to_string() }
}

// ---------------------------------------------------------------- messages

/// From node to hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// First message of a session, and every few minutes: what the node holds.
    Hello(Hello),
    /// A snapshot.
    Report(Report),
    /// Asks for a part of a blob.
    Pull(Pull),
    /// Journal entries, in order, without gaps.
    Events(Vec<Event>),
    /// A piece of a service's log.
    Log(LogPiece),
}

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The desired state it accepted durably.
    pub accepted: Stamp,
    /// sha256 of that state's signed payload; all zero when it has none.
    pub hash: [u8; 32],
    /// The oldest journal entry the hub has not confirmed.
    pub journal: u64,
    /// Highest wire version it speaks.
    pub speaks: u8,
}

/// Asks for a part of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Comes back in the answer.
    pub request: u32,
    /// Which blob.
    pub blob: [u8; 32],
    /// From which byte.
    pub offset: u64,
    /// At most so many, at most [`super::FRAME_MAX`].
    pub length: u32,
}

/// A piece of a service's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPiece {
    /// The request it answers.
    pub request: u32,
    /// Whole lines: RFC 3339 time, space, `out` or `err`, space, text.
    pub lines: Vec<u8>,
    /// Nothing follows, with the reason if there is one.
    pub end: Option<Option<Fault>>,
}

/// From hub to node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// A signed desired state: [`Envelope`] over [`Desired`] bytes.
    Desired(Envelope),
    /// The hub holds the same desired state as the node's hello said.
    Agreed {
        /// Which.
        stamp: Stamp,
        /// The hub's wall clock.
        wall_ms: u64,
    },
    /// A part of a blob.
    Frame(Frame),
    /// The hub will not send this blob.
    NoBlob {
        /// The request it answers.
        request: u32,
        /// Which blob.
        blob: [u8; 32],
        /// Why.
        fault: Fault,
    },
    /// The hub has stored all journal entries below this number.
    EventsStored(u64),
    /// Asks for a service's log.
    LogWanted(LogWanted),
    /// Ends a log that is followed.
    LogEnough {
        /// The request that began it.
        request: u32,
    },
}

/// A part of a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The request it answers.
    pub request: u32,
    /// Which blob.
    pub blob: [u8; 32],
    /// From which byte.
    pub offset: u64,
    /// Size of the whole blob.
    pub total: u64,
    /// The bytes.
    pub data: Vec<u8>,
}

/// Asks for a service's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWanted {
    /// Comes back in every piece.
    pub request: u32,
    /// The app.
    pub app: String,
    /// The service; all when absent.
    pub service: Option<String>,
    /// So many of the last lines.
    pub tail: u32,
    /// Go on as lines are written, until told otherwise or the session ends.
    pub follow: bool,
}

// ---------------------------------------------------------------- parts

/// [`state::Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The hub's life.
    pub epoch: u64,
    /// The change within it.
    pub generation: u64,
}

impl From<state::Stamp> for Stamp {
    fn from(stamp: state::Stamp) -> Self {
        Self { epoch: stamp.epoch, generation: stamp.generation }
    }
}

impl From<Stamp> for state::Stamp {
    fn from(stamp: Stamp) -> Self {
        Self { epoch: stamp.epoch, generation: stamp.generation }
    }
}

/// [`CoreFault`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Stable code.
    pub code: String,
    /// Values for the text.
    pub params: BTreeMap<String, String>,
}

impl From<CoreFault> for Fault {
    fn from(fault: CoreFault) -> Self {
        Self { code: fault.code, params: fault.params }
    }
}

impl From<Fault> for CoreFault {
    fn from(fault: Fault) -> Self {
        Self { code: fault.code, params: fault.params }
    }
}

/// [`sign::Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Canonical bytes.
    pub payload: Vec<u8>,
    /// Key id and signature, once per key.
    pub signatures: Vec<([u8; 32], Vec<u8>)>,
}

impl From<&sign::Envelope> for Envelope {
    fn from(envelope: &sign::Envelope) -> Self {
        let signatures = envelope.signatures.iter().map(|s| (*s.key.as_bytes(), s.bytes.clone())).collect();
        Self { payload: envelope.payload.clone(), signatures }
    }
}

impl From<Envelope> for sign::Envelope {
    fn from(envelope: Envelope) -> Self {
        let signature = |(key, bytes)| sign::Signature { key: Digest::from_bytes(key), bytes };
        Self { payload: envelope.payload, signatures: envelope.signatures.into_iter().map(signature).collect() }
    }
}

/// [`release::Release`]: the bytes a publisher signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The App manifest as JSON; its `apiVersion` is its own version.
    pub manifest: String,
    /// Service to images, one per platform.
    pub images: BTreeMap<String, Vec<Image>>,
}

/// [`release::Image`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// os, architecture, variant.
    pub platform: (String, String, String),
    /// Digest and size of the image manifest.
    pub manifest: ([u8; 32], u64),
    /// Digest and size of the image config.
    pub config: ([u8; 32], u64),
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

/// [`release::Layer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest and size as it travels.
    pub blob: ([u8; 32], u64),
    /// 0 none, 1 gzip, 2 zstd.
    pub compression: u8,
    /// Digest and size of the uncompressed tar.
    pub tar: ([u8; 32], u64),
}

impl From<&release::Release> for Release {
    fn from(release: &release::Release) -> Self {
        let images =
            |(service, images): (&Name, &Vec<release::Image>)| (service.to_string(), images.iter().map(Image::from).collect());
        Self {
            // A manifest is plain data with string keys: it always has a JSON form.
            manifest: serde_json::to_string(&release.manifest).unwrap_or_default(),
            images: release.images.iter().map(images).collect(),
        }
    }
}

impl TryFrom<Release> for release::Release {
    type Error = WireError;
    fn try_from(release: Release) -> Result<Self, WireError> {
        let manifest = serde_json::from_str(&release.manifest).map_err(|error| malformed("manifest of a release", error))?;
        let mut images = BTreeMap::new();
        for (service, list) in release.images {
            let list: Result<Vec<_>, _> = list.into_iter().map(release::Image::try_from).collect();
            images.insert(name(&service)?, list?);
        }
        Ok(Self { manifest, images })
    }
}

impl From<&release::Image> for Image {
    fn from(image: &release::Image) -> Self {
        let CorePlatform { os, architecture, variant } = image.platform.clone();
        Self {
            platform: (os, architecture, variant),
            manifest: pair(image.manifest),
            config: pair(image.config),
            layers: image.layers.iter().map(Layer::from).collect(),
        }
    }
}

impl TryFrom<Image> for release::Image {
    type Error = WireError;
    fn try_from(image: Image) -> Result<Self, WireError> {
        let (os, architecture, variant) = image.platform;
        let layers: Result<Vec<_>, _> = image.layers.into_iter().map(release::Layer::try_from).collect();
        Ok(Self {
            platform: CorePlatform { os, architecture, variant },
            manifest: blob(image.manifest),
            config: blob(image.config),
            layers: layers?,
        })
    }
}

impl From<&release::Layer> for Layer {
    fn from(layer: &release::Layer) -> Self {
        let compression = match layer.compression {
            release::Compression::None => 0,
            release::Compression::Gzip => 1,
            release::Compression::Zstd => 2,
        };
        Self { blob: pair(layer.blob), compression, tar: pair(layer.tar) }
    }
}

impl TryFrom<Layer> for release::Layer {
    type Error = WireError;
    fn try_from(layer: Layer) -> Result<Self, WireError> {
        let compression = match layer.compression {
            0 => release::Compression::None,
            1 => release::Compression::Gzip,
            2 => release::Compression::Zstd,
            other => return Err(malformed("layer", format!("compression {other}"))),
        };
        Ok(Self { blob: blob(layer.blob), compression, tar: blob(layer.tar) })
    }
}

fn pair(blob: release::Blob) -> ([u8; 32], u64) {
    (*blob.digest.as_bytes(), blob.size)
}

fn blob((digest, size): ([u8; 32], u64)) -> release::Blob {
    release::Blob { digest: Digest::from_bytes(digest), size }
}

fn name(text: &str) -> Result<Name, WireError> {
    Name::new(text).map_err(|error| malformed("name", error))
}

/// [`state::Desired`]: the bytes the hub signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// For whom.
    pub node: String,
    /// Its place in the order.
    pub stamp: Stamp,
    /// When the hub said so.
    pub as_of_ms: u64,
    /// App to release, revision, run.
    pub apps: BTreeMap<String, ([u8; 32], u64, bool)>,
}

impl From<&state::Desired> for Desired {
    fn from(desired: &state::Desired) -> Self {
        let app = |(name, a): (&Name, &state::Assignment)| (name.to_string(), (*a.release.as_bytes(), a.revision, a.run));
        Self {
            node: desired.node.to_string(),
            stamp: desired.stamp.into(),
            as_of_ms: desired.as_of.0,
            apps: desired.apps.iter().map(app).collect(),
        }
    }
}

impl TryFrom<Desired> for state::Desired {
    type Error = WireError;
    fn try_from(desired: Desired) -> Result<Self, WireError> {
        if desired.apps.len() > state::APPS_MAX {
            return Err(malformed("desired state", format!("{} apps", desired.apps.len())));
        }
        let mut apps = BTreeMap::new();
        for (app, (release, revision, run)) in desired.apps {
            apps.insert(name(&app)?, state::Assignment { release: Digest::from_bytes(release), revision, run });
        }
        Ok(Self { node: name(&desired.node)?, stamp: desired.stamp.into(), as_of: UnixMillis(desired.as_of_ms), apps })
    }
}

/// [`state::Memory`] as the node stores it; a trial's clock starts again when it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The last release that proved itself.
    pub good: Option<[u8; 32]>,
    /// Release and revision on trial.
    pub trial: Option<([u8; 32], u64)>,
    /// Release, revision and reason of the one that was undone.
    pub undone: Option<([u8; 32], u64, Fault)>,
    /// One-shot service to instance hash.
    pub finished: BTreeMap<String, [u8; 32]>,
}

impl From<&state::Memory> for Memory {
    fn from(memory: &state::Memory) -> Self {
        Self {
            good: memory.good.map(|release| *release.as_bytes()),
            trial: memory.trial.as_ref().map(|t| (*t.release.as_bytes(), t.revision)),
            undone: memory.undone.as_ref().map(|u| (*u.release.as_bytes(), u.revision, u.fault.clone().into())),
            finished: memory.finished.iter().map(|(service, hash)| (service.to_string(), *hash.as_bytes())).collect(),
        }
    }
}

impl Memory {
    /// The core type; a trial's clock starts at `now`.
    pub fn into_core(self, now: crate::time::Uptime) -> Result<state::Memory, WireError> {
        let mut finished = BTreeMap::new();
        for (service, hash) in self.finished {
            finished.insert(name(&service)?, Digest::from_bytes(hash));
        }
        Ok(state::Memory {
            good: self.good.map(Digest::from_bytes),
            trial: self.trial.map(|(release, revision)| state::Trial {
                release: Digest::from_bytes(release),
                revision,
                since: now,
            }),
            undone: self.undone.map(|(release, revision, fault)| state::Undone {
                release: Digest::from_bytes(release),
                revision,
                fault: fault.into(),
            }),
            finished,
        })
    }
}

/// [`state::Override`]s as the node stores them: app, and service unless all are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides(pub Vec<(String, Option<String>)>);

impl From<&BTreeSet<state::Override>> for Overrides {
    fn from(overrides: &BTreeSet<state::Override>) -> Self {
        Self(overrides.iter().map(|over| (over.app.to_string(), over.service.as_ref().map(Name::to_string))).collect())
    }
}

impl TryFrom<Overrides> for BTreeSet<state::Override> {
    type Error = WireError;
    fn try_from(overrides: Overrides) -> Result<Self, WireError> {
        let over = |(app, service): (String, Option<String>)| {
            Ok(state::Override { app: name(&app)?, service: service.as_deref().map(name).transpose()? })
        };
        overrides.0.into_iter().map(over).collect()
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

/// [`crate::join::JoinToken`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The hub's API.
    pub hub: String,
    /// Who may join.
    pub node: String,
    /// What the hub recognises the token by.
    pub secret: [u8; 16],
    /// sha256 of the hub's CA certificate.
    pub ca: [u8; 32],
}

// ---------------------------------------------------------------- report

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
    /// Image, bytes done, bytes in all.
    pub transfers: Vec<([u8; 32], u64, u64)>,
    /// What is wrong with the node as a whole.
    pub faults: Vec<Fault>,
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
    /// Place in [`PHASES`].
    pub phase: u8,
    /// Its services.
    pub services: Vec<ServiceReport>,
    /// Why it is not running.
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
pub const PHASES: [report::Phase; 8] = {
    use report::Phase::{Failing, Fetching, Leaving, Pending, Running, Starting, Stopped, Undone};
    [Pending, Fetching, Starting, Running, Failing, Undone, Stopped, Leaving]
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
            },
            apps: report.apps.iter().map(AppReport::from).collect(),
            transfers: report.transfers.iter().map(|t| (*t.image.as_bytes(), t.done, t.total)).collect(),
            faults: report.faults.iter().cloned().map(Fault::from).collect(),
        }
    }
}

impl TryFrom<Report> for report::Report {
    type Error = WireError;
    fn try_from(report: Report) -> Result<Self, WireError> {
        let (os, architecture, variant) = report.facts.platform;
        let apps: Result<Vec<_>, _> = report.apps.into_iter().map(report::AppReport::try_from).collect();
        let transfer = |(image, done, total)| report::Transfer { image: Digest::from_bytes(image), done, total };
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
            },
            apps: apps?,
            transfers: report.transfers.into_iter().map(transfer).collect(),
            faults: report.faults.into_iter().map(CoreFault::from).collect(),
        })
    }
}

impl From<&report::AppReport> for AppReport {
    fn from(app: &report::AppReport) -> Self {
        Self {
            app: app.app.to_string(),
            release: *app.release.as_bytes(),
            version: app.version.clone(),
            wanted: *app.wanted.as_bytes(),
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
            phase: entry(&PHASES, app.phase, "phase")?,
            services: services?,
            fault: app.fault.map(CoreFault::from),
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
