//! From the packs of a new layer and of old ones to the patch.

use std::io::{self, Write};
use std::ops::Range;

use super::codec::{Kind, encode};
use super::draft::{Draft, File, Layer, draft};
use super::pack::{Pack, PackError};
use super::patch::{Head, Operation, PatchWriter, Piece, Run};
use super::{Chunk, ReadAt, Recipe, UNPACKED_MAX};

/// How programs and libraries begin.
const ELF: &[u8] = b"\x7fELF";

/// A layer that is at hand: its pack and its files.
pub struct Source<R> {
    /// The pack.
    pub pack: Pack<R>,
    /// Its files, in the order of the tar; none: no references.
    pub files: Vec<File>,
}

impl<R: ReadAt> Source<R> {
    /// What there is to decide about.
    pub fn layer(&self) -> Layer<'_> {
        Layer { recipe: self.pack.recipe(), files: &self.files }
    }
}

/// Why a patch was not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The new layer's pack failed.
    #[error("new layer: {0}")]
    New(#[source] PackError),
    /// An old layer's pack failed.
    #[error("old layer {layer}: {cause}")]
    Old {
        /// Which, by its number among the old ones.
        layer: u8,
        /// Why.
        #[source]
        cause: PackError,
    },
    /// The patch could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
    /// The caller asked to end.
    #[error("stopped")]
    Stopped,
}

/// Writes the patch that makes `to` where `from` are. Deterministic: the same layers give the same bytes. `stopped` is asked
/// once per run.
pub fn make<R: ReadAt, W: Write>(
    to: &mut Source<R>,
    from: &mut [Source<R>],
    out: W,
    stopped: &dyn Fn() -> bool,
) -> Result<W, MakeError> {
    let old: Vec<Layer<'_>> = from.iter().map(Source::layer).collect();
    let drafts = draft(to.layer(), &old);
    let layers = from.iter().map(|source| source.pack.tar().digest).collect();
    let head = Head { from: layers, to: to.pack.tar(), recipe: to.pack.recipe().id() };
    let mut patch = PatchWriter::new(out, &head)?;
    let (mut references, mut bytes) = (Vec::new(), Vec::new());
    for draft in drafts {
        match draft {
            Draft::Copy { layer, first, count } => patch.put(Operation::Copy { layer, first, count }, &[])?,
            Draft::Repeat { first, count } => patch.put(Operation::Repeat { first, count }, &[])?,
            Draft::Run { chunks, files, references: pieces } => {
                if stopped() {
                    return Err(MakeError::Stopped);
                }
                let pieces = collect(from, pieces, &mut references)?;
                bytes.clear();
                let (start, length) = span(to.pack.recipe(), &chunks);
                to.pack.read(start, length, &mut bytes).map_err(MakeError::New)?;
                let chunks = to.pack.recipe().chunks().get(chunks).unwrap_or_default().to_vec();
                if !are(&chunks, &bytes) {
                    // As it was stored, and wrong all the same: every node would refuse it.
                    return Err(MakeError::New(PackError::Damaged("a chunk that is not what its id says")));
                }
                let kind = if is_program(to, files)? { Kind::Program } else { Kind::Other };
                let (codec, body) = encode(&references, &bytes, kind);
                let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
                patch.put(Operation::Run(Run { codec, body: size, references: pieces, chunks }), &body)?;
            }
        }
    }
    Ok(patch.finish()?)
}

/// The old bytes that a run refers to, and the pieces they are: those after which more would be unpacked than whoever applies
/// the patch puts up with are left out.
fn collect<R: ReadAt>(from: &mut [Source<R>], mut pieces: Vec<Piece>, references: &mut Vec<u8>) -> Result<Vec<Piece>, MakeError> {
    references.clear();
    let (mut kept, mut unpacked) = (0, 0);
    for Piece { layer, offset, length } in pieces.iter().copied() {
        if unpacked > UNPACKED_MAX / 2 {
            break;
        }
        if let Some(Source { pack, .. }) = from.get_mut(usize::from(layer)) {
            let before = pack.unpacked();
            pack.read(offset, length, references).map_err(|cause| MakeError::Old { layer, cause })?;
            unpacked += pack.unpacked().saturating_sub(before);
        }
        kept += 1;
    }
    pieces.truncate(kept);
    Ok(pieces)
}

/// Whether `bytes` are these chunks, one after the other.
fn are(chunks: &[Chunk], bytes: &[u8]) -> bool {
    let mut rest = bytes;
    chunks.iter().all(|chunk| {
        let (own, behind) = rest.split_at_checked(chunk.length as usize).unwrap_or_default();
        rest = behind;
        chunk.is(own)
    })
}

/// Whether one of these files is a program or a library.
fn is_program<R: ReadAt>(to: &mut Source<R>, files: Range<usize>) -> Result<bool, MakeError> {
    let mut begin = Vec::with_capacity(ELF.len());
    for file in to.files.get(files).unwrap_or_default() {
        begin.clear();
        to.pack.read(file.offset, 4, &mut begin).map_err(MakeError::New)?;
        if begin == ELF {
            return Ok(true);
        }
    }
    Ok(false)
}

/// First byte and number of bytes of these chunks.
fn span(recipe: &Recipe, chunks: &Range<usize>) -> (u64, u32) {
    let start = recipe.start(chunks.start);
    (start, u32::try_from(recipe.start(chunks.end) - start).unwrap_or(u32::MAX))
}
