//! Going on with a pack that was not finished.
//!
//! Nothing is kept beside the file. What follows which chunk is known from the recipe, and each chunk's bytes from its id: those
//! that are there and right count, up to the first that are not, whatever a kill or a power cut left behind them.

use zstd::zstd_safe::find_frame_compressed_size;

use super::{PackError, PackWriter, check, unpack};
use crate::recipe::{Chunk, ReadAt, WriteAt};

impl<W: WriteAt + ReadAt> PackWriter<W> {
    /// Goes on with the pack of these chunks in `out`, which has `length` bytes; [`chunks`](Self::chunks) are there. What `out`
    /// has behind [`length`](Self::length) is of no use, and the caller cuts it off.
    pub fn resume(out: W, length: u64, chunks: &[Chunk]) -> Result<Self, PackError> {
        let mut writer = Self::new(out)?;
        let mut ahead = Vec::new();
        for chunk in chunks {
            match writer.here(*chunk, length, &mut ahead) {
                Some(stored) => writer.note(*chunk, stored, check(stored))?,
                None => break,
            }
        }
        Ok(writer)
    }

    /// What is stored of the next chunk; `None` when it is not there. `ahead` is room to work in.
    fn here<'a>(&mut self, chunk: Chunk, length: u64, ahead: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        if self.known.contains(&chunk.id) {
            return Some(&[]);
        }
        let most = length.saturating_sub(self.at).min(chunk.length.into());
        ahead.resize(usize::try_from(most).ok()?, 0);
        self.out.read_at(self.at, ahead).ok()?; // What cannot be read is not there.
        let frame = find_frame_compressed_size(ahead).ok();
        let sizes = [frame, Some(chunk.length as usize)].into_iter().flatten();
        let mut candidates = sizes.filter_map(|size| ahead.get(..size)).filter(|stored| !stored.is_empty());
        candidates
            .find(|stored| unpack(&mut self.decompressor, stored, chunk.length, &mut self.bytes).is_ok() && chunk.is(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::samples::{noise, open, pack, tar_of};

    /// Finishes what is left of `partial` with what `whole` has; how many chunks were there.
    fn go_on(partial: Vec<u8>, whole: &[u8]) -> usize {
        let mut theirs = open(whole.to_vec());
        let chunks = theirs.recipe().chunks().to_vec();
        let length = partial.len() as u64;
        let mut ours = PackWriter::resume(partial, length, &chunks).unwrap();
        let there = ours.chunks();
        for (index, chunk) in chunks.iter().enumerate().skip(there) {
            ours.put_foreign(*chunk, theirs.stored(index).unwrap().unwrap().frame).unwrap();
        }
        let mut finished = ours.finish(theirs.tar()).unwrap();
        finished.truncate(whole.len());
        assert!(finished == whole, "the same pack");
        there
    }

    #[test]
    fn what_is_there_and_right_counts_wherever_it_was_cut() {
        let letters: Vec<u8> = noise(2, 600_000).into_iter().map(|byte| b'a' + byte % 4).collect();
        let tar = [&noise(1, 300_000)[..], &letters, &noise(1, 300_000), &[0; 600_000], b"end"].concat();
        let whole = pack(&tar);
        assert!(tar_of(open(whole.clone())) == tar);
        let recipe = open(whole.clone()).recipe().clone();
        let (mut before, mut seen) = (0, std::collections::BTreeSet::new());
        for cut in (0..whole.len()).step_by(4999) {
            let there = go_on(whole[..cut].to_vec(), &whole);
            assert!(there >= before, "{cut}");
            before = there;
            seen.insert(there);
        }
        assert_eq!(go_on(whole.clone(), &whole), recipe.chunks().len());
        assert!(seen.len() > 5 && seen.contains(&0), "{seen:?}");
    }

    #[test]
    fn what_a_power_cut_left_does_not_count() {
        let tar = noise(1, 1_000_000);
        let whole = pack(&tar);
        let kept =
            PackWriter::resume(whole[..700_000].to_vec(), 700_000, open(whole.clone()).recipe().chunks()).unwrap().chunks();
        for garbage in [vec![0; 300_000], noise(7, 300_000), whole[..300_000].to_vec(), vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0]] {
            let partial = [&whole[..700_000], &garbage[..]].concat();
            assert_eq!(go_on(partial, &whole), kept);
        }
        let mut flipped = whole.clone();
        flipped[300_000] ^= 1;
        let there = go_on(flipped, &whole);
        assert!(there > 0 && there < kept, "{there} chunks before the byte that is wrong");
        assert_eq!(go_on(noise(3, 500_000), &whole), 0);
    }
}
