//! Which old layers a patch refers to: the one that saves most, then the one that saves most beside it, and so on until
//! another one would not be worth its name.
//!
//! Bytes in chunks that an old layer has are saved whole; bytes of a file of which it has a version count for 9/10 of that:
//! measured, what is sent for them is a tenth. The choice depends on what the layers are and on nothing else, so that nodes
//! that have the same layers share patches.
//!
//! Of an old layer only a bit per chunk and file of the new one is kept: a node may name hundreds of layers, each with hundreds
//! of thousands of files.

use shared::id::Digest;
use shared::recipe::draft::Layer;
use shared::recipe::sketch::{FileName, Sketch};
use shared::recipe::{ChunkId, FROM_MAX};

/// An old layer must save so many bytes…
const GAIN_MIN: u64 = 64 << 10;
/// … and this part of the new layer.
const GAIN_PART: u64 = 100;

/// The new layer, as far as a choice needs it.
#[derive(Debug)]
pub(super) struct Outline {
    chunks: Vec<(ChunkId, u64)>,
    files: Vec<FileName>,
    /// Which part of which file lies in which chunk: chunk, file, bytes.
    parts: Vec<(usize, usize, u64)>,
}

impl Outline {
    /// That of a layer.
    pub(super) fn of(layer: Layer<'_>) -> Self {
        let recipe = layer.recipe;
        let mut parts = Vec::new();
        for (number, file) in layer.files.iter().enumerate() {
            let end = file.offset.saturating_add(file.length).min(recipe.size());
            let mut at = file.offset;
            while at < end {
                let chunk = recipe.at(at);
                let until = recipe.start(chunk + 1).min(end);
                if until <= at {
                    break;
                }
                parts.push((chunk, number, until - at));
                at = until;
            }
        }
        let chunks = recipe.chunks().iter().map(|chunk| (chunk.id, u64::from(chunk.length))).collect();
        Self { chunks, files: layer.files.iter().map(FileName::of).collect(), parts }
    }

    fn size(&self) -> u64 {
        self.chunks.iter().map(|(_, length)| length).sum()
    }
}

/// One bit per thing, by its number.
#[derive(Debug, Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn of(bits: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut words = vec![0_u64; bits.len().div_ceil(64)];
        for (at, _) in bits.enumerate().filter(|(_, bit)| *bit) {
            if let Some(word) = words.get_mut(at / 64) {
                *word |= 1 << (at % 64);
            }
        }
        Self(words)
    }

    fn has(&self, at: usize) -> bool {
        self.0.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    fn add(&mut self, more: &Self) {
        self.0.resize(self.0.len().max(more.0.len()), 0);
        self.0.iter_mut().zip(&more.0).for_each(|(mine, others)| *mine |= others);
    }
}

/// What an old layer has of the new one.
#[derive(Debug, Default)]
pub(super) struct Has {
    chunks: Bits,
    files: Bits,
}

impl Has {
    /// That of the layer of this sketch.
    pub(super) fn of(to: &Outline, sketch: &Sketch) -> Self {
        let chunks = Bits::of(to.chunks.iter().map(|(id, _)| sketch.has(*id)));
        Self { chunks, files: Bits::of(to.files.iter().map(|name| sketch.has_file(*name))) }
    }

    /// Tenths of bytes saved by this and `more` together.
    fn saves(&self, more: &Self, to: &Outline) -> u64 {
        let either = |one: &Bits, other: &Bits, at: usize| one.has(at) || other.has(at);
        let whole: u64 = (to.chunks.iter().enumerate())
            .filter(|(at, _)| either(&self.chunks, &more.chunks, *at))
            .map(|(_, (_, length))| length * 10)
            .sum();
        let parts = to
            .parts
            .iter()
            .filter(|(chunk, file, _)| !either(&self.chunks, &more.chunks, *chunk) && either(&self.files, &more.files, *file));
        whole + parts.map(|(_, _, bytes)| bytes * 9).sum::<u64>()
    }

    fn add(&mut self, more: &Self) {
        self.chunks.add(&more.chunks);
        self.files.add(&more.files);
    }
}

/// The old layers to refer to, best first: at most [`FROM_MAX`], none when none is worth it.
pub(super) fn choose(to: &Outline, candidates: Vec<(Digest, Has)>) -> Vec<Digest> {
    let least = 10 * (to.size() / GAIN_PART).max(GAIN_MIN);
    let mut left: Vec<Candidate> = candidates.into_iter().map(|(id, has)| Candidate { id, has, gain: 0 }).collect();
    let (mut chosen, mut have, mut saved) = (Vec::new(), Has::default(), 0);
    while chosen.len() < FROM_MAX {
        for candidate in &mut left {
            candidate.gain = candidate.has.saves(&have, to).saturating_sub(saved);
        }
        // What saves too little beside these saves no more beside further ones.
        left.retain(|candidate| candidate.gain >= least);
        // Of equal ones the lowest diff_id.
        let best = left.iter().max_by(|a, b| a.gain.cmp(&b.gain).then(b.id.cmp(&a.id)));
        let Some(best) = best else { break };
        have.add(&best.has);
        saved += best.gain;
        let best = best.id;
        left.retain(|candidate| candidate.id != best);
        chosen.push(best);
    }
    chosen
}

/// An old layer that may be referred to.
struct Candidate {
    id: Digest,
    has: Has,
    /// Tenths of bytes it saves beside what was chosen.
    gain: u64,
}

#[cfg(test)]
mod tests {
    use shared::recipe::draft::File;
    use shared::recipe::{Chunk, Recipe};

    use super::*;

    const MIB: u64 = 1 << 20;

    /// A layer of chunks of 64 KiB with these contents and of these files, which lie one after the other.
    fn layer(chunks: &[u32], files: &[(&str, u64)]) -> (Recipe, Vec<File>) {
        let chunk = |content: &u32| Chunk { id: ChunkId::of(&content.to_le_bytes()), length: 64 << 10 };
        let recipe = Recipe::new(chunks.iter().map(chunk).collect());
        let mut offset = 0;
        let file = |(path, length): &(&str, u64)| {
            offset += length;
            File { path: path.as_bytes().to_vec(), offset: offset - length, length: *length }
        };
        let files = files.iter().map(file).collect();
        (recipe, files)
    }

    fn range(from: u32, until: u32) -> Vec<u32> {
        (from..until).collect()
    }

    fn chosen(to: &(Recipe, Vec<File>), old: &[(u8, (Recipe, Vec<File>))]) -> Vec<u8> {
        let outline = Outline::of(Layer { recipe: &to.0, files: &to.1 });
        let candidate = |(id, (recipe, files)): &(u8, (Recipe, Vec<File>))| {
            (Digest::from_bytes([*id; 32]), Has::of(&outline, &Sketch::of(Layer { recipe, files })))
        };
        let found = choose(&outline, old.iter().map(candidate).collect());
        let reversed = choose(&outline, old.iter().rev().map(candidate).collect());
        assert_eq!(reversed, found, "the order of what a node has does not matter");
        found.iter().map(|id| id.as_bytes()[0]).collect()
    }

    #[test]
    fn the_best_first_and_only_what_adds_something() {
        // 200 chunks, 12.5 MiB.
        let to = layer(&range(0, 200), &[("usr/lib/libx.so.2.0", 5 * MIB), ("usr/bin/app", 7 * MIB)]);
        let previous = layer(&range(0, 150), &[]);
        let older = layer(&range(0, 120), &[]);
        let rest = layer(&range(150, 170), &[]);
        let tiny = layer(&range(199, 200), &[]);
        let strange = layer(&range(1000, 1200), &[("etc/other", 5 * MIB)]);
        let all = [(5, previous.clone()), (1, older.clone()), (7, rest), (2, tiny), (3, strange.clone())];
        assert_eq!(chosen(&to, &all), [5, 7]);
        assert_eq!(chosen(&to, &[(1, older), (3, strange)]), [1]);
        assert_eq!(chosen(&to, &[]), [0; 0]);
        // Equal ones: the lower diff_id.
        assert_eq!(chosen(&to, &[(9, previous.clone()), (4, previous.clone()), (6, previous)]), [4]);
    }

    #[test]
    fn files_of_the_same_name_count_where_no_chunk_is_the_same() {
        let to = layer(&range(0, 200), &[("usr/lib/libx.so.2.0", 5 * MIB), ("usr/bin/app", 7 * MIB)]);
        let relinked = layer(&range(500, 700), &[("usr/bin/app", 7 * MIB)]);
        let renumbered = layer(&range(700, 800), &[("usr/lib/libx.so.1.9", 5 * MIB)]);
        let both = layer(&range(900, 999), &[("usr/bin/app", MIB), ("usr/lib/libx.so.2.0", MIB)]);
        assert_eq!(chosen(&to, &[(1, renumbered.clone()), (2, relinked.clone())]), [2, 1]);
        assert_eq!(chosen(&to, &[(1, renumbered), (2, relinked), (3, both.clone())]), [3]);
        // A chunk is better than a name: 64 KiB chunks of all of it save more than names do.
        assert_eq!(chosen(&to, &[(3, both), (8, layer(&range(0, 200), &[]))]), [8]);
    }

    #[test]
    fn at_most_so_many_and_hundreds_of_candidates() {
        let to = layer(&range(0, 1000), &[]);
        let old: Vec<(u8, _)> = (0_u8..250).map(|n| (n, layer(&range(u32::from(n) * 40, u32::from(n) * 40 + 40), &[]))).collect();
        let found = chosen(&to, &old);
        assert_eq!(found, [0, 1, 2, 3, 4, 5, 6, 7]);
        let small = layer(&[1], &[]);
        assert_eq!(chosen(&small, &[(1, small.clone())]), [1], "64 KiB");
    }

    #[test]
    fn an_old_layer_costs_a_bit_for_each_chunk_and_file_of_the_new_one() {
        // A layer of 100 MB with 10,000 files.
        let names: Vec<String> = (0..10_000).map(|n| format!("usr/share/a{}/b{}", n / 100, n * 7919)).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 10_000)).collect();
        let (recipe, files) = layer(&range(0, 1600), &files);
        let layer = Layer { recipe: &recipe, files: &files };
        let (outline, sketch) = (Outline::of(layer), Sketch::of(layer));
        let has = Has::of(&outline, &sketch);
        assert_eq!((has.chunks.0.len(), has.files.0.len()), (1600 / 64, 10_000_usize.div_ceil(64)));
        assert!(has.chunks.has(1599) && has.files.has(9999) && !has.chunks.has(1600));
        assert!((90_000..175_000).contains(&sketch.bytes()), "{}", sketch.bytes());
        let none = Has::of(&outline, &Sketch::default());
        assert_eq!((has.saves(&none, &outline), none.saves(&Has::default(), &outline)), (1600 * (64 << 10) * 10, 0));
    }
}
