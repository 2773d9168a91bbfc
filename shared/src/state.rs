//! Desired and actual state of one node: the two inputs of [`crate::plan::plan`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
use crate::fault::Fault;
use crate::health::Health;
use crate::id::{Digest, Name};
use crate::oci::Platform;
use crate::plan::Note;
use crate::release::Release;
use crate::time::{UnixMillis, Uptime};

/// Mending an image that failed so often in a row will hardly succeed by itself: an older release takes over.
pub const MENDS: u32 = 6;

/// Most apps of one node.
pub const APPS_MAX: usize = 256;

/// Most neighbours of one node.
pub const NEIGHBOURS_MAX: usize = 32;

/// A node of the same site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Where it says it can be reached.
    pub address: SocketAddr,
    /// sha256 of the one certificate it may show, in DER.
    pub certificate: Digest,
}

/// Orders the desired states of a node: a later one has the larger stamp. The epoch grows when a hub is restored
/// from a backup, the generation with every change. Never time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Stamp {
    /// The hub's life.
    pub epoch: u64,
    /// The change within it.
    pub generation: u64,
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.generation)
    }
}

/// The whole of what one node shall run, and what its link may carry meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// For whom.
    pub node: Name,
    /// Its place in the order.
    pub stamp: Stamp,
    /// When the hub said so; shown, never compared.
    pub as_of: UnixMillis,
    /// One release per app.
    pub apps: BTreeMap<Name, Assignment>,
    /// Releases to have on disk, by app: what will run there next. What runs meanwhile is in `apps`.
    pub next: BTreeMap<Name, Digest>,
    /// What images may take of its link; all of it when absent.
    pub budget: Option<Budget>,
    /// The other nodes of its site that images are shared with.
    pub neighbours: BTreeMap<Name, Neighbour>,
}

impl Desired {
    /// A node that was told nothing yet.
    pub fn empty(node: Name) -> Self {
        Self {
            node,
            stamp: Stamp::default(),
            as_of: UnixMillis::default(),
            apps: BTreeMap::new(),
            next: BTreeMap::new(),
            budget: None,
            neighbours: BTreeMap::new(),
        }
    }

    /// Every release that it names, with its app.
    pub fn releases(&self) -> impl Iterator<Item = (&Name, Digest)> {
        let apps = self.apps.iter().map(|(app, assignment)| (app, assignment.release));
        apps.chain(self.next.iter().map(|(app, release)| (app, *release)))
    }
}

/// What a node shall do with one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The release's id.
    pub release: Digest,
    /// Grows whenever somebody deploys the app again. A release that was undone is tried again only under a new revision.
    pub revision: u64,
    /// Run it, or have it on disk and stopped.
    pub run: bool,
}

/// What the node observes and remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actual {
    /// This machine.
    pub platform: Platform,
    /// Every release the node has, by id.
    pub releases: BTreeMap<Digest, Arc<Release>>,
    /// Images by id; an image that is not listed is absent, or damaged.
    pub images: BTreeMap<Digest, ImageState>,
    /// Images that are unpacked and were found damaged: until they are unpacked again nothing starts from them, and what
    /// runs on them is stopped. How far that is, and whether it failed, is in `images`; not listed there, nothing was tried.
    pub damaged: BTreeSet<Digest>,
    /// Images of which all bytes are on disk, of those that are not unpacked, or damaged.
    pub here: BTreeSet<Digest>,
    /// Every container of ours.
    pub instances: BTreeMap<InstanceId, Instance>,
    /// What the node remembers about each app.
    pub memory: BTreeMap<Name, Memory>,
    /// Apps and services that an on-site operator stopped.
    pub overrides: BTreeSet<Override>,
    /// Transfers that an on-site operator paused.
    pub paused: Paused,
    /// Steps about a service that failed, by app and service.
    pub troubles: BTreeMap<(Name, Name), Trouble>,
}

impl Actual {
    /// Whether all of the image is unpacked, or damaged and nothing shows that it cannot be mended from this disk soon.
    pub fn is_unpacked(&self, image: Digest) -> bool {
        match self.images.get(&image) {
            Some(ImageState::Ready | ImageState::Doubtful) => true,
            Some(ImageState::Fetching | ImageState::Fetched) => false,
            Some(ImageState::Failed(trouble)) => self.is_mended_here(image) && trouble.failures < MENDS,
            None => self.damaged.contains(&image),
        }
    }

    /// Whether the image is damaged, mending it failed, and all bytes that it is mended from are on disk.
    pub fn is_mended_here(&self, image: Digest) -> bool {
        let has_failed = matches!(self.images.get(&image), Some(ImageState::Failed(_)));
        has_failed && self.damaged.contains(&image) && self.here.contains(&image)
    }

    /// Whether what runs on the image may go on: it is unpacked, and nobody found it damaged.
    pub fn stands(&self, image: Digest) -> bool {
        matches!(self.images.get(&image), Some(ImageState::Ready | ImageState::Doubtful)) && !self.damaged.contains(&image)
    }

    /// Whether nothing of the image is asked for any more.
    pub fn is_on_disk(&self, image: Digest) -> bool {
        self.is_unpacked(image) || self.here.contains(&image) || self.images.get(&image) == Some(&ImageState::Fetched)
    }

    /// Whether a process is known to run on a damaged image.
    pub fn runs_on_damage(&self, instance: &Instance) -> bool {
        instance.task.is_running() && self.releases.contains_key(&instance.release) && self.may_run_on_damage(instance)
    }

    /// As [`Self::runs_on_damage`]; but of a release that nobody knows nobody can say that it runs on a whole image.
    pub fn may_run_on_damage(&self, instance: &Instance) -> bool {
        if self.damaged.is_empty() || !instance.task.is_running() {
            return false;
        }
        let Some(release) = self.releases.get(&instance.release) else { return true };
        release.image(&instance.service, &self.platform).is_some_and(|image| self.damaged.contains(&image.id()))
    }
}

/// Something that failed and will be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Attempts so far.
    pub failures: u32,
    /// When the last one ended.
    pub at: Uptime,
    /// Why.
    pub fault: Fault,
}

/// How far an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageState {
    /// Bytes are on their way.
    Fetching,
    /// All bytes are on disk and fit their digests.
    Fetched,
    /// Unpacked, verified and synced: it can start.
    Ready,
    /// Unpacked before the power went: it can start once it is verified.
    Doubtful,
    /// The last attempt failed.
    Failed(Trouble),
}

/// The name of a container: `<app>-<service>-<suffix>`, each name cut to 28 characters so that the whole
/// stays below containerd's 76. The suffix is unique for ever, because runc's state is global per id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// A new id; `unique` comes from a random source.
    pub fn new(app: &Name, service: &Name, unique: u64) -> Self {
        let cut = |name: &Name| name.as_str().chars().take(28).collect::<String>().trim_end_matches('-').to_owned();
        Self(format!("{}-{}-{unique:016x}", cut(app), cut(service)))
    }

    /// An id as containerd gave it back; `None` when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let ours = text.len() <= 76
            && text.split('-').count() >= 3
            && text.split('-').all(|part| part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        ours.then(|| Self(text.into()))
    }

    /// The id as text: safe in a path, a topic and a container id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Whose.
    pub app: Name,
    /// Which service of it.
    pub service: Name,
    /// The release it was made for.
    pub release: Digest,
    /// [`crate::release::InstanceSpec::hash`] it was made from.
    pub hash: Digest,
    /// Its process.
    pub task: Task,
    /// What its health check says.
    pub health: Health,
    /// Starts after exits by itself, in a row; forgotten after the process ran for ten minutes.
    pub restarts: u32,
    /// Its address on the bridge.
    pub address: Option<IpAddr>,
}

/// The process of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// It has none: never started, or lost with a reboot or a killed shim.
    Absent,
    /// It runs.
    Running {
        /// Process id on the node.
        pid: u32,
        /// Since when.
        since: Uptime,
    },
    /// It ended.
    Exited(Exit),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Exit code; 128 + signal when a signal ended it.
    pub code: u32,
    /// The kernel killed something in it for want of memory.
    pub oom: bool,
    /// When.
    pub at: Uptime,
}

impl Task {
    /// Whether a process runs.
    pub const fn is_running(&self) -> bool {
        matches!(self, Self::Running { .. })
    }
}

/// What a node remembers about one app across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// The last release that proved itself here.
    pub good: Option<Digest>,
    /// The release that is proving itself, and since when.
    pub trial: Option<Trial>,
    /// The release that did not, and was undone.
    pub undone: Option<Undone>,
    /// One-shot services that ended well, by the hash they ran with, so that a reboot does not run them again.
    pub finished: BTreeMap<Name, Digest>,
}

impl Memory {
    /// Takes a note; [`Note::Forget`] leaves nothing.
    pub fn apply(&mut self, note: Note, now: Uptime) {
        match note {
            Note::Try(release, revision) => {
                self.trial = Some(Trial { release, revision, since: now });
                self.undone = None;
            }
            Note::Keep(release) => {
                self.good = Some(release);
                self.trial = None;
            }
            Note::Rest(release) | Note::Abandon(release) => {
                self.trial = self.trial.take().filter(|trial| trial.release != release);
            }
            Note::Undo(release, revision, fault) => {
                self.trial = None;
                self.undone = Some(Undone { release, revision, fault });
            }
            Note::Finish(service, hash) => drop(self.finished.insert(service, hash)),
            Note::Forget => *self = Self::default(),
        }
    }
}

/// A release on trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Which.
    pub release: Digest,
    /// Under which revision.
    pub revision: u64,
    /// Since when. A reboot or a restart of the daemon starts the clock again.
    pub since: Uptime,
}

/// A release that failed its trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undone {
    /// Which.
    pub release: Digest,
    /// Under which revision.
    pub revision: u64,
    /// Why.
    pub fault: Fault,
}

/// An on-site operator's stop of an app or of one service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Override {
    /// The app.
    pub app: Name,
    /// The service; all when absent.
    pub service: Option<Name>,
}

/// Most images that are paused one by one.
pub const PAUSED_MAX: usize = 256;

/// What an on-site operator paused: no byte of these images is asked for. What arrived stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Paused {
    /// All transfers, also those to come.
    pub all: bool,
    /// These images.
    pub images: BTreeSet<Digest>,
}

impl Paused {
    /// Whether the image is meant.
    pub fn covers(&self, image: Digest) -> bool {
        self.all || self.images.contains(&image)
    }
}

/// Runs this long without exit forget earlier exits.
pub const STABLE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_ids_fit_containerd() {
        let long = Name::new(&format!("a{}", "-b".repeat(31))).expect("name");
        let id = InstanceId::new(&long, &long, u64::MAX);
        assert!(id.as_str().len() <= 76);
        assert!(!id.as_str().contains("--"), "containerd refuses two separators in a row: {id}");
        assert_eq!(InstanceId::parse(id.as_str()), Some(id));
        assert_eq!(InstanceId::parse("../x-y-z"), None);
        assert_eq!(InstanceId::parse("redis"), None);
    }

    #[test]
    fn stamps_order_by_epoch_first() {
        let stamp = |epoch, generation| Stamp { epoch, generation };
        assert!(stamp(2, 1) > stamp(1, 99));
        assert!(stamp(1, 2) > stamp(1, 1));
    }
}
