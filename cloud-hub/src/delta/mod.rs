//! Layers travel to nodes as patches: here they are made.
//!
//! ```text
//! published layer ──▶ pack (once, in the background)
//! "I have these, I want that" ──▶ choose ──▶ patch in the cache? ──▶ its digest, to be pulled like a blob
//!                                                └── make: packs of the new and of the chosen old layers ──▶ cache
//! ```
//!
//! Everything here is derived from blobs and can be made again with the same bytes: packs that are damaged, patches that
//! were evicted. The same work is done once, however many nodes ask; at most as much at a time as the machine has
//! processors, and of one node's patches one at a time.

mod choose;
mod diff;
mod error;
mod file_list;
mod flights;
mod layers;
mod lru;
mod make;
mod new_file;
mod packs;
mod patches;
mod shelf;
mod stats;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use shared::id::{Digest, Name};
use shared::recipe::sketch::Sketch;
use shared::release::{Layer, Release};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;

use crate::access::lock;
use crate::blobs::{BlobError, Blobs, blocking};
use crate::stop::{Stop, stopped};

pub(crate) use diff::{Need, Needs, compare};
pub use error::{DeltaError, Shared};
pub use make::{Known, Made};

use choose::{Has, Outline, choose};
use flights::Flights;
use layers::Layers;
use lru::Lru;
use packs::Packs;
use patches::Patches;
use stats::{Figures, Stats};

/// Layers that wait for their packs after they were published. More are packed when a node asks.
const QUEUE: usize = 1024;
/// Bytes of sketches in memory. A layer of 100 MB with 10,000 files has one of at most 175 kB, so these are some hundred layers.
const SKETCHES_MAX: usize = 32 << 20;
/// Choices that are remembered.
const CHOICES_MAX: usize = 4096;
/// Layers without a pack that are remembered.
const REFUSED_MAX: usize = 4096;

/// Packs and patches. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Delta(Arc<Inner>);

struct Inner {
    packs: Packs,
    patches: Patches,
    layers: Layers,
    stats: Stats,
    sketches: Mutex<Lru<Digest, Arc<Sketch>>>,
    /// By new layer and candidates.
    choices: Mutex<Lru<Digest, Arc<Vec<Digest>>>>,
    /// Blobs of layers that cannot be packed as they are; they are not tried again until they are published again.
    refused: Mutex<Lru<Digest, ()>>,
    packing: Flights<Digest, ()>,
    choosing: Flights<Digest, Arc<Vec<Digest>>>,
    making: Flights<Digest, Made>,
    /// One permit per processor, for what takes its time.
    work: Arc<Semaphore>,
    processors: u32,
    turns: Mutex<BTreeMap<Asker, Arc<Semaphore>>>,
    queue: mpsc::Sender<Layer>,
    queued: Mutex<Option<mpsc::Receiver<Layer>>>,
    stopping: AtomicBool,
}

/// The right to have one patch made.
type Turn = OwnedSemaphorePermit;

/// A patch that stays while this is there, as long as somebody goes on with it.
pub(crate) struct Pin {
    delta: Delta,
    digest: Digest,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.delta.0.patches.unpin(&self.digest);
    }
}

/// For whom a patch is made: a node, or people (`None`).
pub type Asker = Option<Name>;

impl Delta {
    /// Opens packs and patches in `state`, over the layers in `blobs`; patches take at most `cache` bytes. Blocks.
    pub fn open(state: &Path, blobs: &Blobs, cache: u64) -> Result<Self, BlobError> {
        let processors = std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
        let (queue, queued) = mpsc::channel(QUEUE);
        let delta = Self(Arc::new(Inner {
            packs: Packs::open(state, blobs.clone())?,
            patches: Patches::open(state, cache)?,
            layers: Layers::default(),
            stats: Stats::default(),
            sketches: Mutex::new(Lru::new(SKETCHES_MAX)),
            choices: Mutex::new(Lru::new(CHOICES_MAX)),
            refused: Mutex::new(Lru::new(REFUSED_MAX)),
            packing: Flights::default(),
            choosing: Flights::default(),
            making: Flights::default(),
            work: Arc::new(Semaphore::new(processors as usize)),
            processors,
            turns: Mutex::default(),
            queue,
            queued: Mutex::new(Some(queued)),
            stopping: AtomicBool::new(false),
        }));
        // Weak, for the blobs are part of what it points to.
        let patches = Arc::downgrade(&delta.0);
        blobs.set_give_way(move |bytes| {
            if let Some(inner) = patches.upgrade() {
                inner.patches.give_way_to(bytes);
            }
        });
        Ok(delta)
    }

    /// Makes packs of what was published until `stop` says so; then ends what is being made, and returns when nothing is.
    pub async fn run(&self, mut stop: Stop) {
        let queued = lock(&self.0.queued).take();
        let packing = async {
            let Some(mut queued) = queued else { return };
            while let Some(layer) = queued.recv().await {
                if let Err(error) = self.ensure(&layer).await {
                    tracing::warn!(layer = %layer.tar.digest, %error, "a layer was not packed; it will be when a node needs it");
                }
            }
        };
        tokio::select! {
            () = packing => stopped(&mut stop).await,
            () = stopped(&mut stop) => {}
        }
        self.0.stopping.store(true, Ordering::Relaxed);
        let _all = self.0.work.acquire_many(self.0.processors).await;
    }

    /// Has the layers of a release packed, in the background.
    pub(crate) fn prepare(&self, release: &Release) {
        let layers = release.images.values().flatten().flat_map(|image| &image.layers);
        let layers: BTreeMap<Digest, &Layer> = layers.map(|layer| (layer.tar.digest, layer)).collect();
        for layer in layers.into_values().filter(|layer| !self.0.packs.has(&layer.tar.digest)) {
            lock(&self.0.refused).remove(&layer.blob.digest);
            if self.0.queue.try_send(*layer).is_err() {
                tracing::info!(layer = %layer.tar.digest, "too many layers wait to be packed; this one is when a node needs it");
            }
        }
    }

    /// The patch with which whoever has the layers `have` makes the layer `to`. Of `have` only those count that are in
    /// `known`: a patch says what it has in common with the layers it refers to, and that is not for everybody.
    ///
    /// Work is only begun by who has its turn, and never waits for one: whoever joins work of another asker waits for
    /// nobody else, and an asker that goes away before its turn leaves nothing behind.
    pub(crate) async fn patch(&self, asker: &Asker, to: Layer, have: &[Digest], known: &Known) -> Shared<Made> {
        let diff_id = to.tar.digest;
        let turn = self.turn(asker).acquire_owned().await.map_err(|_| Arc::new(DeltaError::Stopped))?;
        let (turn, known) = (Arc::new(turn), Arc::new(known.clone()));
        let candidates = self.candidates(diff_id, have, &known).await?;
        let from = self.choice(to, candidates, &known, &turn).await?;
        if let Some(blob) = self.find(&from, &diff_id).await? {
            self.0.stats.hit();
            return Ok(Made { blob, from: from.to_vec() });
        }
        let this = self.clone();
        let key = patches::key(&from, &diff_id);
        let making = || async move {
            let _turn = turn;
            this.make(to, from.to_vec(), &known).await
        };
        self.0.making.join(key, making).await
    }

    /// The layer that the patch of this digest makes, and the patch's size.
    pub(crate) fn patch_of(&self, digest: &Digest) -> Option<(Digest, u64)> {
        self.0.patches.of(digest)
    }

    /// Keeps the patch of this digest for somebody who is in the middle of it; `None` when there is none.
    pub(crate) fn pin(&self, digest: &Digest) -> Option<Pin> {
        self.0.patches.pin(digest).then(|| Pin { delta: self.clone(), digest: *digest })
    }

    /// Bytes of a patch.
    pub(crate) async fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Bytes, BlobError> {
        let (this, digest) = (self.clone(), *digest);
        blocking(move || this.0.patches.read(&digest, offset, length)).await
    }

    /// The layers of releases that were looked at lately.
    pub(crate) fn layers(&self) -> &Layers {
        &self.0.layers
    }

    /// The layers that have packs.
    pub(crate) fn packed(&self) -> Vec<Digest> {
        self.0.packs.layers()
    }

    /// Removes the pack of a layer that no release has; the bytes that this freed.
    pub(crate) async fn remove_pack(&self, layer: &Digest) -> Result<u64, BlobError> {
        lock(&self.0.sketches).remove(layer);
        let (this, layer) = (self.clone(), *layer);
        blocking(move || this.0.packs.remove(&layer)).await
    }

    /// Removes patches to layers that no release has, but for those in use; how many, and their bytes.
    pub(crate) async fn remove_patches(&self, needed: Arc<BTreeSet<Digest>>) -> Result<(u64, u64), BlobError> {
        let this = self.clone();
        blocking(move || Ok(this.0.patches.remove_unneeded(|layer| needed.contains(layer)))).await
    }

    /// What was counted.
    pub(crate) fn figures(&self) -> Figures {
        self.0.stats.figures(self.0.patches.bytes(), self.0.patches.pinned())
    }

    /// Sees to it that a layer has a pack.
    async fn ensure(&self, layer: &Layer) -> Shared<()> {
        if self.0.packs.has(&layer.tar.digest) {
            return Ok(());
        }
        let (this, layer) = (self.clone(), *layer);
        let packing = || async move {
            let inner = Arc::clone(&this.0);
            let make = move || {
                inner.patches.give_way();
                inner.packs.make(&layer, &inner.stopping)
            };
            let packed = this.work(make).await;
            packed.inspect(|()| this.0.stats.packed())
        };
        self.0.packing.join(layer.tar.digest, packing).await
    }

    /// Whether the layer has no pack, and cannot have one.
    fn is_refused(&self, layer: &Layer) -> bool {
        lock(&self.0.refused).get(&layer.blob.digest).is_some() && !self.0.packs.has(&layer.tar.digest)
    }

    /// Which of `have` can be referred to, in order.
    async fn candidates(&self, to: Digest, have: &[Digest], known: &Arc<Known>) -> Shared<Vec<Digest>> {
        let have: BTreeSet<Digest> = have.iter().copied().filter(|layer| *layer != to).collect();
        let (this, known) = (self.clone(), Arc::clone(known));
        let can_have = move || {
            let can =
                |layer: &Digest| known.get(layer).is_some_and(|layer| !this.is_refused(layer) && this.0.packs.can_have(layer));
            have.into_iter().filter(can).collect()
        };
        spawn_blocking(can_have).await.map_err(|_| Arc::new(DeltaError::Broken))
    }

    /// Which of the candidates the patch refers to.
    async fn choice(&self, to: Layer, candidates: Vec<Digest>, known: &Arc<Known>, turn: &Arc<Turn>) -> Shared<Arc<Vec<Digest>>> {
        if candidates.is_empty() {
            return Ok(Arc::default());
        }
        let name = patches::key(&candidates, &to.tar.digest);
        if let Some(choice) = lock(&self.0.choices).get(&name) {
            return Ok(choice);
        }
        let (this, known, turn) = (self.clone(), Arc::clone(known), Arc::clone(turn));
        let choosing = || async move {
            let _turn = turn;
            let mut choice = this.choose(to, &candidates, &known).await?;
            if !matches!(choice, Some((_, true))) {
                // Packs that were damaged are made again.
                choice = this.choose(to, &candidates, &known).await?;
            }
            let (choice, of_all) = choice.unwrap_or_default();
            let choice = Arc::new(choice);
            if of_all {
                lock(&this.0.choices).put(name, Arc::clone(&choice), 1);
            }
            Ok(choice)
        };
        self.0.choosing.join(name, choosing).await
    }

    /// A choice, and whether all candidates could be looked at; `None` when the new layer could not.
    async fn choose(&self, to: Layer, candidates: &[Digest], known: &Known) -> Shared<Option<(Vec<Digest>, bool)>> {
        self.ensure(&to).await?;
        let mut packed = Vec::with_capacity(candidates.len());
        for layer in candidates {
            if self.ensure_old(layer, known).await {
                packed.push(*layer);
            }
        }
        let (this, all) = (self.clone(), candidates.len());
        self.work(move || this.choose_blocking(&to.tar.digest, &packed, all)).await
    }

    fn choose_blocking(&self, to: &Digest, packed: &[Digest], all: usize) -> Result<Option<(Vec<Digest>, bool)>, DeltaError> {
        let new = match self.0.packs.read(to) {
            Ok(new) => new,
            Err(error) => {
                self.0.packs.discard_damaged(to, &error);
                return Ok(None);
            }
        };
        let outline = Outline::of(new.layer());
        drop(new);
        let mut candidates = Vec::with_capacity(packed.len());
        for layer in packed {
            if self.0.stopping.load(Ordering::Relaxed) {
                return Err(DeltaError::Stopped);
            }
            // The sketch itself goes: those of all candidates at once would have no bound.
            candidates.extend(self.sketch(layer).map(|sketch| (*layer, Has::of(&outline, &sketch))));
        }
        let of_all = candidates.len() == all;
        Ok(Some((choose(&outline, candidates), of_all)))
    }

    /// The sketch of a layer; none when its pack cannot be used.
    fn sketch(&self, layer: &Digest) -> Option<Arc<Sketch>> {
        if let Some(sketch) = lock(&self.0.sketches).get(layer) {
            return Some(sketch);
        }
        let source = match self.0.packs.read(layer) {
            Ok(source) => source,
            Err(error) => {
                self.0.packs.discard_damaged(layer, &error);
                return None;
            }
        };
        let sketch = Arc::new(Sketch::of(source.layer()));
        lock(&self.0.sketches).put(*layer, Arc::clone(&sketch), sketch.bytes());
        Some(sketch)
    }

    /// The right to make a patch for this asker: one at a time.
    fn turn(&self, asker: &Asker) -> Arc<Semaphore> {
        let mut turns = lock(&self.0.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(asker.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))))
    }

    /// Runs what takes its time, when a processor is free for it.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, DeltaError> + Send + 'static) -> Shared<T> {
        let permit: Result<OwnedSemaphorePermit, _> = Arc::clone(&self.0.work).acquire_owned().await;
        let permit = permit.map_err(|_| Arc::new(DeltaError::Stopped))?;
        if self.0.stopping.load(Ordering::Relaxed) {
            return Err(Arc::new(DeltaError::Stopped));
        }
        let done = spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.unwrap_or(Err(DeltaError::Broken)).map_err(Arc::new)
    }
}
