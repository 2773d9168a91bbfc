//! What no release needs any more goes from the disk: blobs, packs, patches.
//!
//! ```text
//! what is there ─▶ what the catalogue names ─▶ the rest, one by one: held by a publish? ─▶ stays │ goes
//! ```
//!
//! A release is in the catalogue as long as a deployment, or a node, may need it ([`crate::unpublish`]), so that the catalogue
//! alone says what is needed, and age alone takes nothing away. What is there is listed before the catalogue is read, and a
//! blob that somebody may be about to publish is held ([`crate::blobs::LEASE`]): nothing that a release names when it is
//! recorded can go meanwhile.
//!
//! A catalogue that is new, or came back from a backup, does not know what was published since: the blobs that lie beside it
//! are from another time. So nothing goes before the store has been what it is for [`crate::blobs::LEASE`], in which people
//! see what is missing and put the right one back.
//!
//! Nothing is remembered between two passes: one that was cut, by a kill or a full disk, has left what it did not reach, and
//! the next one finds it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use shared::id::Digest;
use shared::people::bytes;
use shared::time::UnixMillis;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::blobs::{BlobError, LEASE, lease};
use crate::hub::{Hub, PAGE};
use crate::records::{self, RELEASES, Stored};
use crate::stop::{Stop, stopped};
use crate::store::StoreError;

/// How often it is looked without being asked: for leases that ended.
const EVERY: Duration = Duration::from_secs(3600);
/// Between two releases that are read, and two files that are removed: the disk belongs to the nodes.
const PAUSE: Duration = Duration::from_millis(5);
/// Blobs that are removed together.
const BATCH: usize = 64;

/// What asks for a pass, and keeps two from running at once.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    wake: Notify,
    passing: tokio::sync::Mutex<()>,
}

impl Collector {
    /// Asks for a pass.
    pub(crate) fn ask(&self) {
        self.wake.notify_one();
    }
}

/// What a pass freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Freed {
    /// Blobs that are gone.
    pub blobs: u64,
    /// Packs that are gone.
    pub packs: u64,
    /// Patches that are gone.
    pub patches: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// Why a pass did not do all of it.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The catalogue could not be read: then nothing is known to be needless.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be removed: the first of them, the others went.
    #[error(transparent)]
    Blobs(#[from] BlobError),
}

/// What the releases of the catalogue are made of.
#[derive(Debug, Default)]
struct Needed {
    blobs: BTreeSet<Digest>,
    /// By diff_id.
    layers: BTreeSet<Digest>,
}

/// What is there and not needed.
fn needless(there: impl IntoIterator<Item = Digest>, needed: &BTreeSet<Digest>) -> Vec<Digest> {
    there.into_iter().filter(|digest| !needed.contains(digest)).collect()
}

/// Whether a store that is what it is since then is trusted to know all that is needed.
fn is_settled(since: UnixMillis, now: UnixMillis) -> bool {
    now.0.checked_sub(since.0).is_some_and(|age| u128::from(age) >= LEASE.as_millis())
}

/// Goes on after an error, and remembers the first.
#[derive(Debug, Default)]
struct First(Option<CollectError>);

impl First {
    fn ok<T>(&mut self, result: Result<T, impl Into<CollectError>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.get_or_insert_with(|| error.into());
                None
            }
        }
    }
}

impl Hub {
    /// Passes at the start, whenever a release was taken back, and once an hour, until `stop` says so.
    pub(crate) async fn collect_forever(&self, mut stop: Stop) {
        loop {
            let passed = tokio::select! {
                passed = self.collect() => passed,
                () = stopped(&mut stop) => return,
            };
            if let Err(error) = passed {
                tracing::warn!(%error, "what no release needs was not all removed; trying again within an hour");
            }
            tokio::select! {
                () = self.collector.wake.notified() => {}
                () = sleep(EVERY) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    /// One pass: removes what no release needs and nobody holds, and nothing on a store that is new or was restored. Slow on
    /// purpose; ends wherever it is dropped.
    pub async fn collect(&self) -> Result<Freed, CollectError> {
        let _passing = self.collector.passing.lock().await;
        if !is_settled(self.settling, self.now()) {
            tracing::debug!("the store is new or was restored: nothing is removed for a day");
            return Ok(Freed::default());
        }
        let (blobs, packs) = (self.blobs.list().await?, self.delta.packed());
        let needed = self.needed().await?;
        let mut freed = Freed::default();
        let removed = self.remove_needless(blobs.into_iter().map(|blob| blob.digest), packs, needed, &mut freed).await;
        self.blobs.forget_old_leases();
        if freed != Freed::default() {
            let Freed { blobs, packs, patches, bytes: count } = freed;
            tracing::info!(blobs, packs, patches, bytes = count, "{} of what no release needs is gone", bytes(count));
        }
        removed.map(|()| freed)
    }

    async fn remove_needless(
        &self,
        blobs: impl Iterator<Item = Digest>,
        packs: Vec<Digest>,
        needed: Needed,
        freed: &mut Freed,
    ) -> Result<(), CollectError> {
        let now = UNIX_EPOCH + Duration::from_millis(self.now().0);
        let lease = lease(self.blobs.is_uploading().await?);
        let mut first = First::default();
        for batch in needless(blobs, &needed.blobs).chunks(BATCH) {
            let mut removed = Vec::with_capacity(batch.len());
            for digest in batch {
                if let Some(bytes) = first.ok(self.blobs.remove_unless_held(digest, now, lease).await).flatten() {
                    self.count(freed, |freed| &mut freed.blobs, 1, bytes);
                    removed.push(*digest);
                }
                sleep(PAUSE).await;
            }
            // Cut before this, a pass leaves a line of the store that is true for ever and read by nobody.
            first.ok(self.forget_verified(&removed).await);
        }
        for layer in needless(packs, &needed.layers) {
            if let Some(bytes) = first.ok(self.delta.remove_pack(&layer).await) {
                self.count(freed, |freed| &mut freed.packs, 1, bytes);
            }
            sleep(PAUSE).await;
        }
        if let Some((patches, bytes)) = first.ok(self.delta.remove_patches(Arc::new(needed.layers)).await) {
            self.count(freed, |freed| &mut freed.patches, patches, bytes);
        }
        first.0.map_or(Ok(()), Err)
    }

    fn count(&self, freed: &mut Freed, what: impl Fn(&mut Freed) -> &mut u64, files: u64, bytes: u64) {
        *what(freed) += files;
        freed.bytes += bytes;
        self.metrics.collected.inc_by(files);
        self.metrics.collected_bytes.inc_by(bytes);
    }

    async fn needed(&self) -> Result<Needed, StoreError> {
        let mut needed = Needed::default();
        let mut after: Option<String> = None;
        loop {
            let page = self.store.list(RELEASES, after.as_deref(), PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(needed) };
            after = Some(last.clone());
            for (key, record) in page {
                needed.blobs.extend(records::Release::decode(&key, &record.value)?.blobs.iter().map(|blob| blob.digest));
                // Layers stand in the envelope only. One that is gone was taken back a moment ago.
                if let Some(release) = self.whole_release(records::release_id(&key)?).await? {
                    let layers = release.images.values().flatten().flat_map(|image| &image.layers);
                    needed.layers.extend(layers.map(|layer| layer.tar.digest));
                }
                sleep(PAUSE).await;
            }
        }
    }
}
