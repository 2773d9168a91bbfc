//! A pack: the chunks of one layer in one file. Hub, nodes and neighbours keep the same.
//!
//! ```text
//! 8 bytes   "CWPACK", 0, version 1
//! frames    for each chunk, in order: one zstd frame, or the bytes themselves where that is not smaller;
//!           nothing for a chunk that came before
//! index     postcard: sha256 and size of the tar, how it was cut, and of each chunk: id, length, and of what is stored of it
//!           the length and the first 8 bytes of its blake3
//! 48 bytes  length of the index (little endian, 8 bytes), blake3 of the index (32), "CWPACK", 0, version 1
//! ```
//!
//! The index is read into memory: about 55 bytes per chunk, 0.9 MB per GB of tar. A file that was cut off or damaged has no
//! valid end, or chunks that are not as they were stored; both are told apart from a file that cannot be read.
//!
//! A chunk is compared with its id when it comes into a pack. From then on the hash of what is stored says that it did not
//! change: there is less than half as much of that, and a chunk goes from pack to pack without being unpacked.

mod resume;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::compress_bound;

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
/// Bytes of chunks that are kept unpacked. Neighbouring runs refer to bytes that overlap by at most 1 MiB.
const RECENT_MAX: usize = 1536 << 10;

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

/// A chunk and what is stored of it.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    chunk: Chunk,
    /// Bytes in the file; none when an earlier chunk is the same.
    bytes: u32,
    check: Check,
}

/// Tells whether stored bytes have changed.
type Check = [u8; 8];

fn check(stored: &[u8]) -> Check {
    blake3::hash(stored).as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Writes a pack from front to back.
pub struct PackWriter<W> {
    out: W,
    at: u64,
    chunks: Vec<Stored>,
    /// The chunks that are in the file.
    known: BTreeSet<ChunkId>,
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
    frame: Vec<u8>,
    bytes: Vec<u8>,
}

impl<W: WriteAt> PackWriter<W> {
    /// Begins a pack in `out`, which is empty.
    pub fn new(mut out: W) -> Result<Self, PackError> {
        out.write_at(0, &MAGIC)?;
        Ok(Self {
            out,
            at: MAGIC.len() as u64,
            chunks: Vec::new(),
            known: BTreeSet::new(),
            compressor: Compressor::new(LEVEL)?,
            decompressor: Decompressor::new()?,
            frame: Vec::with_capacity(compress_bound(CHUNK_MAX as usize)),
            bytes: Vec::new(),
        })
    }

    /// Chunks so far.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The chunk of this number, of those added so far.
    pub fn get(&self, index: usize) -> Option<Chunk> {
        self.chunks.get(index).map(|stored| stored.chunk)
    }

    /// The recipe of what was added so far.
    pub fn recipe(&self) -> Recipe {
        Recipe::new(self.chunks.iter().map(|stored| stored.chunk).collect())
    }

    /// Adds a chunk.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.put_chunk(Chunk::of(bytes), bytes)
    }

    /// Adds a chunk whose `bytes` the caller has compared with its id.
    pub fn put_chunk(&mut self, chunk: Chunk, bytes: &[u8]) -> Result<(), PackError> {
        if self.known.contains(&chunk.id) {
            return self.put_again(chunk);
        }
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        frame.reserve(compress_bound(bytes.len()));
        self.compressor.compress_to_buffer(bytes, &mut frame)?;
        let stored = if frame.len() < bytes.len() { &frame } else { bytes };
        let added = self.add(chunk, stored, check(stored));
        self.frame = frame;
        added
    }

    /// Adds a chunk that came before.
    pub fn put_again(&mut self, chunk: Chunk) -> Result<(), PackError> {
        self.add(chunk, &[], check(&[]))
    }

    /// Adds a chunk as another pack has it stored. What it must be comes along and is not computed again: memory that failed
    /// since the chunk was compared would make wrong bytes right for ever.
    pub fn put_stored(&mut self, stored: StoredChunk<'_>) -> Result<(), PackError> {
        let StoredChunk { chunk, frame, check } = stored;
        if self.known.contains(&chunk.id) { self.put_again(chunk) } else { self.add(chunk, frame, check) }
    }

    /// Adds a chunk as somebody says that a pack has it stored: its bytes are compared with its id first.
    pub fn put_foreign(&mut self, chunk: Chunk, stored: &[u8]) -> Result<(), PackError> {
        if stored.len() as u64 > u64::from(chunk.length) {
            return Err(PackError::Damaged("a chunk that is larger than its bytes"));
        }
        unpack(&mut self.decompressor, stored, chunk.length, &mut self.bytes)?;
        if !chunk.is(&self.bytes) {
            return Err(PackError::Damaged("a chunk that is not what its id says"));
        }
        self.put_stored(StoredChunk { chunk, frame: stored, check: check(stored) })
    }

    /// Bytes so far.
    pub const fn length(&self) -> u64 {
        self.at
    }

    /// Where it is written.
    pub const fn out(&self) -> &W {
        &self.out
    }

    fn add(&mut self, chunk: Chunk, stored: &[u8], check: Check) -> Result<(), PackError> {
        self.out.write_at(self.at, stored)?;
        self.note(chunk, stored, check)
    }

    /// Remembers a chunk whose `stored` bytes are the next of the file.
    fn note(&mut self, chunk: Chunk, stored: &[u8], check: Check) -> Result<(), PackError> {
        if self.chunks.len() >= CHUNKS_MAX {
            return Err(PackError::TooLarge);
        }
        let bytes = u32::try_from(stored.len()).unwrap_or(u32::MAX);
        if bytes > 0 {
            self.known.insert(chunk.id);
        }
        self.at += u64::from(bytes);
        self.chunks.push(Stored { chunk, bytes, check });
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

/// A chunk of a pack, as it is stored.
#[derive(Debug, Clone, Copy)]
pub struct StoredChunk<'p> {
    /// Its name and length.
    pub chunk: Chunk,
    /// What is stored of it, and has not changed since.
    pub frame: &'p [u8],
    /// What says so.
    check: Check,
}

/// A pack that can be read.
pub struct Pack<R> {
    file: R,
    tar: Blob,
    recipe: Recipe,
    /// Where what is stored of each chunk lies.
    places: Vec<Place>,
    decompressor: Decompressor<'static>,
    /// What was read last from the file.
    frame: Vec<u8>,
    recent: Recent,
    unpacked: u64,
}

/// Where in the file something is stored, and what it must be.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u64,
    bytes: u32,
    check: Check,
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
        Ok(Self { file, tar, recipe, places, decompressor, frame: Vec::new(), recent: Recent::default(), unpacked: 0 })
    }

    /// sha256 and size of the tar, as the writer knew them.
    pub const fn tar(&self) -> Blob {
        self.tar
    }

    /// The chunks.
    pub const fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Bytes of chunks that were unpacked so far, each as often as that was done.
    pub const fn unpacked(&self) -> u64 {
        self.unpacked
    }

    /// A chunk's bytes; `None` when there is no chunk of this number.
    pub fn chunk(&mut self, index: usize) -> Result<Option<&[u8]>, PackError> {
        let Some(chunk) = self.recipe.chunks().get(index).copied() else { return Ok(None) };
        if !self.recent.has(index) {
            self.load(index)?;
            let mut bytes = self.recent.room(chunk.length as usize);
            unpack(&mut self.decompressor, &self.frame, chunk.length, &mut bytes)?;
            self.unpacked += u64::from(chunk.length);
            self.recent.put(index, bytes);
        }
        Ok(self.recent.get(index))
    }

    /// A chunk as it is stored; `None` when there is no chunk of this number.
    pub fn stored(&mut self, index: usize) -> Result<Option<StoredChunk<'_>>, PackError> {
        let Some(chunk) = self.recipe.chunks().get(index).copied() else { return Ok(None) };
        let check = self.load(index)?;
        Ok(Some(StoredChunk { chunk, frame: &self.frame, check }))
    }

    /// Reads what is stored of a chunk, which must be what it was; what says so.
    fn load(&mut self, index: usize) -> Result<Check, PackError> {
        let place = self.places.get(index).ok_or(PackError::Damaged("a chunk that is nowhere"))?;
        self.frame.resize(place.bytes as usize, 0);
        self.file.read_at(place.at, &mut self.frame)?;
        let same = check(&self.frame) == place.check;
        if same { Ok(place.check) } else { Err(PackError::Damaged("a chunk that is not as it was stored")) }
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

/// The chunks that were read last, by their numbers, the oldest first; at most [`RECENT_MAX`] bytes.
#[derive(Default)]
struct Recent {
    chunks: VecDeque<(usize, Vec<u8>)>,
    bytes: usize,
}

impl Recent {
    fn has(&self, index: usize) -> bool {
        self.get(index).is_some()
    }

    fn get(&self, index: usize) -> Option<&[u8]> {
        self.chunks.iter().rev().find(|(number, _)| *number == index).map(|(_, bytes)| bytes.as_slice())
    }

    /// Forgets what must go for `length` bytes; a buffer for them.
    fn room(&mut self, length: usize) -> Vec<u8> {
        let mut buffer = Vec::new();
        while self.bytes + length > RECENT_MAX
            && let Some((_, bytes)) = self.chunks.pop_front()
        {
            self.bytes -= bytes.len();
            buffer = bytes;
        }
        buffer
    }

    fn put(&mut self, index: usize, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        self.chunks.push_back((index, bytes));
    }
}

/// Makes the `length` bytes of a chunk of what is stored of it.
fn unpack(decompressor: &mut Decompressor<'static>, frame: &[u8], length: u32, bytes: &mut Vec<u8>) -> Result<(), PackError> {
    bytes.resize(length as usize, 0);
    if frame.len() == bytes.len() {
        bytes.copy_from_slice(frame);
        return Ok(());
    }
    let size = decompressor.decompress_to_buffer(frame, bytes.as_mut_slice());
    let size = size.map_err(|_| PackError::Damaged("a chunk that is no zstd frame"))?;
    if size == bytes.len() { Ok(()) } else { Err(PackError::Damaged("a chunk of another length")) }
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
fn places(chunks: &[Stored]) -> Result<Vec<Place>, PackError> {
    let mut first: BTreeMap<ChunkId, Place> = BTreeMap::new();
    let mut at = MAGIC.len() as u64;
    let place = |stored: &Stored| {
        let Stored { chunk, bytes, check } = *stored;
        if bytes > chunk.length {
            return Err(PackError::Damaged("a chunk that is larger than its bytes"));
        }
        if bytes == 0 {
            return first.get(&chunk.id).copied().ok_or(PackError::Damaged("a chunk that is nowhere"));
        }
        let here = Place { at, bytes, check };
        at += u64::from(bytes);
        first.entry(chunk.id).or_insert(here);
        Ok(here)
    };
    chunks.iter().map(place).collect()
}
