//! What the node has of images beside their unpacked files: blobs on their way, and packs.

use std::collections::BTreeSet;
use std::path::Path;

use shared::id::Digest;
use shared::release::Image;

use super::blobs::{BlobError, Blobs};
use super::packs::Packs;
use super::room::RESERVE;

/// The directories. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Content {
    /// Manifests and configs.
    pub blobs: Blobs,
    /// Patches until they are used. A place of their own: whatever a patch is called, it never stands for a document.
    pub patches: Blobs,
    /// Layers.
    pub packs: Packs,
    /// Bytes of the disk that images leave free.
    pub reserve: u64,
}

/// What stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keep {
    /// Manifests and configs.
    pub documents: BTreeSet<Digest>,
    /// Layers that are on their way, as patches or from neighbours, by diff_id.
    pub awaited: BTreeSet<Digest>,
    /// Layers whose packs stay, by diff_id.
    pub layers: BTreeSet<Digest>,
}

impl Content {
    /// Opens all below the state directory, as [`Blobs::open`] does; one process at a time.
    pub fn open(state: &Path, boot: &str) -> Result<Self, BlobError> {
        Ok(Self {
            blobs: Blobs::open(&state.join("blobs"), boot)?,
            patches: Blobs::open(&state.join("patches"), boot)?,
            packs: Packs::open(&state.join("packs"))?,
            reserve: RESERVE,
        })
    }

    /// Whether everything is here that `image` is unpacked from.
    pub fn has(&self, image: &Image) -> bool {
        let documents = [image.manifest, image.config];
        documents.iter().all(|blob| self.blobs.has(blob)) && image.layers.iter().all(|layer| self.packs.has(layer.tar.digest))
    }

    /// Removes what nobody needs. The number of bytes freed. Call it when nothing is being fetched.
    pub fn sweep(&self, keep: &Keep) -> Result<u64, BlobError> {
        Ok(self.blobs.sweep(&keep.documents)?
            + self.patches.sweep(&keep.awaited)?
            + self.packs.sweep(&keep.layers, &keep.awaited)?)
    }
}
