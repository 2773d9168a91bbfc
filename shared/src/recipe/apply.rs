//! From a patch and the packs it begins with to the pack of the new layer.
//!
//! What is copied goes from pack to pack as it is stored. Memory: one segment of the patch, one run with its references, and
//! of each old pack the index and 1.5 MiB of chunks: below 16 MiB beside those, however large the layer is.

use std::io::Read;

use super::codec::{self, CodecError};
use super::pack::{Pack, PackError, PackWriter};
use super::patch::{Operation, PatchError, PatchReader, Run};
use super::{CHUNK_MIN, ReadAt, UNPACKED_MAX, WriteAt};

/// Why a patch was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The patch is not in order.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A body is not its run.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The patch makes other bytes than it says, or uses what is not there.
    #[error("the patch does not fit: {0}")]
    Unfit(&'static str),
    /// An old layer's pack failed.
    #[error("old layer {layer}: {cause}")]
    Old {
        /// Which, by its number in the patch's head.
        layer: u8,
        /// Why.
        #[source]
        cause: PackError,
    },
    /// The new pack could not be written.
    #[error("writing the new layer: {0}")]
    New(#[source] PackError),
    /// The caller asked to end.
    #[error("stopped")]
    Stopped,
}

/// Writes the pack of the layer that `patch` makes; `from` are the packs of its head, in that order. `stopped` is asked
/// once per chunk or run.
///
/// Every chunk is compared, one that comes out of an old pack with what was stored there, one that is made with its id; and
/// all of them with the recipe that the head names. Whether the signed release names the same one, the caller has looked.
pub fn apply<P: Read, R: ReadAt, W: WriteAt>(
    patch: &mut PatchReader<P>,
    from: &mut [Pack<R>],
    out: W,
    stopped: &dyn Fn() -> bool,
) -> Result<W, ApplyError> {
    let (to, recipe) = (patch.head().to, patch.head().recipe);
    let pack = PackWriter::new(out).map_err(ApplyError::New)?;
    let mut new = New { pack, left: to.size, stopped };
    let mut references = Vec::new();
    while let Some((operation, body)) = patch.read()? {
        match operation {
            Operation::Copy { layer, first, count } => new.copy(old(from, layer)?, layer, first, count)?,
            Operation::Repeat { first, count } => new.repeat(first, count)?,
            Operation::Run(run) => {
                collect(from, &run, &mut references)?;
                new.insert(&run, &references, body)?;
            }
        }
    }
    if new.left > 0 {
        return Err(ApplyError::Unfit("fewer bytes than the layer has"));
    }
    if new.pack.recipe().id() != recipe {
        return Err(ApplyError::Unfit("another layer than it says"));
    }
    new.pack.finish(to).map_err(ApplyError::New)
}

fn old<R>(from: &mut [Pack<R>], layer: u8) -> Result<&mut Pack<R>, ApplyError> {
    from.get_mut(usize::from(layer)).ok_or(ApplyError::Unfit("an old layer that it does not name"))
}

/// The old bytes that a run refers to. For a single byte its whole chunk is unpacked: few references must not make much work.
fn collect<R: ReadAt>(from: &mut [Pack<R>], run: &Run, references: &mut Vec<u8>) -> Result<(), ApplyError> {
    references.clear();
    let mut left = UNPACKED_MAX;
    for piece in &run.references {
        let layer = piece.layer;
        let pack = old(from, layer)?;
        let before = pack.unpacked();
        pack.read(piece.offset, piece.length, references).map_err(|cause| ApplyError::Old { layer, cause })?;
        let unpacked = pack.unpacked().saturating_sub(before);
        left = left.checked_sub(unpacked).ok_or(ApplyError::Unfit("references in too many chunks"))?;
    }
    Ok(())
}

/// The layer that is being made.
struct New<'s, W> {
    pack: PackWriter<W>,
    /// Bytes that are still missing.
    left: u64,
    stopped: &'s dyn Fn() -> bool,
}

impl<W: WriteAt> New<'_, W> {
    fn copy<R: ReadAt>(&mut self, from: &mut Pack<R>, layer: u8, first: u32, count: u32) -> Result<(), ApplyError> {
        for index in first..first.saturating_add(count) {
            let stored = from.stored(index as usize).map_err(|cause| ApplyError::Old { layer, cause })?;
            let stored = stored.ok_or(ApplyError::Unfit("a chunk that the old layer does not have"))?;
            self.grow(stored.chunk.length)?;
            self.pack.put_stored(stored).map_err(ApplyError::New)?;
        }
        Ok(())
    }

    fn repeat(&mut self, first: u32, count: u32) -> Result<(), ApplyError> {
        for index in first..first.saturating_add(count) {
            let chunk = self.pack.get(index as usize).ok_or(ApplyError::Unfit("a chunk that did not come before"))?;
            self.grow(chunk.length)?;
            self.pack.put_again(chunk).map_err(ApplyError::New)?;
        }
        Ok(())
    }

    fn insert(&mut self, run: &Run, references: &[u8], body: &[u8]) -> Result<(), ApplyError> {
        let size = usize::try_from(run.size()).unwrap_or(usize::MAX);
        let bytes = codec::decode(run.codec, references, body, size)?;
        let mut rest = bytes.as_slice();
        for chunk in &run.chunks {
            let (bytes, left) = rest.split_at_checked(chunk.length as usize).unwrap_or_default();
            if !chunk.is(bytes) {
                return Err(ApplyError::Unfit("a chunk that is not what its id says"));
            }
            self.grow(chunk.length)?;
            self.pack.put_chunk(*chunk, bytes).map_err(ApplyError::New)?;
            rest = left;
        }
        Ok(())
    }

    /// One chunk more. Only the last may be short, so that their number is bounded by the layer's size.
    fn grow(&mut self, bytes: u32) -> Result<(), ApplyError> {
        if (self.stopped)() {
            return Err(ApplyError::Stopped);
        }
        let left = self.left.checked_sub(u64::from(bytes));
        self.left = left.ok_or(ApplyError::Unfit("more bytes than the layer has"))?;
        if bytes < CHUNK_MIN && self.left > 0 { Err(ApplyError::Unfit("a short chunk before its end")) } else { Ok(()) }
    }
}
