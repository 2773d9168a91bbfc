//! Which parts of `new` are copies of which parts of `old`, changed bytes tolerated.
//!
//! As bsdiff does it (a copy goes on while its alignment is not clearly beaten, and grows at both ends while more than
//! half of its bytes agree), but with an index of hashed seeds in place of a suffix array, and on skeletons: with
//! displacements out of the way, moved code is an exact match of whole functions.

/// `len` bytes of `new` from `new` on come from `old` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) new: usize,
    pub(super) old: usize,
    pub(super) len: usize,
}

/// Shortest copy. It bounds how many there can be.
pub(super) const SHORTEST: usize = 16;

/// Bytes of a seed. 12 find more copies and make larger bodies: more of them are by chance.
const SEED: usize = 16;
/// If [`MOST`] of the next [`FEW`] bytes agree, too.
const FEW: usize = 32;
const MOST: usize = 26;
/// Seeds of the same hash that are looked at.
const TRIES: usize = 8;
/// Of so many seeds one is looked at.
const SAMPLE: u64 = 4;
/// By how many bytes an other alignment must be better.
const BETTER: usize = 8;
/// A match of this length is taken without looking for an other one.
const GOOD: usize = 24;

/// The copies, in order of `new`, none overlapping another there. Both arguments are skeletons.
pub(super) fn copies(old: &[u8], new: &[u8]) -> Vec<Copy> {
    let index = Index::of(old);
    let mut copies = Copies { old, new, done: Vec::new(), current: Copy { new: 0, old: 0, len: 0 } };
    let mut at = 0;
    while at < new.len() {
        let here = copies.aligned(at).map_or(0, |old_at| common(old, old_at, new, at));
        if here >= GOOD {
            at += here;
            copies.reaches(at);
            continue;
        }
        if copies.mostly(at) {
            at += here + 1;
            copies.reaches(at);
            continue;
        }
        let Some((other, len)) = index.longest(old, new, at) else {
            at += here.max(1);
            if here >= SEED {
                copies.reaches(at);
            }
            continue;
        };
        let agreeing = copies.agreeing(at, len);
        if agreeing == len {
            at += len;
            copies.reaches(at);
        } else if len > agreeing + BETTER {
            copies.turn(Copy { new: at, old: other, len });
            at += len;
        } else {
            at += 1;
        }
    }
    copies.turn(Copy { new: new.len(), old: 0, len: 0 });
    copies.done
}

/// Equal bytes from these places on.
fn common(old: &[u8], old_at: usize, new: &[u8], new_at: usize) -> usize {
    let (Some(old), Some(new)) = (old.get(old_at..), new.get(new_at..)) else { return 0 };
    let words = old.chunks_exact(8).zip(new.chunks_exact(8)).take_while(|(a, b)| a == b).count() * 8;
    let (Some(old), Some(new)) = (old.get(words..), new.get(words..)) else { return words };
    words + old.iter().zip(new).take(8).take_while(|(a, b)| a == b).count()
}

/// What is decided and the copy that is still growing.
struct Copies<'a> {
    old: &'a [u8],
    new: &'a [u8],
    done: Vec<Copy>,
    current: Copy,
}

impl Copies<'_> {
    /// Where `at` comes from if the current copy goes on.
    fn aligned(&self, at: usize) -> Option<usize> {
        let old_at = self.current.old + (at - self.current.new);
        (self.current.len > 0 && old_at < self.old.len()).then_some(old_at)
    }

    /// The current copy is good up to `at`.
    fn reaches(&mut self, at: usize) {
        self.current.len = at - self.current.new;
    }

    /// Whether the current copy may go on without a look at others.
    fn mostly(&self, at: usize) -> bool {
        let whole = |old_at| at + FEW <= self.new.len() && old_at + FEW <= self.old.len();
        self.aligned(at).is_some_and(whole) && self.agreeing(at, FEW) >= MOST
    }

    /// How many of `len` bytes agree if the current copy goes on.
    fn agreeing(&self, at: usize, len: usize) -> usize {
        let Some(old) = self.aligned(at).and_then(|old_at| self.old.get(old_at..)) else { return 0 };
        let new = self.new.get(at..at + len).unwrap_or_default();
        old.iter().zip(new).filter(|(a, b)| a == b).count()
    }

    /// Ends the current copy and begins with `next`; both grow into the gap between them.
    fn turn(&mut self, mut next: Copy) {
        let end = self.current.new + self.current.len;
        let gap = next.new - end;
        let (mut forward, mut backward) = (0, 0);
        if self.current.len > 0 {
            let old = self.old.get(self.current.old + self.current.len..).unwrap_or_default();
            let new = self.new.get(end..next.new).unwrap_or_default();
            forward = growth(old.iter().zip(new));
        }
        if next.len > 0 {
            let old = self.old.get(..next.old).unwrap_or_default();
            let new = self.new.get(end..next.new).unwrap_or_default();
            backward = growth(old.iter().rev().zip(new.iter().rev()));
        }
        if forward + backward > gap {
            let overlap = forward + backward - gap;
            let kept = self.split(next, end + forward - overlap, overlap);
            forward = forward - overlap + kept;
            backward = gap - forward;
        }
        self.current.len += forward;
        if self.current.len >= SHORTEST {
            self.done.push(self.current);
        }
        next = Copy { new: next.new - backward, old: next.old - backward, len: next.len + backward };
        self.current = next;
    }

    /// How many of the `overlap` bytes from `at` on the current copy keeps, so that most agree.
    fn split(&self, next: Copy, at: usize, overlap: usize) -> usize {
        let ours = self.aligned(at).and_then(|from| self.old.get(from..)).unwrap_or_default();
        let theirs = self.old.get((next.old + at).saturating_sub(next.new)..).unwrap_or_default();
        let new = self.new.get(at..at + overlap).unwrap_or_default();
        let (mut score, mut best, mut kept) = (0i32, 0i32, 0);
        for (done, ((ours, theirs), byte)) in ours.iter().zip(theirs).zip(new).enumerate() {
            score += i32::from(ours == byte) - i32::from(theirs == byte);
            if score > best {
                (best, kept) = (score, done + 1);
            }
        }
        kept
    }
}

/// How far a copy grows over these pairs of bytes so that the most of them agree and the fewest do not.
fn growth<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> usize {
    let (mut score, mut best, mut length) = (0i32, 0i32, 0);
    for (done, (old, new)) in pairs.enumerate() {
        score += if old == new { 1 } else { -1 };
        if score > best {
            (best, length) = (score, done + 1);
        }
    }
    length
}

/// Places of `old` by the hash of the seed that begins there: of each hash the last few, the last first.
///
/// Only every fourth seed is in it, and their bytes say which: so `new` is asked about those only, and both take a quarter of
/// the waiting for memory that makes up most of their time. All seeds made patches 3 % smaller.
struct Index {
    places: Vec<[u32; TRIES]>,
    bits: u32,
}

const NONE: u32 = u32::MAX;

impl Index {
    fn of(old: &[u8]) -> Self {
        let bits = (old.len() / (SAMPLE as usize * TRIES)).next_power_of_two().ilog2().clamp(5, 17);
        let mut places = vec![[NONE; TRIES]; 1 << bits];
        let mut before = None;
        for (at, seed) in old.windows(SEED).enumerate() {
            let Some(hash) = sampled(seed) else { continue };
            // Of a run of one byte the begin is enough, which gives the longest match.
            if before.replace(hash) == Some(hash) {
                continue;
            }
            if let Some(places) = places.get_mut(slot(hash, bits)) {
                places.rotate_right(1);
                *places.first_mut().unwrap_or(&mut 0) = at as u32;
            }
        }
        Self { places, bits }
    }

    /// The place of the longest match with `new` from `at` on, and its length.
    fn longest(&self, old: &[u8], new: &[u8], at: usize) -> Option<(usize, usize)> {
        let hash = sampled(new.get(at..at + SEED)?)?;
        let mut best: Option<(usize, usize)> = None;
        for place in self.places.get(slot(hash, self.bits))?.iter().take_while(|place| **place != NONE) {
            let old_at = *place as usize;
            let len = common(old, old_at, new, at);
            if len >= SEED && best.is_none_or(|(_, longest)| len > longest) {
                best = Some((old_at, len));
            }
        }
        best
    }
}

fn slot(hash: u64, bits: u32) -> usize {
    (hash >> (u64::BITS - bits)) as usize
}

/// The hash of a seed, if it is one of those that are looked at.
fn sampled(seed: &[u8]) -> Option<u64> {
    let (a, b) = (seed.first_chunk::<8>()?, seed.last_chunk::<8>()?);
    let mixed = u64::from_le_bytes(*a).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from_le_bytes(*b).rotate_left(29);
    let hash = mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93);
    // Its low bits depend on few bytes only.
    (hash ^ hash >> 32).is_multiple_of(SAMPLE).then_some(hash)
}
