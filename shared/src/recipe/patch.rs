//! A patch: what makes a layer out of others, as bytes.
//!
//! ```text
//! 8 bytes   "CWPATCH", version 1
//! head      length (u32, little endian), postcard: the old layers by diff_id, diff_id, size and recipe of the new
//!           one
//! segments  length (u32) of the operations, one zstd frame with them in postcard, the bodies of its runs one after the other
//! end       a segment of length 0
//! ```
//!
//! Segments bound the memory of whoever reads a patch, however large the layer is: at most [`OPERATIONS_MAX`] operations
//! in [`PLAN_MAX`] bytes at a time. Every other number in a patch is checked against its bound before anything is allocated
//! for it. The same patch has the same bytes, so its sha256 names it, and a transfer goes on where it was cut even when the
//! hub had to make it again.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::codec::Codec;
use super::{CHUNK_MAX, Chunk, FROM_MAX, REFERENCES_MAX, RUN_MAX, RecipeId};
use crate::id::Digest;
use crate::release::Blob;

const MAGIC: [u8; 8] = *b"CWPATCH\x01";
/// Most operations of a segment.
pub const OPERATIONS_MAX: usize = 2048;
/// Most bytes of a segment's operations, in postcard.
pub const PLAN_MAX: usize = 1 << 20;
/// Most pieces of old layers that one run refers to.
pub const PIECES_MAX: usize = 512;
/// Bytes of a head.
const HEAD_MAX: usize = 1024;
const LEVEL: i32 = 19;

/// Most bytes of a patch that makes a tar of `size` bytes: whoever names a larger one is wrong.
pub const fn size_max(size: u64) -> u64 {
    size.saturating_add(size / 64).saturating_add(64 << 10)
}

/// Which layers a patch begins with and which one it makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The old layers; operations name them by their number here.
    pub from: Vec<Digest>,
    /// The tar of the new layer.
    pub to: Blob,
    /// Its recipe.
    pub recipe: RecipeId,
}

/// Makes the next bytes of the layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Chunks of an old layer.
    Copy {
        /// Which, by its number in [`Head::from`].
        layer: u8,
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// Chunks that came before in this layer.
    Repeat {
        /// The number of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// New chunks.
    Run(Run),
}

/// New chunks that travel together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// What the body is.
    pub codec: Codec,
    /// Bytes of the body.
    pub body: u32,
    /// The old bytes it refers to, one after the other.
    pub references: Vec<Piece>,
    /// The chunks.
    pub chunks: Vec<Chunk>,
}

impl Run {
    /// Bytes of its chunks.
    pub fn size(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.length)).sum()
    }

    fn is_bounded(&self) -> bool {
        let references: u64 = self.references.iter().map(|piece| u64::from(piece.length)).sum();
        !self.chunks.is_empty()
            && self.chunks.iter().all(|chunk| (1..=CHUNK_MAX).contains(&chunk.length))
            && self.size() <= u64::from(RUN_MAX)
            && references <= u64::from(REFERENCES_MAX)
            && self.references.len() <= PIECES_MAX
            && self.body <= RUN_MAX
    }
}

/// A part of an old layer's tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Which layer, by its number in [`Head::from`].
    pub layer: u8,
    /// Its first byte.
    pub offset: u64,
    /// Its bytes.
    pub length: u32,
}

/// Why bytes are no patch.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// They cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// They are not in order.
    #[error("not a patch: {0}")]
    Malformed(&'static str),
    /// Made in another version.
    #[error("patches of version {0} are not known here")]
    UnknownVersion(u8),
}

/// Head as it is stored, version 1.
#[derive(Serialize, Deserialize)]
struct StoredHead {
    from: Vec<[u8; 32]>,
    to: [u8; 32],
    size: u64,
    recipe: [u8; 32],
}

/// Writes a patch.
pub struct PatchWriter<W> {
    out: W,
    operations: Vec<Operation>,
    /// Bytes the operations take at most.
    plan: usize,
    bodies: Vec<u8>,
}

/// Bodies of about so many bytes make a segment.
const SEGMENT: usize = 4 << 20;

impl<W: Write> PatchWriter<W> {
    /// Begins a patch.
    pub fn new(mut out: W, head: &Head) -> io::Result<Self> {
        let from = head.from.iter().map(|layer| *layer.as_bytes()).collect();
        let recipe = *head.recipe.as_bytes();
        let head = StoredHead { from, to: *head.to.digest.as_bytes(), size: head.to.size, recipe };
        let head = postcard::to_stdvec(&head).map_err(io::Error::other)?;
        out.write_all(&MAGIC)?;
        out.write_all(&length(&head)?)?;
        out.write_all(&head)?;
        Ok(Self { out, operations: Vec::new(), plan: 0, bodies: Vec::new() })
    }

    /// Adds an operation, and the body if it is a run.
    pub fn put(&mut self, operation: Operation, body: &[u8]) -> io::Result<()> {
        let size = match &operation {
            Operation::Run(run) => 32 + 16 * run.references.len() + 37 * run.chunks.len(),
            Operation::Copy { .. } | Operation::Repeat { .. } => 16,
        };
        let full = self.operations.len() >= OPERATIONS_MAX || self.plan + size > PLAN_MAX;
        if full || self.bodies.len() + body.len() > SEGMENT {
            self.segment()?;
        }
        self.plan += size;
        self.bodies.extend_from_slice(body);
        self.operations.push(operation);
        Ok(())
    }

    /// Writes the end.
    pub fn finish(mut self) -> io::Result<W> {
        self.segment()?;
        self.out.write_all(&[0; 4])?;
        Ok(self.out)
    }

    fn segment(&mut self) -> io::Result<()> {
        if self.operations.is_empty() {
            return Ok(());
        }
        let plan = postcard::to_stdvec(&self.operations).map_err(io::Error::other)?;
        let plan = zstd::bulk::compress(&plan, LEVEL)?;
        self.out.write_all(&length(&plan)?)?;
        self.out.write_all(&plan)?;
        self.out.write_all(&self.bodies)?;
        self.operations.clear();
        self.bodies.clear();
        self.plan = 0;
        Ok(())
    }
}

fn length(bytes: &[u8]) -> io::Result<[u8; 4]> {
    u32::try_from(bytes.len()).map(u32::to_le_bytes).map_err(io::Error::other)
}

/// Reads a patch.
pub struct PatchReader<R> {
    input: R,
    head: Head,
    operations: std::vec::IntoIter<Operation>,
    body: Vec<u8>,
    ended: bool,
}

impl<R: Read> PatchReader<R> {
    /// Reads the head.
    pub fn new(mut input: R) -> Result<Self, PatchError> {
        let mut magic = [0; 8];
        fill(&mut input, &mut magic)?;
        let [name @ .., version] = magic;
        if !MAGIC.starts_with(&name) {
            return Err(PatchError::Malformed("it begins in another way"));
        }
        if !MAGIC.ends_with(&[version]) {
            return Err(PatchError::UnknownVersion(version));
        }
        let bytes = read_block(&mut input, HEAD_MAX)?;
        let head: StoredHead = postcard::from_bytes(&bytes).map_err(|_| PatchError::Malformed("its head"))?;
        if head.from.len() > FROM_MAX {
            return Err(PatchError::Malformed("too many old layers"));
        }
        let from = head.from.into_iter().map(Digest::from_bytes).collect();
        let to = Blob { digest: Digest::from_bytes(head.to), size: head.size };
        let head = Head { from, to, recipe: RecipeId::from_bytes(head.recipe) };
        Ok(Self { input, head, operations: Vec::new().into_iter(), body: Vec::new(), ended: false })
    }

    /// What it begins with and makes.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// The next operation, with its body if it is a run; `None` at the end.
    pub fn read(&mut self) -> Result<Option<(Operation, &[u8])>, PatchError> {
        let operation = loop {
            match self.operations.next() {
                Some(operation) => break operation,
                None if self.ended => return Ok(None),
                None => self.segment()?,
            }
        };
        let size = match &operation {
            Operation::Run(run) if !run.is_bounded() => return Err(PatchError::Malformed("a run beyond its bounds")),
            Operation::Run(run) => run.body as usize,
            Operation::Copy { count: 0, .. } | Operation::Repeat { count: 0, .. } => {
                return Err(PatchError::Malformed("an operation that makes nothing"));
            }
            Operation::Copy { .. } | Operation::Repeat { .. } => 0,
        };
        self.body.resize(size, 0);
        fill(&mut self.input, &mut self.body)?;
        Ok(Some((operation, &self.body)))
    }

    fn segment(&mut self) -> Result<(), PatchError> {
        let frame = read_block(&mut self.input, PLAN_MAX)?;
        if frame.is_empty() {
            self.ended = true;
            return match self.input.read(&mut [0])? {
                0 => Ok(()),
                _ => Err(PatchError::Malformed("something follows its end")),
            };
        }
        let plan =
            zstd::bulk::decompress(&frame, PLAN_MAX).map_err(|_| PatchError::Malformed("a segment that is no zstd frame"))?;
        let none = |_| PatchError::Malformed("a segment without operations");
        let (count, mut rest) = postcard::take_from_bytes::<usize>(&plan).map_err(none)?;
        if count > OPERATIONS_MAX {
            return Err(PatchError::Malformed("a segment of too many operations"));
        }
        let mut operations = Vec::with_capacity(count);
        for _ in 0..count {
            let operation;
            (operation, rest) = postcard::take_from_bytes::<Operation>(rest).map_err(none)?;
            operations.push(operation);
        }
        self.operations = operations.into_iter();
        Ok(())
    }
}

/// A length and so many bytes.
fn read_block<R: Read>(input: &mut R, most: usize) -> Result<Vec<u8>, PatchError> {
    let mut length = [0; 4];
    fill(input, &mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > most {
        return Err(PatchError::Malformed("a block that is too large"));
    }
    let mut bytes = vec![0; length];
    fill(input, &mut bytes)?;
    Ok(bytes)
}

/// A patch that ends early is malformed; anything else is the fault of what it is read from.
fn fill<R: Read>(input: &mut R, into: &mut [u8]) -> Result<(), PatchError> {
    input.read_exact(into).map_err(|error| {
        let early = error.kind() == io::ErrorKind::UnexpectedEof;
        if early { PatchError::Malformed("it ends early") } else { PatchError::Io(error) }
    })
}
