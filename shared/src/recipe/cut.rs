//! Where a tar is cut into chunks: FastCDC of 2020, with [`CHUNK_MIN`], [`CHUNK_AVG`] and [`CHUNK_MAX`].
//!
//! The cuts are a wire contract: hub and nodes find the same chunks only as long as they cut the same way. The golden
//! test holds them.

use std::convert::Infallible;

use fastcdc::v2020::FastCDC;

use super::{CHUNK_AVG, CHUNK_MAX, CHUNK_MIN, Chunk, Recipe};

/// Bytes that are collected before they are cut.
const BATCH: usize = 4 * CHUNK_MAX as usize;

/// Cuts a stream of bytes; holds at most 1 MiB and what was pushed last.
#[derive(Debug, Default)]
pub struct Cutter {
    buffer: Vec<u8>,
}

impl Cutter {
    /// Takes the next bytes, and gives every chunk that is complete.
    pub fn push<E>(&mut self, bytes: &[u8], chunk: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BATCH { Ok(()) } else { self.cut(false, chunk) }
    }

    /// Gives the chunks that are left: nothing follows.
    pub fn finish<E>(mut self, chunk: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        self.cut(true, chunk)
    }

    /// A cut depends on nothing behind it, so every cut before the end of the buffer is one; the end itself only when
    /// nothing follows.
    fn cut<E>(&mut self, last: bool, mut chunk: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let mut done = 0;
        for found in FastCDC::new(&self.buffer, CHUNK_MIN as usize, CHUNK_AVG as usize, CHUNK_MAX as usize) {
            let end = found.offset + found.length;
            if end == self.buffer.len() && !last {
                break;
            }
            chunk(self.buffer.get(found.offset..end).unwrap_or_default())?;
            done = end;
        }
        self.buffer.drain(..done);
        Ok(())
    }
}

/// Finds the recipe of a tar that is read from front to back.
#[derive(Debug, Default)]
pub struct RecipeMaker {
    cutter: Cutter,
    chunks: Vec<Chunk>,
}

impl RecipeMaker {
    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Self { cutter, chunks } = self;
        let Ok(()) = cutter.push(bytes, collect(chunks));
    }

    /// The recipe: nothing follows.
    pub fn finish(self) -> Recipe {
        let Self { cutter, mut chunks } = self;
        let Ok(()) = cutter.finish(collect(&mut chunks));
        Recipe::new(chunks)
    }
}

fn collect(chunks: &mut Vec<Chunk>) -> impl FnMut(&[u8]) -> Result<(), Infallible> {
    |bytes| {
        chunks.push(Chunk::of(bytes));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::noise;
    use super::*;

    fn cuts(bytes: &[u8], step: usize) -> Vec<usize> {
        let mut lengths = Vec::new();
        let mut cutter = Cutter::default();
        let mut take = |chunk: &[u8]| {
            lengths.push(chunk.len());
            Ok::<_, Infallible>(())
        };
        for part in bytes.chunks(step) {
            cutter.push(part, &mut take).unwrap();
        }
        cutter.finish(&mut take).unwrap();
        lengths
    }

    #[test]
    fn cuts_do_not_depend_on_how_bytes_arrive() {
        let bytes = noise(1, 3 << 20);
        let whole = cuts(&bytes, bytes.len());
        assert_eq!(whole.iter().sum::<usize>(), bytes.len());
        for step in [1_000, 65_537, 1 << 20] {
            assert_eq!(cuts(&bytes, step), whole, "{step}");
        }
        let (last, others) = whole.split_last().unwrap();
        assert!(others.iter().all(|length| (CHUNK_MIN as usize..=CHUNK_MAX as usize).contains(length)), "{others:?}");
        assert!(*last <= CHUNK_MAX as usize);
    }

    #[test]
    fn a_byte_that_is_inserted_moves_one_cut() {
        let bytes = noise(2, 2 << 20);
        let changed = [&bytes[..700_000], b"!", &bytes[700_000..]].concat();
        let (old, new) = (cuts(&bytes, bytes.len()), cuts(&changed, changed.len()));
        let same = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
        assert!(old.len() - same <= 700_000 / CHUNK_MIN as usize && same > 10, "{old:?} {new:?}");
        assert_eq!(old[0], new[0]);
    }

    #[test]
    fn these_cuts_are_the_contract() {
        let golden = [121_841, 111_148, 20_006, 86_891, 29_876, 93_696, 165_625, 17_578, 53_339];
        assert_eq!(cuts(&noise(3, 700_000), 4096), golden);
        assert!(cuts(b"", 1).is_empty());
        assert_eq!(cuts(b"short", 2), [5]);
        assert_eq!(cuts(&vec![0; 600_000], 4096), [262_144, 262_144, 75_712]);
    }
}
