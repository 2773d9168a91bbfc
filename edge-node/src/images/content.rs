//! What the node has of images beside their unpacked files: blobs on their way, and packs.

use std::collections::BTreeSet;
use std::path::Path;

use shared::id::Digest;

use super::blobs::{BlobError, Blobs};
use super::packs::Packs;
use super::room::RESERVE;

/// The two directories. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Content {
    /// Manifests and configs, and patches until they are used.
    pub blobs: Blobs,
    /// Layers.
    pub packs: Packs,
    /// Bytes of the disk that images leave free.
    pub reserve: u64,
}

impl Content {
    /// Opens both below the state directory, as [`Blobs::open`] does; one process at a time.
    pub fn open(state: &Path, boot: &str) -> Result<Self, BlobError> {
        let (blobs, packs) = (Blobs::open(&state.join("blobs"), boot)?, Packs::open(&state.join("packs"))?);
        Ok(Self { blobs, packs, reserve: RESERVE })
    }

    /// Removes what nobody waits for: blobs that are not in `awaited` (patches are awaited by their layer), and packs of
    /// layers that are not in `layers`. The number of bytes freed. Call it when nothing is being fetched.
    pub fn sweep(&self, awaited: &BTreeSet<Digest>, layers: &BTreeSet<Digest>) -> Result<u64, BlobError> {
        Ok(self.blobs.sweep(awaited)? + self.packs.sweep(layers)?)
    }
}
