//! A pack: the chunks of one layer in one file. Hub, nodes and neighbours keep the same.
//!
//! ```text
//! 8 bytes   "CWPACK", 0, version 1
//! frames    for each chunk, in order: one zstd frame, or the bytes themselves where that is not smaller;
//!           nothing for a chunk that came before
//! index     postcard: sha256 and size of the tar, how it was cut, and of each chunk: id, length, length in the file
//! 48 bytes  length of the index (little endian, 8 bytes), blake3 of the index (32), "CWPACK", 0, version 1
//! ```
//!
//! The index is read into memory: about 45 bytes per chunk, 0.7 MB per GB of tar. A file that was cut off or damaged has no
//! valid end, or chunks that are not what their id says; both are told apart from a file that cannot be read.

mod resume;

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};

use super::{CHUNK_AVG, CHUNK_MAX, CHUNK_MIN, Chunk, ChunkId, ReadAt, Recipe, WriteAt};
use crate::id::Digest;
use crate::release::Blob;

const MAGIC: [u8; 8] = *b"CWPACK\0\x01";
/// Bytes behind the index.
const END: u64 = 48;
/// Largest index, in bytes.
const INDEX_MAX: u64 = 32 << 20;
/// Most chunks: a tar of about 32 GB.
pub(super) const CHUNKS_MAX: usize = 1 << 19;
/// Level of what lies on disk. Level 3 made packs 4 % smaller in half as much time again, which a small node pays for every
/// new chunk.
const LEVEL: i32 = 1;

/// Why a pack was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no pack, or none that was finished, or its bytes have changed.
    #[error("the pack is damaged: {0}")]
    Damaged(&'static str),
    /// The layer has too many chunks.
    #[error("more chunks than a pack holds")]
    TooLarge,
}

/// What the index says, version 1.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    tar: [u8; 32],
    size: u64,
    cut: [u32; 3],
    chunks: Vec<Stored>,
}

/// A chunk and the bytes it takes in the file; none when an earlier chunk is the same.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    chunk: Chunk,
    bytes: u32,
}

/// Writes a pack from front to back.
pub struct PackWriter<W> {
    out: W,
    at: u64,
    chunks: Vec<Stored>,
    /// Where each chunk's bytes are, and how many.
    places: BTreeMap<ChunkId, (u64, u32)>,
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
}

impl<W: WriteAt> PackWriter<W> {
    /// Begins a pack in `out`, which is empty.
    pub fn new(mut out: W) -> Result<Self, PackError> {
        out.write_at(0, &MAGIC)?;
        let (compressor, decompressor) = (Compressor::new(LEVEL)?, Decompressor::new()?);
        Ok(Self { out, at: MAGIC.len() as u64, chunks: Vec::new(), places: BTreeMap::new(), compressor, decompressor })
    }

    /// Chunks so far.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Adds a chunk.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        let chunk = Chunk::of(bytes);
        if self.places.contains_key(&chunk.id) {
            return self.add(chunk, &[]);
        }
        let frame = self.compressor.compress(bytes)?;
        self.add(chunk, if frame.len() < bytes.len() { &frame } else { bytes })
    }

    /// Adds a chunk as another pack has it stored.
    pub fn put_stored(&mut self, chunk: Chunk, stored: &[u8]) -> Result<(), PackError> {
        let stored = if self.places.contains_key(&chunk.id) { &[] } else { stored };
        self.add(chunk, stored)
    }

    /// Adds a chunk as somebody says that a pack has it stored: its bytes are compared with its id first.
    pub fn put_foreign(&mut self, chunk: Chunk, stored: &[u8]) -> Result<(), PackError> {
        if stored.len() as u64 > u64::from(chunk.length) {
            return Err(PackError::Damaged("a chunk that is larger than its bytes"));
        }
        unpack(&mut self.decompressor, stored, chunk, &mut Vec::new())?;
        self.put_stored(chunk, stored)
    }

    /// Bytes so far.
    pub const fn length(&self) -> u64 {
        self.at
    }

    /// Where it is written.
    pub const fn out(&self) -> &W {
        &self.out
    }

    /// The chunk of this number, of those added so far.
    pub fn get(&self, index: usize) -> Option<Chunk> {
        self.chunks.get(index).map(|stored| stored.chunk)
    }

    fn add(&mut self, chunk: Chunk, stored: &[u8]) -> Result<(), PackError> {
        self.out.write_at(self.at, stored)?;
        self.note(chunk, u32::try_from(stored.len()).unwrap_or(u32::MAX))
    }

    /// Remembers a chunk that takes the next `bytes` of the file.
    fn note(&mut self, chunk: Chunk, bytes: u32) -> Result<(), PackError> {
        if self.chunks.len() >= CHUNKS_MAX {
            return Err(PackError::TooLarge);
        }
        if bytes > 0 {
            self.places.insert(chunk.id, (self.at, bytes));
        }
        self.at += u64::from(bytes);
        self.chunks.push(Stored { chunk, bytes });
        Ok(())
    }

    /// Writes the index. The caller makes the file durable.
    pub fn finish(mut self, tar: Blob) -> Result<W, PackError> {
        let cut = [CHUNK_MIN, CHUNK_AVG, CHUNK_MAX];
        let index = Index { tar: *tar.digest.as_bytes(), size: tar.size, cut, chunks: self.chunks };
        let mut bytes = postcard::to_stdvec(&index).map_err(io::Error::other)?;
        if bytes.len() as u64 > INDEX_MAX {
            return Err(PackError::TooLarge);
        }
        let (length, hash) = (bytes.len() as u64, blake3::hash(&bytes));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(hash.as_bytes());
        bytes.extend_from_slice(&MAGIC);
        self.out.write_at(self.at, &bytes)?;
        Ok(self.out)
    }
}

impl<W: WriteAt + ReadAt> PackWriter<W> {
    /// Adds a chunk again that came before, and gives its bytes.
    pub fn repeat(&mut self, chunk: Chunk) -> Result<Vec<u8>, PackError> {
        let place = self.places.get(&chunk.id).ok_or(PackError::Damaged("a chunk that is nowhere"))?;
        let (mut frame, mut bytes) = (Vec::new(), Vec::new());
        load(&self.out, &mut self.decompressor, *place, chunk, &mut frame, &mut bytes)?;
        self.add(chunk, &[])?;
        Ok(bytes)
    }
}

/// A chunk of a pack.
#[derive(Debug, Clone, Copy)]
pub struct StoredChunk<'p> {
    /// Its name and length.
    pub chunk: Chunk,
    /// As it is stored.
    pub frame: &'p [u8],
    /// Its bytes.
    pub bytes: &'p [u8],
}

/// A pack that can be read.
pub struct Pack<R> {
    file: R,
    tar: Blob,
    recipe: Recipe,
    /// Where each chunk's bytes are, and how many.
    places: Vec<(u64, u32)>,
    decompressor: Decompressor<'static>,
    /// The chunk that was read last: its number, as it is stored, and its bytes.
    last: Option<usize>,
    frame: Vec<u8>,
    bytes: Vec<u8>,
}

impl<R: ReadAt> Pack<R> {
    /// Reads the index of a pack of `length` bytes.
    pub fn open(file: R, length: u64) -> Result<Self, PackError> {
        let index = read_index(&file, length)?;
        let cut = [CHUNK_MIN, CHUNK_AVG, CHUNK_MAX];
        if index.cut != cut || index.chunks.iter().any(|stored| !(1..=CHUNK_MAX).contains(&stored.chunk.length)) {
            return Err(PackError::Damaged("it was cut in another way"));
        }
        let places = places(&index.chunks)?;
        let recipe = Recipe::new(index.chunks.into_iter().map(|stored| stored.chunk).collect());
        if recipe.size() != index.size {
            return Err(PackError::Damaged("its chunks are not the tar"));
        }
        let tar = Blob { digest: Digest::from_bytes(index.tar), size: index.size };
        let decompressor = Decompressor::new()?;
        Ok(Self { file, tar, recipe, places, decompressor, last: None, frame: Vec::new(), bytes: Vec::new() })
    }

    /// sha256 and size of the tar, as the writer knew them.
    pub const fn tar(&self) -> Blob {
        self.tar
    }

    /// The chunks.
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// A chunk's bytes, compared with its id; `None` when there is no chunk of this number.
    pub fn chunk(&mut self, index: usize) -> Result<Option<&[u8]>, PackError> {
        let Some(chunk) = self.recipe.chunks().get(index).copied() else { return Ok(None) };
        if self.last != Some(index) {
            self.last = None;
            let place = self.places.get(index).copied().unwrap_or_default();
            load(&self.file, &mut self.decompressor, place, chunk, &mut self.frame, &mut self.bytes)?;
            self.last = Some(index);
        }
        Ok(Some(&self.bytes))
    }

    /// A chunk as it is stored, and its bytes, which were compared with its id.
    pub fn stored(&mut self, index: usize) -> Result<Option<StoredChunk<'_>>, PackError> {
        if self.chunk(index)?.is_none() {
            return Ok(None);
        }
        let stored = |chunk: &Chunk| StoredChunk { chunk: *chunk, frame: &self.frame, bytes: &self.bytes };
        Ok(self.recipe.chunks().get(index).map(stored))
    }

    /// Adds `length` bytes of the tar from byte `offset` on to `into`; fewer where the tar ends.
    pub fn read(&mut self, mut offset: u64, length: u32, into: &mut Vec<u8>) -> Result<(), PackError> {
        let end = offset.saturating_add(u64::from(length)).min(self.recipe.size());
        while offset < end {
            let index = self.recipe.at(offset);
            let start = self.recipe.start(index);
            let Some(bytes) = self.chunk(index)? else { break };
            let within = |at: u64| usize::try_from(at - start).unwrap_or(usize::MAX).min(bytes.len());
            let part = bytes.get(within(offset)..within(end)).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            into.extend_from_slice(part);
            offset += part.len() as u64;
        }
        Ok(())
    }
}

/// Reads a chunk from its place into `bytes`, as it is stored into `frame`, and compares it with its id.
fn load<R: ReadAt>(
    file: &R,
    decompressor: &mut Decompressor<'static>,
    (at, stored): (u64, u32),
    chunk: Chunk,
    frame: &mut Vec<u8>,
    bytes: &mut Vec<u8>,
) -> Result<(), PackError> {
    frame.resize(stored as usize, 0);
    file.read_at(at, frame)?;
    unpack(decompressor, frame, chunk, bytes)
}

/// Makes the bytes of `chunk` of what is stored, and compares them with its id.
fn unpack(decompressor: &mut Decompressor<'static>, frame: &[u8], chunk: Chunk, bytes: &mut Vec<u8>) -> Result<(), PackError> {
    let length = chunk.length as usize;
    bytes.resize(length, 0);
    if frame.len() == length {
        bytes.copy_from_slice(frame);
    } else {
        let size = decompressor.decompress_to_buffer(frame, bytes.as_mut_slice());
        bytes.truncate(size.map_err(|_| PackError::Damaged("a chunk that is no zstd frame"))?);
    }
    if chunk.is(bytes) { Ok(()) } else { Err(PackError::Damaged("a chunk that is not what its id says")) }
}

fn read_index<R: ReadAt>(file: &R, length: u64) -> Result<Index, PackError> {
    let mut end = [0; END as usize];
    let at = length.checked_sub(END).ok_or(PackError::Damaged("it is too short"))?;
    file.read_at(at, &mut end)?;
    let (size, hash) = end.split_at(8);
    let (hash, magic) = hash.split_at(32);
    if magic != MAGIC {
        return Err(PackError::Damaged("it has no end"));
    }
    let size = size.try_into().map_or(u64::MAX, u64::from_le_bytes);
    let from = at.checked_sub(size).filter(|_| size <= INDEX_MAX).ok_or(PackError::Damaged("its index has no room in it"))?;
    let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
    file.read_at(from, &mut bytes)?;
    if blake3::hash(&bytes).as_bytes() != hash {
        return Err(PackError::Damaged("its index has changed"));
    }
    postcard::from_bytes(&bytes).map_err(|_| PackError::Damaged("its index is none"))
}

/// Where each chunk lies.
fn places(chunks: &[Stored]) -> Result<Vec<(u64, u32)>, PackError> {
    let mut first: BTreeMap<ChunkId, (u64, u32)> = BTreeMap::new();
    let mut at = MAGIC.len() as u64;
    let place = |stored: &Stored| {
        let Stored { chunk, bytes } = stored;
        if *bytes > chunk.length {
            return Err(PackError::Damaged("a chunk that is larger than its bytes"));
        }
        if *bytes == 0 {
            return first.get(&chunk.id).copied().ok_or(PackError::Damaged("a chunk that is nowhere"));
        }
        let here = (at, *bytes);
        at += u64::from(*bytes);
        first.entry(chunk.id).or_insert(here);
        Ok(here)
    };
    chunks.iter().map(place).collect()
}
