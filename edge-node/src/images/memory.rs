//! A source that holds its blobs and layers in memory: for tests, and wherever bytes are at hand already.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use shared::fault::{Fault, image};
use shared::id::Digest;
use shared::recipe::cut::Cutter;
use shared::recipe::make::{MakeError, Source, make};
use shared::recipe::pack::{Pack, PackError, PackWriter};
use shared::release::Blob;

use super::{ChunkSource, SourceError};

/// Blobs by digest, and packs by diff_id. Clones share what was added so far.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    blobs: BTreeMap<Digest, Bytes>,
    packs: BTreeMap<Digest, Arc<Vec<u8>>>,
    patches: Arc<Mutex<Patches>>,
}

/// Patches that were asked for: by what they make of what, and their bytes.
#[derive(Debug, Default)]
struct Patches {
    made: BTreeMap<(Digest, Vec<Digest>), Blob>,
    bytes: BTreeMap<Digest, Bytes>,
}

impl Memory {
    /// Adds a blob and says what it is called.
    pub fn insert(&mut self, bytes: impl Into<Bytes>) -> Blob {
        let bytes = bytes.into();
        let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        self.blobs.insert(blob.digest, bytes);
        blob
    }

    /// Adds a layer by its uncompressed tar and says what that is called.
    pub fn insert_layer(&mut self, tar: &[u8]) -> Result<Blob, PackError> {
        let blob = Blob { digest: Digest::of(tar), size: tar.len() as u64 };
        self.insert_as(blob.digest, tar)?;
        Ok(blob)
    }

    /// Adds a layer under a name that need not be its own, as a source that lies would.
    pub fn insert_as(&mut self, layer: Digest, tar: &[u8]) -> Result<(), PackError> {
        let pack = pack(tar, Blob { digest: layer, size: tar.len() as u64 })?;
        self.packs.insert(layer, Arc::new(pack));
        Ok(())
    }

    /// A part of a blob.
    fn part(&self, blob: Digest, offset: u64, length: u32) -> Option<Bytes> {
        let patches = self.patches.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = self.blobs.get(&blob).or_else(|| patches.bytes.get(&blob))?;
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        (end <= bytes.len()).then(|| bytes.slice(start..end))
    }

    /// The patch from `have` to `layer`; `None` when the layer is not here.
    fn patch_from(&self, layer: Digest, have: &[Digest]) -> Result<Option<Blob>, MakeError> {
        let known: Vec<Digest> = have.iter().filter(|old| self.packs.contains_key(*old)).take(1).copied().collect();
        let key = (layer, known);
        let mut patches = self.patches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blob) = patches.made.get(&key) {
            return Ok(Some(*blob));
        }
        let Some(mut to) = self.source(layer).map_err(MakeError::New)? else { return Ok(None) };
        let mut from = Vec::new();
        for old in &key.1 {
            from.extend(self.source(*old).map_err(MakeError::New)?);
        }
        let bytes = make(&mut to, &mut from, Vec::new(), &|| false)?;
        let blob = Blob { digest: Digest::of(&bytes), size: bytes.len() as u64 };
        patches.bytes.insert(blob.digest, bytes.into());
        patches.made.insert(key, blob);
        Ok(Some(blob))
    }

    fn source(&self, layer: Digest) -> Result<Option<Source<Vec<u8>>>, PackError> {
        let Some(pack) = self.packs.get(&layer) else { return Ok(None) };
        let pack = Pack::open(pack.to_vec(), pack.len() as u64)?;
        Ok(Some(Source { pack, files: Vec::new() }))
    }
}

fn pack(tar: &[u8], blob: Blob) -> Result<Vec<u8>, PackError> {
    let (mut writer, mut cutter, mut chunks) = (PackWriter::new(Vec::new())?, Cutter::default(), Vec::new());
    let mut collect = |chunk: &[u8]| {
        chunks.push(chunk.to_vec());
        Ok::<(), Infallible>(())
    };
    let (Ok(()), Ok(())) = (cutter.push(tar, &mut collect), cutter.finish(&mut collect));
    for chunk in &chunks {
        writer.put(chunk)?;
    }
    writer.finish(blob)
}

impl ChunkSource for Memory {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        let absent = || SourceError::NotThere(Fault::new(&image::BLOB_UNKNOWN).with("blob", blob.short()));
        self.part(blob, offset, length).ok_or_else(absent)
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        let absent = || SourceError::NotThere(Fault::new(&image::LAYER_UNKNOWN).with("layer", layer.short()));
        self.patch_from(layer, have).ok().flatten().ok_or_else(absent)
    }
}
