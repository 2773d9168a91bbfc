//! Where in an old file the bytes lie that stand in the place of new ones.
//!
//! ```text
//! new   copied ┊        part of a run        ┊ copied
//!         ╰──┐ ┊           ╎                 ┊ ╭──╯
//! old      copied ┊        ╎             ┊ copied
//! ```
//!
//! Between the nearest copies from the same file all places correspond in proportion, and there is little to look for beyond
//! them: so references can be small, which saves the hub and the node reading and searching them.

use std::ops::Range;

use super::draft::{Draft, File, Layer};

/// What may have gone from behind a copy to before it, or the other way.
const MARGIN: u64 = 64 << 10;

/// What of a new layer is copied, in its order.
pub(super) struct Copies(Vec<Copied>);

/// Bytes of the new layer that are bytes of an old one.
struct Copied {
    new: Range<u64>,
    layer: u8,
    old: Range<u64>,
}

impl Copies {
    /// The copies among `drafts`.
    pub(super) fn of(drafts: &[Draft], to: Layer<'_>, from: &[Layer<'_>]) -> Self {
        let mut copies = Vec::new();
        let mut next = 0;
        for draft in drafts {
            match draft {
                Draft::Copy { layer, first, count } => {
                    let (begin, first, count) = (next, *first as usize, *count as usize);
                    next += count;
                    if let Some(old) = from.get(usize::from(*layer)) {
                        let new = to.recipe.start(begin)..to.recipe.start(next);
                        let old = old.recipe.start(first)..old.recipe.start(first + count);
                        copies.push(Copied { new, layer: *layer, old });
                    }
                }
                Draft::Repeat { count, .. } => next += *count as usize,
                Draft::Run { chunks, .. } => next = chunks.end,
            }
        }
        Self(copies)
    }

    /// About `share` bytes of an old file around the place of this `part` of a new one, which is no copy.
    pub(super) fn corresponding(&self, part: Range<u64>, file: &File, old: (u8, &File), share: u64) -> Range<u64> {
        let Between { new, old: bytes } = self.around(&part, file, old);
        let middle = (part.start + (part.end - part.start) / 2).saturating_sub(new.start);
        let middle = u128::from(middle) * u128::from(bytes.end - bytes.start) / u128::from((new.end - new.start).max(1));
        let middle = bytes.start.saturating_add(u64::try_from(middle).unwrap_or(u64::MAX)).min(bytes.end);
        let (_, old) = old;
        let least = bytes.start.saturating_sub(MARGIN).max(old.offset);
        let most = bytes.end.saturating_add(MARGIN).min(old.end());
        let end = middle.saturating_sub(share / 2).max(least).saturating_add(share).min(most);
        end.saturating_sub(share).max(least)..end
    }

    /// The nearest copies from the old file before and behind, or else the begin and the end of both files.
    fn around(&self, part: &Range<u64>, file: &File, (layer, old): (u8, &File)) -> Between {
        let whole = Between { new: file.offset..file.end(), old: old.offset..old.end() };
        let touches = |bytes: &Range<u64>, file: &File| bytes.start < file.end() && bytes.end > file.offset;
        let of_both = |copied: &&Copied| copied.layer == layer && touches(&copied.new, file) && touches(&copied.old, old);
        let behind = self.0.partition_point(|copied| copied.new.end <= part.start);
        let before = behind.checked_sub(1).and_then(|before| self.0.get(before)).filter(of_both);
        let behind = self.0.get(behind).filter(of_both);
        let mut between = whole.clone();
        if let Some(before) = before {
            (between.new.start, between.old.start) = (before.new.end, before.old.end);
        }
        if let Some(behind) = behind {
            (between.new.end, between.old.end) = (behind.new.start, behind.old.start);
        }
        if between.old.start <= between.old.end { between } else { whole }
    }
}

/// Bytes of a new file, and those of the old one in their place.
#[derive(Clone)]
struct Between {
    new: Range<u64>,
    old: Range<u64>,
}

#[cfg(test)]
mod tests {
    use super::super::{Chunk, ChunkId, Recipe};
    use super::*;

    /// A layer of chunks of 100 kB with these names.
    fn recipe(names: &[u8]) -> Recipe {
        Recipe::new(names.iter().map(|name| Chunk { id: ChunkId::of(&[*name]), length: 100_000 }).collect())
    }

    fn corresponding(new: &[u8], old: &[u8], files: [Range<u64>; 2], part: Range<u64>, share: u64) -> Range<u64> {
        let [new, old] = [new, old].map(recipe);
        let layer = |recipe| Layer { recipe, files: &[] };
        let [file, old_file] =
            files.map(|bytes| File { path: b"f".into(), offset: bytes.start, length: bytes.end - bytes.start });
        let drafts = super::super::draft::draft(layer(&new), &[layer(&old)]);
        Copies::of(&drafts, layer(&new), &[layer(&old)]).corresponding(part, &file, (0, &old_file), share)
    }

    #[test]
    fn without_copies_places_are_in_proportion() {
        let found = |part, share| corresponding(b"xxxx", b"yyyyyyyy", [0..400_000, 0..800_000], part, share);
        assert_eq!(found(100_000..200_000, 100_000), 250_000..350_000);
        assert_eq!(found(0..100_000, 300_000), 0..300_000, "all of the share at the begin");
        assert_eq!(found(300_000..400_000, 300_000), 500_000..800_000, "and at the end");
        assert_eq!(found(0..400_000, 9_000_000), 0..800_000, "no more than there is");
    }

    #[test]
    fn copies_say_where_a_run_belongs_and_how_much_is_of_use() {
        let (new, old) = (b"abXcdddddd", b"abpqrcdddddd");
        let files = || [0..1_000_000, 0..1_200_000];
        let found = |share| corresponding(new, old, files(), 200_000..300_000, share);
        assert_eq!(found(100_000), 300_000..400_000);
        assert_eq!(found(2_000_000), 200_000 - MARGIN..500_000 + MARGIN);
        let alone = corresponding(new, old, [200_000..300_000, 200_000..500_000], 200_000..300_000, 2_000_000);
        assert_eq!(alone, 200_000..500_000, "copies of other files say nothing");
        let turned = corresponding(b"bXa", b"apb", [0..300_000, 0..300_000], 100_000..200_000, 100_000);
        assert_eq!(turned, 100_000..200_000, "nor do some that changed places");
    }
}
