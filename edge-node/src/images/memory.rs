//! A source that holds its blobs in memory: for the simulated world, and wherever bytes are at hand already.

use std::collections::BTreeMap;

use bytes::Bytes;
use shared::fault::{Fault, image};
use shared::id::Digest;
use shared::release::Blob;

use super::{ChunkSource, SourceError};

/// Blobs by digest.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    blobs: BTreeMap<Digest, Bytes>,
}

impl Memory {
    /// Adds a blob and says what it is called.
    pub fn insert(&mut self, bytes: impl Into<Bytes>) -> Blob {
        let bytes = bytes.into();
        let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        self.blobs.insert(blob.digest, bytes);
        blob
    }

    /// A part of a blob.
    fn part(&self, blob: Digest, offset: u64, length: u32) -> Option<Bytes> {
        let bytes = self.blobs.get(&blob)?;
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    }
}

impl ChunkSource for Memory {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        let absent = || SourceError::NotThere(Fault::new(&image::BLOB_UNKNOWN).with("blob", blob.short()));
        self.part(blob, offset, length).ok_or_else(absent)
    }
}
