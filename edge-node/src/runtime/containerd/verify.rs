//! Believing an image again after the machine went down under the daemon, and mending one that is damaged.
//!
//! Every layer was committed with its [`Fingerprint`] as a label, and is compared with it: its shape before anything
//! starts from it, its content in the background, one layer after the other, on a thread that gives way to everything else.
//! A damaged layer is unpacked again from its pack into the directory it has; containers keep what they wrote on top. Manifest
//! and config are checked by their digests, and written again.
//!
//! A layer that another client committed, or whose directory cannot be seen, has nothing to be compared with and is believed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use containerd_client::types::v1::Status;
use shared::fault::{Fault, node};
use shared::id::Digest;
use shared::oci::{LAYERS_MAX, chain_ids};
use shared::release::{Blob, Image};
use shared::time::UnixMillis;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;

use super::image::{Images, blocking};
use super::layer;
use super::observe::containers;
use super::proof::{Proof, Proofs};
use super::snapshot::{Snapshots, directories};
use super::task;
use crate::images::extract::Target;
use crate::images::fingerprint::{Fingerprint, is_damage};
use crate::images::stop::{Stop, StopOnDrop};
use crate::runtime::RuntimeError;

/// The least that the scheduler gives (setpriority(2)); the disk's follows from it (ioprio_set(2)).
const NICEST: i32 = 19;
const DOING: &str = "verifying a layer";
/// What cannot be read, although nothing says that it is damaged, is read again after these.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(600), Duration::from_secs(3600), Duration::from_secs(6 * 3600)];

/// An unpacked layer whose directory can be seen.
#[derive(Clone)]
struct Place {
    chain: Digest,
    tar: Blob,
    /// Its own directory, and those of the layers below.
    at: Target,
    tree: Option<Fingerprint>,
}

/// Comparisons of content, one at a time; they end with this value. Cheap to clone; clones share.
#[derive(Clone)]
pub(super) struct Scrubs {
    under_way: Arc<Mutex<JoinSet<()>>>,
    turn: Arc<Semaphore>,
}

impl Default for Scrubs {
    fn default() -> Self {
        Self { under_way: Arc::default(), turn: Arc::new(Semaphore::new(1)) }
    }
}

impl Images {
    /// Compares `image` with what was unpacked, so far that it can start or is known to be damaged. Its content follows in the
    /// background. `now` dates the lease that protects what is written.
    pub async fn verify(&self, image: &Image, now: UnixMillis) -> Result<(), RuntimeError> {
        let _claim = self.images.claim(image.id()).await;
        if !self.renew_documents(image, now).await? {
            // Then all of it is brought again.
            chain_ids(&image.diff_ids()).last().into_iter().for_each(|top| self.proofs.note(*top, Proof::Damaged));
            return Ok(());
        }
        let places = self.places(image, None).await?;
        for place in places.iter().filter(|place| self.proofs.of(place.chain).is_none()) {
            let found = read(place, Fingerprint::shape).await?;
            self.proofs.note(place.chain, judge(found, place.tree.map(|tree| tree.shape), Proof::Shape)?);
        }
        self.scrubs.begin(&self.proofs, places);
        Ok(())
    }

    /// Makes sure that the layer `chain` of `image` is whole, which was unpacked before this call: unpacks it again if it is
    /// known to be damaged. What others may run on is refused, and must be stopped first: what turns out damaged only now, and
    /// what turned out so since somebody asked for this.
    pub(super) async fn renew(&self, image: &Image, chain: Digest) -> Result<(), RuntimeError> {
        if self.proofs.of(chain) == Some(Proof::Whole) {
            return Ok(());
        }
        let Some(place) = self.places(image, Some(chain)).await?.pop().filter(|place| place.chain == chain) else {
            return Ok(());
        };
        if self.proofs.of(chain) != Some(Proof::Damaged) {
            let found = read(&place, Fingerprint::of).await?;
            let proof = judge(found, place.tree, Proof::Whole)?;
            self.proofs.note(chain, proof);
            return match proof {
                Proof::Damaged => Err(refused(image)),
                Proof::Shape | Proof::Whole => Ok(()),
            };
        }
        if self.is_in_use(chain).await? {
            return Err(refused(image));
        }
        layer::mend(&self.content.packs, place.tar, place.at).await?;
        self.proofs.note(chain, Proof::Whole);
        Ok(())
    }

    /// Whether a process may see the layer in its container.
    async fn is_in_use(&self, chain: Digest) -> Result<bool, RuntimeError> {
        let containers = containers(&self.client).await?;
        let snapshots = Snapshots::new(&self.client, &self.snapshotter).list(Vec::new()).await?;
        let parents = snapshots.iter().map(|info| (info.name.as_str(), info.parent.as_str())).collect();
        for container in containers.iter().filter(|container| container.snapshotter == self.snapshotter) {
            // One by one: containerd leaves a task out of its list when the shim is slow.
            if stands_on(&container.snapshot_key, &chain.to_string(), &parents)
                && task::get(&self.client, &container.id).await?.is_some_and(|process| process.status() != Status::Stopped)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The layers of an image, from the lowest up to `last`, or as far as they are unpacked. Whoever asks holds the topmost
    /// of them. What cannot be seen is whole.
    async fn places(&self, image: &Image, last: Option<Digest>) -> Result<Vec<Place>, RuntimeError> {
        let snapshots = Snapshots::new(&self.client, &self.snapshotter);
        let mut layers = Vec::new();
        for (layer, chain) in image.layers.iter().zip(chain_ids(&image.diff_ids())) {
            let Some(labels) = snapshots.labels(&chain.to_string()).await? else { break };
            layers.push((layer.tar, chain, labels.get(layer::TREE).and_then(|text| text.parse().ok())));
            if last == Some(chain) {
                break;
            }
        }
        let Some((_, top, _)) = layers.last() else { return Ok(Vec::new()) };
        let key = layer::key(*top)?;
        let mounts = snapshots.view(&key, &top.to_string()).await?;
        snapshots.remove(&key).await?;
        let Some(mut dirs) = directories(&mounts).filter(|dirs| dirs.len() == layers.len()) else {
            layers.iter().for_each(|(_, chain, _)| self.proofs.note(*chain, Proof::Whole));
            return Ok(Vec::new());
        };
        let mut places = Vec::new();
        for (tar, chain, tree) in layers.into_iter().rev() {
            let upper = dirs.remove(0); // the topmost
            places.push(Place { chain, tar, at: Target { upper, below: dirs.clone() }, tree });
        }
        places.reverse();
        Ok(places)
    }
}

impl Scrubs {
    /// Compares the content of those layers of which only the shape was compared.
    fn begin(&self, proofs: &Proofs, places: Vec<Place>) {
        let (proofs, turn) = (proofs.clone(), self.turn.clone());
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        while under_way.try_join_next().is_some() {}
        under_way.spawn(async move { scrub(&proofs, &turn, places, quietly).await });
    }
}

/// Compares layer after layer, and tries those again that could not be read. What stays in doubt is read in the daemon's
/// next life.
async fn scrub<F: Future<Output = io::Result<Fingerprint>>>(
    proofs: &Proofs,
    turn: &Semaphore,
    mut places: Vec<Place>,
    read: impl Fn(PathBuf) -> F,
) {
    for pause in PAUSES.into_iter().map(Some).chain([None]) {
        let mut unread = Vec::new();
        let held = turn.acquire().await;
        for place in places {
            if proofs.of(place.chain) != Some(Proof::Shape) {
                continue;
            }
            match judge(read(place.at.upper.clone()).await, place.tree, Proof::Whole) {
                Ok(proof) => proofs.settle(place.chain, proof),
                Err(error) => {
                    tracing::warn!(%error, layer = %place.chain.short(), again = ?pause, "a layer could not be verified");
                    unread.push(place);
                }
            }
        }
        drop(held);
        let Some(pause) = pause.filter(|_| !unread.is_empty()) else { return };
        places = unread;
        tokio::time::sleep(pause).await;
    }
}

/// Whether the snapshot `layer` is below `key`.
fn stands_on(key: &str, layer: &str, parents: &BTreeMap<&str, &str>) -> bool {
    let below = std::iter::successors(Some(key), |key| parents.get(key).copied());
    below.take(LAYERS_MAX + 2).any(|key| key == layer)
}

/// Damaged, and others may run on it.
fn refused(image: &Image) -> RuntimeError {
    RuntimeError::Refused(Fault::new(&node::IMAGE_DAMAGED).with("image", image.id().short()))
}

/// `good`, if what was found is what it should be.
fn judge<T: PartialEq>(found: io::Result<T>, signed: Option<T>, good: Proof) -> Result<Proof, RuntimeError> {
    match (found, signed) {
        (_, None) => Ok(Proof::Whole), // nothing to compare with
        (Ok(found), Some(signed)) if found == signed => Ok(good),
        (Err(error), Some(_)) if !is_damage(&error) => Err(RuntimeError::Failed { doing: DOING, cause: error.to_string() }),
        (Ok(_) | Err(_), Some(_)) => Ok(Proof::Damaged),
    }
}

/// Reads on a thread that ends soon after this future is dropped.
async fn read<T: Send + 'static>(
    place: &Place,
    read: impl FnOnce(&Path, &Stop) -> io::Result<T> + Send + 'static,
) -> Result<io::Result<T>, RuntimeError> {
    let stop = StopOnDrop::default();
    let (asked, dir) = (stop.asked(), place.at.upper.clone());
    blocking(DOING, move || read(&dir, &asked)).await
}

/// Reads all of `dir` on a thread that gives way to everything else.
async fn quietly(dir: PathBuf) -> io::Result<Fingerprint> {
    let stop = StopOnDrop::default();
    let (asked, (done, found)) = (stop.asked(), oneshot::channel());
    let thread = std::thread::Builder::new().name("verify".into());
    let work = move || {
        // Of the calling thread only, as Linux has it (setpriority(2)).
        if let Err(error) = rustix::process::setpriority_process(None, NICEST) {
            tracing::debug!(%error, "verifying takes its full share of the machine");
        }
        done.send(Fingerprint::of_quietly(&dir, &asked))
    };
    thread.spawn(work)?;
    found.await.unwrap_or_else(|_| Err(io::Error::other("its thread ended")))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::boot::Boot;

    #[test]
    fn a_container_stands_on_every_layer_below_it() {
        let parents = [("shop-web-1", "top"), ("top", "base"), ("base", ""), ("other", "base"), ("a", "b"), ("b", "a")].into();
        for (key, layer, expected) in [
            ("shop-web-1", "top", true),
            ("shop-web-1", "base", true),
            ("other", "base", true),
            ("other", "top", false),
            ("gone", "base", false),
            ("a", "base", false),
        ] {
            assert_eq!(stands_on(key, layer, &parents), expected, "{key} {layer}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_read_is_read_again_a_bounded_number_of_times() {
        for (failures, expected, reads) in [(0, Proof::Whole, 1), (3, Proof::Whole, 4), (99, Proof::Shape, 5)] {
            let dir = tempfile::tempdir().unwrap();
            Boot::begin(dir.path(), true).unwrap();
            let proofs = Proofs::new(Arc::new(Boot::begin(dir.path(), true).unwrap()), Arc::default());
            let tree = Fingerprint::of(dir.path(), &Stop::default()).unwrap();
            let chain = Digest::of(b"layer");
            let at = Target { upper: dir.path().into(), below: Vec::new() };
            let place = Place { chain, tar: Blob { digest: chain, size: 0 }, at, tree: Some(tree) };
            proofs.note(chain, Proof::Shape);
            let seen = AtomicU32::new(0);
            let read = |_| {
                let fails = seen.fetch_add(1, Ordering::Relaxed) < failures;
                async move { if fails { Err(rustix::io::Errno::MFILE.into()) } else { Ok(tree) } }
            };
            scrub(&proofs, &Semaphore::new(1), vec![place], read).await;
            assert_eq!((proofs.of(chain), seen.into_inner()), (Some(expected), reads));
        }
    }
}
