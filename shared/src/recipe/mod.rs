//! Image delivery by content: what a layer is made of, and how a new one is told to whoever has an old one.
//!
//! ```text
//! tar ──cut──▶ chunks ──▶ Recipe (which chunks, in which order)
//!                 └─────▶ Pack (the chunks themselves, compressed; one file per layer)
//! Pack of the new layer + Packs of old ones ──draft──▶ copies and runs ──make──▶ Patch
//! Patch + Packs of the old ones ──apply──▶ Pack of the new layer ──▶ tar
//! ```
//!
//! The tar is cut where its content says so (FastCDC), so that a byte that is inserted moves one cut and not all of them.
//! A patch copies the chunks that the old layers have, and brings the others in runs of at most [`RUN_MAX`] bytes, each
//! compressed against old bytes of the same file. Nothing here needs to be believed: each chunk is compared with its id
//! while it is stored, and the sha256 of the whole tar with the signed one before anything starts.
//!
//! Measured over ten real pairs of images (Debian, Python, Node, Go, Rust; July against November): chunks alone need
//! 36 % of the bytes of a registry pull, with the runs' references 3.5 %.

pub mod apply;
pub mod bsdiff;
pub mod codec;
pub mod cut;
pub mod draft;
pub mod make;
pub mod pack;
pub mod patch;
mod place;
pub mod sketch;

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::{as_text_or_bytes, bytes_behind};
use crate::wire::WireError;
use crate::wire::v1;

/// Smallest chunk but the last of a layer, in bytes.
pub const CHUNK_MIN: u32 = 16 << 10;
/// What chunks have on average, in bytes. Measured: 16 KiB and 256 KiB both need more bytes in all.
pub const CHUNK_AVG: u32 = 64 << 10;
/// Largest chunk, in bytes.
pub const CHUNK_MAX: u32 = 256 << 10;
/// Most bytes of one run, before it is compressed.
pub const RUN_MAX: u32 = 1 << 20;
/// Most old bytes that one run refers to. Twice as many gained nothing.
pub const REFERENCES_MAX: u32 = 4 << 20;
/// Most bytes of old chunks that are unpacked for one run. Whoever makes a patch stays below half of it.
const UNPACKED_MAX: u64 = 8 * REFERENCES_MAX as u64;
/// Most canonical bytes of a recipe before its chunks: a version, three varints of at most 5 bytes, a count of at most 5.
const HEAD_MAX: u64 = 1 + 3 * 5 + 5;
/// Most canonical bytes of a chunk in a recipe: its id, and a length as a varint.
const CHUNK_BYTES_MAX: u64 = 32 + 3;
/// Most layers that one patch refers to.
pub const FROM_MAX: usize = 8;

/// The name of a chunk: blake3 of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkId([u8; 32]);

impl ChunkId {
    /// The name of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// A name computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of a recipe: blake3 of its canonical bytes, written `blake3:<64 hex digits>`. It stands in the signed release,
/// so whoever has it can compare each chunk of the layer by itself, wherever it comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecipeId([u8; 32]);

/// Why a text is not a [`RecipeId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a recipe: expected blake3: and 64 hexadecimal digits")]
pub struct BadRecipeId;

impl RecipeId {
    /// The name of the recipe with these canonical bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Whether the recipe with these canonical bytes has this name.
    pub fn is(&self, bytes: &[u8]) -> bool {
        Self::of(bytes) == *self
    }

    /// A name computed elsewhere.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for RecipeId {
    type Err = BadRecipeId;
    fn from_str(text: &str) -> Result<Self, BadRecipeId> {
        bytes_behind("blake3", text).map(Self).ok_or(BadRecipeId)
    }
}

impl fmt::Display for RecipeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for RecipeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ChunkId(self.0).fmt(f)
    }
}

as_text_or_bytes!(RecipeId);

/// A piece of a layer's tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its name.
    pub id: ChunkId,
    /// Its bytes; at most [`CHUNK_MAX`].
    pub length: u32,
}

impl Chunk {
    /// The chunk that `bytes` are.
    pub fn of(bytes: &[u8]) -> Self {
        Self { id: ChunkId::of(bytes), length: u32::try_from(bytes.len()).unwrap_or(u32::MAX) }
    }

    /// Whether `bytes` are this chunk.
    pub fn is(&self, bytes: &[u8]) -> bool {
        bytes.len() as u64 == u64::from(self.length) && ChunkId::of(bytes) == self.id
    }
}

/// The chunks of a layer, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipe {
    chunks: Vec<Chunk>,
    /// Where each chunk ends in the tar.
    ends: Vec<u64>,
}

impl Recipe {
    /// The recipe of these chunks.
    pub fn new(chunks: Vec<Chunk>) -> Self {
        let mut end = 0;
        let ends = chunks.iter().map(|chunk| {
            end += u64::from(chunk.length);
            end
        });
        Self { ends: ends.collect(), chunks }
    }

    /// The recipe of a tar that is in memory.
    pub fn of(tar: &[u8]) -> Self {
        let mut maker = cut::RecipeMaker::default();
        maker.push(tar);
        maker.finish()
    }

    /// Its canonical bytes: how the layer was cut, and its chunks.
    pub fn to_bytes(&self) -> Vec<u8> {
        v1::Recipe::from(self).encode()
    }

    /// Reads canonical bytes that [are](RecipeId::is) those of a signed release: of a layer that was cut as layers are cut here.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        v1::Recipe::decode(bytes)?.try_into()
    }

    /// Most canonical bytes for a tar of `size` bytes; of any that a pack holds, 18 MB.
    pub const fn bytes_max(size: u64) -> u64 {
        let chunks = size / CHUNK_MIN as u64 + 1;
        let kept = if chunks < pack::CHUNKS_MAX as u64 { chunks } else { pack::CHUNKS_MAX as u64 };
        HEAD_MAX + kept * CHUNK_BYTES_MAX
    }

    /// Its name.
    pub fn id(&self) -> RecipeId {
        RecipeId::of(&self.to_bytes())
    }

    /// The chunks.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// Bytes of the tar.
    pub fn size(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// Where the chunk of this number begins; the size of the tar when there is none.
    pub fn start(&self, index: usize) -> u64 {
        let end = self.ends.get(index).copied().unwrap_or(self.size());
        end - self.chunks.get(index).map_or(0, |chunk| u64::from(chunk.length))
    }

    /// The number of the chunk that holds this byte of the tar; the number of chunks when none does.
    pub fn at(&self, offset: u64) -> usize {
        self.ends.partition_point(|end| *end <= offset)
    }
}

/// Bytes that are read at positions: a file, or memory.
pub trait ReadAt {
    /// Fills the whole of `into` from byte `offset` on; an end on the way is an error.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
}

/// Bytes that are written at positions.
pub trait WriteAt {
    /// Writes all of `bytes` from byte `offset` on.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let part = self.get(start..).and_then(|rest| rest.get(..into.len())).ok_or(io::ErrorKind::UnexpectedEof)?;
        into.copy_from_slice(part);
        Ok(())
    }
}

impl WriteAt for Vec<u8> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        self.resize(self.len().max(start.saturating_add(bytes.len())), 0);
        if let Some(part) = self.get_mut(start..).and_then(|rest| rest.get_mut(..bytes.len())) {
            part.copy_from_slice(bytes);
        }
        Ok(())
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
