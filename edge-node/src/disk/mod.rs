//! What the node's disk holds, for people on site: `edge-node df`.
//!
//! ```text
//! held ────▶ images, and who uses them ──────────────┐
//! runtime ─▶ unpacked layers, files of containers ───┼─▶ DiskUse
//! state directory ─▶ packs, patches, volumes, logs ──┘
//! ```
//!
//! Sizes are blocks of the disk, not lengths of files, and what several names lead to counts once. Nothing is locked: the
//! daemon works on meanwhile, so that two numbers may be of two moments. The work is bounded: one measurement at a time, a
//! number of files ([`walk`]), and [`LIMIT`]; what was not counted is told. A file system may not answer at all (NFS without its
//! server): then the answer comes without it, and nobody measures again before the one thread that waits for it is back.

mod images;
pub mod walk;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::statvfs;
use serde::{Deserialize, Serialize};
use shared::fault::{Fault, Faulty, node};
use shared::id::{Digest, Name};
use shared::oci::Platform;
use shared::report::Report;
use shared::state::InstanceId;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::held::Holding;
use crate::images::content::Content;
use crate::images::room::Disk;
use crate::images::stop::{Stop, StopOnDrop};
use crate::reserve;
use crate::runtime::{Runtime, RuntimeError, Usage};
use images::Layers;
use walk::Walk;

/// A measurement ends within this time, with what it has by then.
const LIMIT: Duration = Duration::from_secs(20);
/// What was told to end, and file systems that are asked for their size, answer within this time.
const GRACE: Duration = Duration::from_secs(2);
/// Whoever asks meanwhile waits so long for the measurement under way. With the others, less than the command line waits.
const TURN: Duration = Duration::from_secs(8);
/// Most volumes that are listed.
const VOLUMES_MAX: usize = 1000;

/// What the disk holds, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DiskUse {
    /// Images of the releases that the node holds.
    pub images: Vec<ImageUse>,
    /// By kind; nothing counts twice.
    pub kinds: Kinds,
    /// Patches that are on disk, whole or in part.
    pub patches: Patches,
    /// What packs cost beside the files unpacked from them; absent while there is nothing to compare.
    pub overhead: Option<Overhead>,
    /// Named volumes.
    pub volumes: Vec<VolumeUse>,
    /// File systems: the state directory's, and that of unpacked layers where it is another one.
    pub places: Vec<Place>,
    /// Whether all was counted; otherwise there is more than these numbers say.
    pub complete: bool,
    /// Why something is missing here.
    pub faults: Vec<Fault>,
}

/// What takes the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Kinds {
    /// Packs, also those that are being made.
    pub packs: u64,
    /// Patches.
    pub patches: u64,
    /// Manifests and configs.
    pub documents: u64,
    /// Unpacked layers, each once, also those that are being unpacked; absent while the runtime does not answer.
    pub unpacked: Option<u64>,
    /// What containers wrote into their own files; absent while the runtime does not answer.
    pub containers: Option<u64>,
    /// Named volumes.
    pub volumes: u64,
    /// Logs of services.
    pub logs: u64,
    /// The node's memory: desired state, releases, journal.
    pub store: u64,
    /// What is kept for it on a full disk.
    pub reserve: u64,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUse {
    /// Its id.
    pub image: Digest,
    /// What it is there for: the first of its uses' needs.
    pub need: Need,
    /// Who uses it.
    pub uses: Vec<ServiceUse>,
    /// Bytes of its packs.
    pub packs: u64,
    /// Bytes of its unpacked layers; absent while the runtime does not answer.
    pub unpacked: Option<u64>,
    /// Bytes of both that no other image here has a part in.
    pub own: u64,
}

/// A service that uses an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceUse {
    /// What for.
    pub need: Need,
    /// The app.
    pub app: Name,
    /// The release's version.
    pub version: String,
    /// The release.
    pub release: Digest,
    /// The service.
    pub service: Name,
}

/// What an image is there for, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// A process of it runs.
    Running,
    /// The wanted release has it, and it is ready.
    Wanted,
    /// The wanted release has it, or the one for later, and it is not ready yet.
    Awaited,
    /// The release for later has it, and it is ready.
    Next,
    /// The last good release has it.
    LastGood,
    /// Nothing: it goes when the node tidies up.
    Unneeded,
}

/// Patches that are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Patches {
    /// Their number.
    pub count: usize,
    /// Bytes that arrived.
    pub arrived: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Packs, and the files unpacked from the same layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overhead {
    /// Bytes of packs.
    pub packs: u64,
    /// Bytes of files.
    pub unpacked: u64,
}

/// One named volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUse {
    /// Whose. The app may be gone: volumes are kept.
    pub app: Name,
    /// Its name.
    pub volume: Name,
    /// Bytes.
    pub bytes: u64,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// A directory on it.
    pub path: PathBuf,
    /// Bytes in all.
    pub size: u64,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that images leave free.
    pub reserve: u64,
}

/// Measures, once at a time.
#[derive(Debug, Default)]
pub struct Meter(Arc<Mutex<()>>);

/// What the state directory holds.
#[derive(Debug, Default)]
struct Counted {
    layers: Layers,
    kinds: Kinds,
    patches: Patches,
    volumes: Vec<VolumeUse>,
    complete: bool,
    faults: Vec<Fault>,
}

impl Meter {
    /// Measures `state` and what `runtime` has. The fault says that an earlier measurement has not ended.
    pub async fn measure<R: Runtime>(
        &self,
        runtime: &R,
        content: &Content,
        state: &Path,
        holding: &Holding,
        report: &Report,
    ) -> Result<DiskUse, Fault> {
        let turn = timeout(TURN, self.0.clone().lock_owned()).await;
        // Held until the work has ended, also when nobody waits for it any more.
        let turn =
            turn.map_err(|_| Fault::new(&node::MEASURING).with("path", state.display()).with("seconds", TURN.as_secs()))?;
        let turn = Arc::new(turn);
        let stop = StopOnDrop::default();
        let (asked, files, dir, layers) = (stop.asked(), content.clone(), state.to_owned(), images::layers(holding));
        let held = turn.clone();
        let counting = tokio::task::spawn_blocking(move || {
            let _held = held;
            count(&files, &dir, &layers, asked)
        });
        let (counted, usage) = tokio::join!(in_time(counting, stop.asked()), timeout(LIMIT, runtime.usage()));
        let lost = |cause| Counted {
            faults: vec![
                Fault::new(&node::FILE_FAILED).with("doing", "measuring").with("path", state.display()).with("cause", cause),
            ],
            ..Counted::default()
        };
        let Counted { layers, mut kinds, patches, volumes, complete, mut faults } = counted.unwrap_or_else(lost);
        let usage = match usage {
            Ok(Ok(usage)) => Some(usage),
            Ok(Err(error)) => blame(&mut faults, &error),
            Err(_) => blame(&mut faults, &RuntimeError::Unreachable(format!("{} s", LIMIT.as_secs()))),
        };
        kinds.unpacked = usage.as_ref().map(|usage| usage.layers.values().sum::<u64>().saturating_add(usage.unpacking));
        kinds.containers = usage.as_ref().map(|usage| usage.instances.values().map(|written| written.bytes).sum());
        let running = running(usage.as_ref(), report);
        let platform: &Platform = &report.facts.platform;
        let images = images::images(holding, platform, &running, &layers, usage.as_ref());
        let overhead = usage.as_ref().and_then(|usage| images::overhead(holding, &layers, usage));
        let dirs = [Some(state.to_owned()), usage.and_then(|usage| usage.root)];
        let reserve = content.reserve;
        let asking = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            places(dirs, reserve)
        });
        let places = timeout(GRACE, asking).await.ok().and_then(Result::ok).unwrap_or_default();
        Ok(DiskUse { images, kinds, patches, overhead, volumes, places, complete, faults })
    }
}

fn blame<T>(faults: &mut Vec<Fault>, error: &impl Faulty) -> Option<T> {
    faults.push(error.fault());
    None
}

/// What was counted when the time is over; why there is nothing.
async fn in_time<T>(mut counting: JoinHandle<T>, stop: Stop) -> Result<T, String> {
    let counted = tokio::select! {
        counted = &mut counting => counted,
        () = tokio::time::sleep(LIMIT) => {
            stop.now();
            let late = timeout(GRACE, counting).await;
            late.map_err(|_| format!("no answer within {} s", (LIMIT + GRACE).as_secs()))?
        }
    };
    counted.map_err(|error| error.to_string())
}

/// Counts what lies in the state directory.
fn count(content: &Content, state: &Path, layers: &BTreeSet<Digest>, stop: Stop) -> Counted {
    let mut walk = Walk::new(stop);
    let mut counted = Counted::default();
    match content.packs.allocated() {
        Ok((packs, making)) => {
            counted.kinds.packs = packs.values().sum::<u64>().saturating_add(making);
            counted.layers = packs;
        }
        Err(error) => counted.faults.push(error.fault()),
    }
    for layer in layers {
        if let Ok(Some(patch)) = content.patches.patch_of(*layer) {
            counted.patches.count += 1;
            counted.patches.arrived = counted.patches.arrived.saturating_add(content.patches.arrived(&patch));
            counted.patches.total = counted.patches.total.saturating_add(patch.size);
        }
    }
    counted.kinds.documents = walk.below(&state.join("blobs"));
    counted.kinds.patches = walk.below(&state.join("patches"));
    counted.kinds.store = walk.below(&state.join("store"));
    counted.kinds.reserve = reserve::left(state);
    counted.kinds.logs = walk.below(&state.join("logs"));
    let volumes = names(&state.join("volumes")).into_iter().flat_map(|app| {
        let dir = state.join("volumes").join(app.as_str());
        names(&dir).into_iter().map(move |volume| (app.clone(), dir.join(volume.as_str()), volume))
    });
    for (n, (app, dir, volume)) in volumes.enumerate() {
        let bytes = walk.below(&dir);
        counted.kinds.volumes = counted.kinds.volumes.saturating_add(bytes);
        if n < VOLUMES_MAX {
            counted.volumes.push(VolumeUse { app, volume, bytes });
        }
    }
    counted.complete = walk.is_complete() && counted.faults.is_empty();
    counted
}

/// The names in a directory; none when it is not there.
fn names(dir: &Path) -> Vec<Name> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names: Vec<Name> = entries.filter_map(|name| Name::new(OsStr::to_str(&name)?).ok()).collect();
    names.sort();
    names
}

/// App, service and release of what runs, as the last report knew it. A service may still run from the release before.
fn running(usage: Option<&Usage>, report: &Report) -> BTreeSet<(Name, Name, Digest)> {
    let services = report.apps.iter().flat_map(|app| app.services.iter().map(move |service| (app, service)));
    let services = services.filter(|(_, service)| service.pid != 0).map(|(app, service)| {
        let written = InstanceId::parse(&service.instance).and_then(|id| usage?.instances.get(&id));
        (app.app.clone(), service.service.clone(), written.map_or(app.release, |written| written.release))
    });
    services.collect()
}

fn places(dirs: [Option<PathBuf>; 2], reserve: u64) -> Vec<Place> {
    let mut devices = BTreeSet::new();
    let disks = dirs.iter().flatten().filter_map(|dir| Disk::of(dir)).filter(|disk| devices.insert(disk.device));
    let place = |disk: Disk| {
        let size = statvfs(&disk.path).map_or(0, |room| room.f_blocks.saturating_mul(room.f_frsize));
        Place { path: disk.path, size, free: disk.free, reserve }
    };
    disks.map(place).collect()
}

#[cfg(test)]
mod tests;
