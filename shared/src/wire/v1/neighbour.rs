//! What nodes of one site say to each other. Each message stands behind its length (4 bytes, little endian).

use serde::{Deserialize, Serialize};

use super::{WireError, malformed};
use crate::neighbour;
use crate::recipe::{self, CHUNK_AVG, CHUNK_MAX, CHUNK_MIN, ChunkId};

/// What a node asks of another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// How far it is with these layers, by diff_id; at most [`neighbour::LAYERS_MAX`].
    Stages(Vec<[u8; 32]>),
    /// Manifest or config of an image, from this byte on.
    Document {
        /// Its digest.
        blob: [u8; 32],
        /// From which byte.
        offset: u64,
    },
    /// The recipe of a layer, from this byte on.
    Recipe {
        /// diff_id of the layer.
        layer: [u8; 32],
        /// From which byte.
        offset: u64,
    },
    /// Chunks of a layer by their numbers; at most [`neighbour::CHUNKS_MAX`]. Each is answered by itself, in this order.
    Chunks {
        /// diff_id of the layer.
        layer: [u8; 32],
        /// Which.
        numbers: Vec<u32>,
    },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// One stage for each layer.
    Stages(Vec<Stage>),
    /// A part of a document or recipe: the last one when it is shorter than [`super::super::FRAME_MAX`]. Or a chunk, as
    /// packs store it.
    Bytes(#[serde(with = "crate::wire::raw")] Vec<u8>),
    /// It does not have that, or not any more.
    Lacks,
}

/// [`neighbour::Stage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// It neither has nor wants it.
    Lacks,
    /// It will bring it.
    Wants,
    /// It is bringing it; the number grows as it gets on.
    Brings(u64),
    /// It has it.
    Has,
}

/// [`recipe::Recipe`]: the bytes whose blake3 a release names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipe {
    /// How the tar was cut: shortest, average and longest chunk.
    pub cut: [u32; 3],
    /// blake3 and length of each chunk, in order.
    pub chunks: Vec<([u8; 32], u32)>,
}

impl From<neighbour::Stage> for Stage {
    fn from(stage: neighbour::Stage) -> Self {
        match stage {
            neighbour::Stage::Lacks => Self::Lacks,
            neighbour::Stage::Wants => Self::Wants,
            neighbour::Stage::Brings(done) => Self::Brings(done),
            neighbour::Stage::Has => Self::Has,
        }
    }
}

impl From<Stage> for neighbour::Stage {
    fn from(stage: Stage) -> Self {
        match stage {
            Stage::Lacks => Self::Lacks,
            Stage::Wants => Self::Wants,
            Stage::Brings(done) => Self::Brings(done),
            Stage::Has => Self::Has,
        }
    }
}

impl From<&recipe::Recipe> for Recipe {
    fn from(recipe: &recipe::Recipe) -> Self {
        let chunks = recipe.chunks().iter().map(|chunk| (*chunk.id.as_bytes(), chunk.length)).collect();
        Self { cut: [CHUNK_MIN, CHUNK_AVG, CHUNK_MAX], chunks }
    }
}

impl TryFrom<Recipe> for recipe::Recipe {
    type Error = WireError;
    fn try_from(recipe: Recipe) -> Result<Self, WireError> {
        if recipe.cut != [CHUNK_MIN, CHUNK_AVG, CHUNK_MAX] {
            return Err(malformed("recipe", format!("cut as {:?}", recipe.cut)));
        }
        if let Some((_, length)) = recipe.chunks.iter().find(|(_, length)| !(1..=CHUNK_MAX).contains(length)) {
            return Err(malformed("recipe", format!("a chunk of {length} bytes")));
        }
        let chunk = |(id, length)| recipe::Chunk { id: ChunkId::from_bytes(id), length };
        Ok(Self::new(recipe.chunks.into_iter().map(chunk).collect()))
    }
}
