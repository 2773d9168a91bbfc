//! What of a layer is needed to see how much of another one it would save: the names of its chunks and files, in 8 bytes
//! each. A sketch is a tenth of the recipe and the list of files, so many of them fit into memory.

use super::ChunkId;
use super::draft::{File, Layer, without_versions};

/// The names of a layer's chunks and files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sketch {
    /// All three without repetition and in order.
    chunks: Vec<u64>,
    exact: Vec<u64>,
    alike: Vec<u64>,
}

/// The two names of a file: as it is, and without its version numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileName {
    exact: u64,
    alike: u64,
}

impl FileName {
    /// Those of `file`.
    pub fn of(file: &File) -> Self {
        Self { exact: short(ChunkId::of(&file.path)), alike: short(ChunkId::of(&without_versions(&file.path))) }
    }
}

impl Sketch {
    /// The sketch of a layer.
    pub fn of(layer: Layer<'_>) -> Self {
        let names: Vec<FileName> = layer.files.iter().map(FileName::of).collect();
        Self {
            chunks: ordered(layer.recipe.chunks().iter().map(|chunk| short(chunk.id))),
            exact: ordered(names.iter().map(|name| name.exact)),
            alike: ordered(names.iter().map(|name| name.alike)),
        }
    }

    /// Whether the layer has this chunk; wrong once in 10^15 times.
    pub fn has(&self, chunk: ChunkId) -> bool {
        self.chunks.binary_search(&short(chunk)).is_ok()
    }

    /// Whether the layer has a file of this name, or of one that differs in version numbers only.
    pub fn has_file(&self, name: FileName) -> bool {
        self.exact.binary_search(&name.exact).is_ok() || self.alike.binary_search(&name.alike).is_ok()
    }

    /// Bytes of memory it takes, about.
    pub const fn bytes(&self) -> usize {
        8 * (self.chunks.len() + self.exact.len() + self.alike.len()) + 128
    }
}

fn short(id: ChunkId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = id.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn ordered(names: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut names: Vec<u64> = names.collect();
    names.sort_unstable();
    names.dedup();
    names.shrink_to_fit();
    names
}

#[cfg(test)]
mod tests {
    use super::super::samples::{noise, source};
    use super::*;

    #[test]
    fn a_sketch_knows_chunks_and_files() {
        let (one, other) = (source(&noise(1, 500_000)), source(&noise(2, 500_000)));
        let sketch = Sketch::of(one.layer());
        assert!(one.layer().recipe.chunks().iter().all(|chunk| sketch.has(chunk.id)));
        assert!(!other.layer().recipe.chunks().iter().any(|chunk| sketch.has(chunk.id)));
        let file = |path: &str| FileName::of(&File { path: path.into(), offset: 0, length: 1 });
        let files = [File { path: b"lib/x.so.1.2".to_vec(), offset: 0, length: 1 }];
        let sketch = Sketch::of(Layer { recipe: one.layer().recipe, files: &files });
        assert_eq!(["lib/x.so.1.2", "lib/x.so.3", "lib/y.so.1.2"].map(|path| sketch.has_file(file(path))), [true, true, false]);
        assert!(sketch.bytes() < 1000);
    }
}
