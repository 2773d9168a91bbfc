//! What the node has of images beside their unpacked files: blobs on their way, and packs.

use std::collections::BTreeSet;
use std::path::Path;

use shared::id::Digest;

use super::blobs::{BlobError, Blobs};
use super::packs::Packs;

/// The two directories. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Content {
    /// Manifests, configs and patches until they are used.
    pub blobs: Blobs,
    /// Layers.
    pub packs: Packs,
}

impl Content {
    /// Opens both below the state directory, as [`Blobs::open`] does; one process at a time.
    pub fn open(state: &Path, boot: &str) -> Result<Self, BlobError> {
        Ok(Self { blobs: Blobs::open(&state.join("blobs"), boot)?, packs: Packs::open(&state.join("packs"))? })
    }

    /// Removes what nobody waits for: blobs that are not in `awaited` (patches are awaited by their layer), and packs of
    /// layers that are not in `layers`. The number of bytes freed. Call it when nothing is being fetched.
    pub fn sweep(&self, awaited: &BTreeSet<Digest>, layers: &BTreeSet<Digest>) -> Result<u64, BlobError> {
        Ok(self.blobs.sweep(awaited)? + self.packs.sweep(layers)?)
    }
}
