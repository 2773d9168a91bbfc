//! Makes one patch: packs that are missing or damaged are made first, old layers that cannot be had are done without.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use shared::id::Digest;
use shared::recipe::make::{MakeError, Source, make};
use shared::recipe::pack::PackError;
use shared::release::{Blob, Layer};
use tokio::task::spawn_blocking;

use super::Delta;
use super::error::{DeltaError, Shared};
use super::new_file::OldFile;
use super::patches::key;
use crate::access::lock;

/// Room that every patch must have before it is begun.
const LEAST: u64 = 4 << 10;

/// Layers by diff_id, as releases describe them.
pub type Known = BTreeMap<Digest, Layer>;

/// A patch that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// sha256 and size of the patch.
    pub blob: Blob,
    /// The layers it refers to; none: it needs nothing.
    pub from: Vec<Digest>,
}

/// What one try came to.
enum Tried {
    Made(Blob),
    /// The pack of this layer does not work.
    BadPack(Digest, PackError),
}

impl Delta {
    /// The patch to `to` from the layers `from`, or from fewer where their packs cannot be had.
    pub(super) async fn make(&self, to: Layer, mut from: Vec<Digest>, known: &Known) -> Shared<Made> {
        let diff_id = to.tar.digest;
        let mut tried: BTreeSet<Digest> = BTreeSet::new();
        loop {
            self.ensure(&to).await?;
            let mut there = Vec::with_capacity(from.len());
            for layer in from {
                if self.ensure_old(&layer, known).await {
                    there.push(layer);
                }
            }
            from = there;
            // With fewer old layers it may have been made before.
            if let Some(blob) = self.find(&from, &diff_id).await? {
                return Ok(Made { blob, from });
            }
            match self.try_to_make(to, from.clone()).await? {
                Tried::Made(blob) => return Ok(Made { blob, from }),
                // The pack is made again once; a second time it is given up.
                Tried::BadPack(layer, _) if tried.insert(layer) => {}
                Tried::BadPack(layer, cause) if layer == diff_id => {
                    return Err(Arc::new(DeltaError::Pack { layer, cause }));
                }
                Tried::BadPack(layer, _) => from.retain(|old| *old != layer),
            }
        }
    }

    pub(super) async fn ensure_old(&self, layer: &Digest, known: &Known) -> bool {
        if self.0.packs.has(layer) {
            return true;
        }
        let Some(layer) = known.get(layer).filter(|layer| !self.is_refused(layer)) else { return false };
        let made = self.ensure(layer).await;
        if let Err(error) = &made {
            tracing::info!(layer = %layer.tar.digest, %error, "an old layer is done without");
            if error.is_final() {
                lock(&self.0.refused).put(layer.blob.digest, (), 1);
            }
        }
        made.is_ok()
    }

    async fn try_to_make(&self, to: Layer, from: Vec<Digest>) -> Shared<Tried> {
        let this = self.clone();
        self.work(move || {
            let begun = Instant::now();
            let tried = this.make_blocking(&to, &from);
            match &tried {
                Ok(Tried::Made(blob)) => {
                    this.0.stats.made(begun.elapsed());
                    let (layer, old, took) = (to.tar.digest, from.len(), begun.elapsed());
                    tracing::info!(%layer, old, bytes = blob.size, ?took, "a patch was made");
                }
                Ok(Tried::BadPack(layer, cause)) => this.0.packs.discard_damaged(layer, cause),
                Err(_) => this.0.stats.failed(),
            }
            tried
        })
        .await
    }

    fn make_blocking(&self, to: &Layer, from: &[Digest]) -> Result<Tried, DeltaError> {
        let diff_id = to.tar.digest;
        let packs = &self.0.packs;
        let mut new = match packs.read(&diff_id) {
            Ok(new) => new,
            Err(error) => return Ok(Tried::BadPack(diff_id, error)),
        };
        let mut old: Vec<Source<OldFile>> = Vec::with_capacity(from.len());
        for layer in from {
            match packs.read(layer) {
                Ok(source) => old.push(source),
                Err(error) => return Ok(Tried::BadPack(*layer, error)),
            }
        }
        let stopping = || self.0.stopping.load(Ordering::Relaxed);
        // One that refers to nothing is about as large as the pack, whatever compresses better in it.
        let size = packs.size(&diff_id).unwrap_or_default();
        let least = if from.is_empty() { size / 2 } else { 0 };
        let mut out = BufWriter::with_capacity(256 << 10, self.0.patches.begin_up_to(least.max(LEAST), size)?);
        match make(&mut new, &mut old, &mut out, &stopping) {
            Ok(_) => {}
            Err(MakeError::New(cause)) => return Ok(Tried::BadPack(diff_id, cause)),
            Err(MakeError::Old { layer, cause }) => {
                let layer = from.get(usize::from(layer)).ok_or(DeltaError::Broken)?;
                return Ok(Tried::BadPack(*layer, cause));
            }
            Err(MakeError::Write(error)) => return Err(out.get_ref().failed(error)),
            Err(MakeError::Stopped) => return Err(DeltaError::Stopped),
        }
        if let Err(error) = out.flush() {
            return Err(out.get_ref().failed(error));
        }
        let patch = out.into_inner().map_err(|error| DeltaError::io("writing a patch", error.into_error()))?;
        self.0.patches.keep(key(from, &diff_id), diff_id, patch).map(Tried::Made)
    }

    /// The patch of these layers, if it was made before.
    pub(super) async fn find(&self, from: &[Digest], to: &Digest) -> Shared<Option<Blob>> {
        let (this, key) = (self.clone(), key(from, to));
        let found = spawn_blocking(move || this.0.patches.find(&key)).await;
        found.map_err(|_| Arc::new(DeltaError::Broken))
    }
}
