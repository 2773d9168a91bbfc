//! Which patches are kept: a table without a clock or a disk.
//!
//! A patch is known by its key (what it is made of) and by its digest (what nodes pull). The bound is one of bytes, also of
//! patches that are being made; what was used longest ago goes first, and what was used a moment ago does not go at all. A
//! node that is in the middle of a patch may take its time between two pieces of it: its link may be slow, or held. It has
//! to ask again only when there is no other way to make one for somebody else: the same bytes come back.
//!
//! One patch at a time may be larger than the bound. It stands beside it: neither does it wait until all others are gone,
//! which on a busy hub is never, nor do others wait for it.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::id::Digest;
use shared::release::Blob;

/// A patch nobody used for so long may go.
pub(super) const REST: Duration = Duration::from_secs(180);
/// … and one that nodes are in the middle of, when none of them went on for so long.
pub(super) const PINNED_REST: Duration = Duration::from_secs(3600);

/// A patch is compared with its digest at most so often: that takes reading all of it.
const LOOK_AGAIN: Duration = Duration::from_secs(180);

/// What a patch is made of: digest over the format, the old layers and the new one.
pub(super) type Key = Digest;

/// A patch that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    /// Which.
    pub(super) key: Key,
    /// diff_id of the layer it makes.
    pub(super) to: Digest,
    /// Its bytes.
    pub(super) blob: Blob,
}

#[derive(Debug)]
struct Entry {
    kept: Kept,
    /// When it was used last; `None` when that was before the hub started.
    used: Option<Duration>,
    /// The order of uses.
    turn: u64,
    /// When its file was compared with its digest, or written; `None`: not since the hub started.
    looked: Option<Duration>,
    /// Somebody read it to its end since.
    read_out: bool,
}

impl Entry {
    /// Whether nobody used it for so long.
    fn is_rested(&self, rest: Duration, now: Duration) -> bool {
        self.used.is_none_or(|used| now.saturating_sub(used) >= rest)
    }
}

/// All patches that are there.
#[derive(Debug)]
pub(super) struct Shelf {
    by_key: BTreeMap<Key, Entry>,
    by_digest: BTreeMap<Digest, Key>,
    /// How many are in the middle of a patch, by its digest.
    pins: BTreeMap<Digest, usize>,
    max: u64,
    bytes: u64,
    /// Bytes of patches that are being made within the bound.
    reserved: u64,
    /// Bytes of the one that is being made beside it; 0: there is none.
    beside: u64,
    turns: u64,
}

impl Shelf {
    /// An empty one for at most `max` bytes.
    pub(super) const fn new(max: u64) -> Self {
        Self {
            by_key: BTreeMap::new(),
            by_digest: BTreeMap::new(),
            pins: BTreeMap::new(),
            max,
            bytes: 0,
            reserved: 0,
            beside: 0,
            turns: 0,
        }
    }

    /// Bytes of all patches.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Patches that somebody is in the middle of.
    pub(super) fn pinned(&self) -> usize {
        self.pins.len()
    }

    /// Adds a patch that was made before the hub started; the oldest first.
    pub(super) fn restore(&mut self, kept: Kept) {
        self.insert(kept, None);
    }

    /// Adds a patch that is used now, in place of the `held` bytes that were reserved for it.
    pub(super) fn add(&mut self, kept: Kept, held: u64, now: Duration) {
        self.give_back(held);
        self.insert(kept, Some(now));
    }

    fn insert(&mut self, kept: Kept, used: Option<Duration>) {
        self.remove(&kept.key);
        self.turns += 1;
        self.bytes += kept.blob.size;
        self.by_digest.insert(kept.blob.digest, kept.key);
        self.by_key.insert(kept.key, Entry { kept, used, turn: self.turns, looked: used, read_out: false });
    }

    /// The patch of this key, which is used now, and when it was used before.
    pub(super) fn find(&mut self, key: &Key, now: Duration) -> Option<(Kept, Option<Duration>)> {
        self.turns += 1;
        let entry = self.by_key.get_mut(key)?;
        entry.turn = self.turns;
        Some((entry.kept, entry.used.replace(now)))
    }

    /// Whether the file of this patch is to be compared with its digest before it is given to anybody: it never was since the
    /// hub started; or somebody had all of it, and it is asked for once more. Most likely that is another node, but it may be
    /// the same one, for which it did not fit: then the disk has spoilt it meanwhile.
    pub(super) fn is_due(&self, key: &Key, now: Duration) -> bool {
        let is_old = |at: Duration| now.saturating_sub(at) >= LOOK_AGAIN;
        self.by_key.get(key).is_none_or(|entry| entry.looked.is_none_or(|at| entry.read_out && is_old(at)))
    }

    /// Its file fits its digest.
    pub(super) fn fits(&mut self, key: &Key, now: Duration) {
        if let Some(entry) = self.by_key.get_mut(key) {
            (entry.looked, entry.read_out) = (Some(now), false);
        }
    }

    /// Somebody read the patch of this digest to its end.
    pub(super) fn read_out(&mut self, digest: &Digest) {
        if let Some(entry) = self.by_digest.get(digest).and_then(|key| self.by_key.get_mut(key)) {
            entry.read_out = true;
        }
    }

    /// The patch of this digest, which is used now.
    pub(super) fn pulled(&mut self, digest: &Digest, now: Duration) -> Option<Kept> {
        let key = *self.by_digest.get(digest)?;
        self.find(&key, now).map(|(kept, _)| kept)
    }

    /// The patch of this digest.
    pub(super) fn of(&self, digest: &Digest) -> Option<Kept> {
        self.by_key.get(self.by_digest.get(digest)?).map(|entry| entry.kept)
    }

    /// Reserves `size` bytes in place of `held` ones, and takes out what must go for that; `None`, and nothing changes, when
    /// what is in use leaves too little room. What is larger than the bound is reserved beside it, one at a time: without
    /// such a patch its layer would reach no node.
    pub(super) fn reserve(&mut self, held: u64, size: u64, now: Duration) -> Option<Vec<Kept>> {
        if self.is_large(size) {
            return self.reserve_beside(held, size, now);
        }
        let (large, others): (Vec<&Entry>, Vec<&Entry>) =
            self.by_key.values().partition(|entry| self.is_large(entry.kept.blob.size));
        // Beside the bound a patch stays no longer than it is used.
        let mut going: Vec<Kept> = large.iter().filter(|entry| self.is_idle(entry, now)).map(|entry| entry.kept).collect();
        let reserved = self.reserved.saturating_sub(held);
        let mut left = others.iter().fold(reserved, |bytes, entry| bytes.saturating_add(entry.kept.blob.size));
        for entry in self.yielding(others, now) {
            if left.saturating_add(size) <= self.max {
                break;
            }
            left -= entry.kept.blob.size;
            going.push(entry.kept);
        }
        if left.saturating_add(size) > self.max {
            return None;
        }
        going.iter().for_each(|kept| self.remove(&kept.key));
        self.reserved = reserved.saturating_add(size);
        Some(going)
    }

    /// What gives way, in this order: what nobody uses, then what a node is in the middle of and did not go on with.
    fn yielding<'e>(&self, entries: Vec<&'e Entry>, now: Duration) -> impl Iterator<Item = &'e Entry> {
        let rested = entries.into_iter().filter(|entry| entry.is_rested(REST, now));
        let (mut idle, mut asleep): (Vec<&Entry>, Vec<&Entry>) = rested.partition(|entry| self.is_idle(entry, now));
        idle.sort_by_key(|entry| entry.turn);
        asleep.sort_by_key(|entry| entry.turn);
        idle.into_iter().chain(asleep)
    }

    fn reserve_beside(&mut self, held: u64, size: u64, now: Duration) -> Option<Vec<Kept>> {
        if self.is_large(held) {
            self.beside = size;
            return Some(Vec::new());
        }
        let large: Vec<&Entry> = self.by_key.values().filter(|entry| self.is_large(entry.kept.blob.size)).collect();
        if self.beside > 0 || !large.iter().all(|entry| entry.is_rested(REST, now)) {
            return None;
        }
        let going: Vec<Kept> = large.iter().map(|entry| entry.kept).collect();
        going.iter().for_each(|kept| self.remove(&kept.key));
        self.give_back(held);
        self.beside = size;
        Some(going)
    }

    /// Whether so many bytes never fit within the bound.
    const fn is_large(&self, size: u64) -> bool {
        size > self.max
    }

    /// Gives back what was reserved and is not used.
    pub(super) fn give_back(&mut self, held: u64) {
        if self.is_large(held) {
            self.beside = 0;
        } else {
            self.reserved = self.reserved.saturating_sub(held);
        }
    }

    /// Somebody is in the middle of the patch of this digest; `false` when there is none.
    pub(super) fn pin(&mut self, digest: &Digest) -> bool {
        let is_there = self.by_digest.contains_key(digest);
        if is_there {
            *self.pins.entry(*digest).or_default() += 1;
        }
        is_there
    }

    /// One less is in the middle of it.
    pub(super) fn unpin(&mut self, digest: &Digest) {
        if let Some(count) = self.pins.get_mut(digest) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(digest);
            }
        }
    }

    fn is_idle(&self, entry: &Entry, now: Duration) -> bool {
        let rest = if self.pins.contains_key(&entry.kept.blob.digest) { PINNED_REST } else { REST };
        entry.is_rested(rest, now)
    }

    /// Takes out the patch that was used longest ago, if it is not in use.
    pub(super) fn take_idle(&mut self, now: Duration) -> Option<Kept> {
        let kept = self.by_key.values().filter(|entry| self.is_idle(entry, now)).min_by_key(|entry| entry.turn)?.kept;
        self.remove(&kept.key);
        Some(kept)
    }

    /// Takes out the patches that make layers which nobody needs, but for those in use.
    pub(super) fn take_unneeded(&mut self, is_needed: impl Fn(&Digest) -> bool, now: Duration) -> Vec<Kept> {
        let idle = self.by_key.values().filter(|entry| self.is_idle(entry, now) && !is_needed(&entry.kept.to));
        let going: Vec<Kept> = idle.map(|entry| entry.kept).collect();
        going.iter().for_each(|kept| self.remove(&kept.key));
        going
    }

    /// Takes out one patch.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.kept.blob.size;
            self.by_digest.remove(&entry.kept.blob.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(n: u8, size: u64) -> Kept {
        let digest = |salt| Digest::of(&[n, salt]);
        Kept { key: digest(0), to: digest(1), blob: Blob { digest: digest(2), size } }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Room for so many bytes, which nobody uses then.
    fn room(shelf: &mut Shelf, size: u64, now: Duration) -> Option<Vec<Kept>> {
        let going = shelf.reserve(0, size, now)?;
        shelf.give_back(size);
        Some(going)
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let mut shelf = Shelf::new(100);
        for n in 1..=4 {
            shelf.restore(kept(n, 25));
        }
        assert_eq!(room(&mut shelf, 0, at(0)), Some(vec![]));
        assert_eq!(shelf.find(&kept(1, 25).key, at(1)), Some((kept(1, 25), None)));
        assert_eq!(shelf.find(&kept(1, 25).key, at(2)), Some((kept(1, 25), Some(at(1)))));
        assert_eq!(room(&mut shelf, 40, at(200)), Some(vec![kept(2, 25), kept(3, 25)]));
        shelf.add(kept(5, 40), 0, at(200));
        assert_eq!(
            (shelf.bytes(), shelf.of(&kept(2, 25).blob.digest), shelf.of(&kept(4, 25).blob.digest)),
            (90, None, Some(kept(4, 25)))
        );
        shelf.add(kept(5, 40), 0, at(201));
        assert_eq!(shelf.bytes(), 90, "the same again");
    }

    #[test]
    fn a_patch_is_looked_at_after_a_start_and_when_somebody_had_all_of_it() {
        let mut shelf = Shelf::new(100);
        let patch = kept(1, 60);
        shelf.restore(patch);
        assert!(shelf.is_due(&patch.key, at(0)) && shelf.is_due(&patch.key, at(0)), "until it was found to fit");
        shelf.fits(&patch.key, at(1));
        assert!(!shelf.is_due(&patch.key, at(1000)), "nobody had it");
        shelf.read_out(&patch.blob.digest);
        assert!(!shelf.is_due(&patch.key, at(180)) && shelf.is_due(&patch.key, at(181)), "not for every node");
        shelf.fits(&patch.key, at(181));
        assert!(!shelf.is_due(&patch.key, at(1000)));
        shelf.add(patch, 0, at(1000));
        assert!(!shelf.is_due(&patch.key, at(2000)), "it was written just now");
    }

    #[test]
    fn what_is_pulled_stays() {
        let mut shelf = Shelf::new(100);
        shelf.add(kept(1, 60), 0, at(0));
        shelf.add(kept(2, 30), 0, at(0));
        assert_eq!(room(&mut shelf, 50, at(100)), None, "both are in use");
        assert_eq!(shelf.pulled(&kept(1, 60).blob.digest, at(170)), Some(kept(1, 60)));
        assert_eq!(room(&mut shelf, 50, at(180)), None, "the second one is not enough, so it stays");
        assert_eq!(room(&mut shelf, 35, at(180)), Some(vec![kept(2, 30)]));
        assert_eq!(room(&mut shelf, 50, at(350)), Some(vec![kept(1, 60)]));
        assert_eq!((shelf.bytes(), shelf.pulled(&kept(1, 60).blob.digest, at(350))), (0, None));
    }

    #[test]
    fn for_a_full_disk_the_oldest_goes_and_none_in_use() {
        let mut shelf = Shelf::new(100);
        shelf.restore(kept(1, 10));
        shelf.restore(kept(2, 10));
        shelf.add(kept(3, 10), 0, at(0));
        let taken: Vec<_> = (0..3).map(|_| shelf.take_idle(at(100))).collect();
        assert_eq!(taken, [Some(kept(1, 10)), Some(kept(2, 10)), None]);
        assert_eq!((shelf.bytes(), shelf.take_idle(at(180))), (10, Some(kept(3, 10))));
    }

    #[test]
    fn patches_of_layers_that_nobody_needs_go_when_nobody_pulls_them() {
        let mut shelf = Shelf::new(100);
        shelf.restore(kept(1, 10));
        shelf.restore(kept(2, 10));
        shelf.add(kept(3, 10), 0, at(0));
        let needed = |to: &Digest| *to == kept(2, 0).to;
        assert_eq!(shelf.take_unneeded(needed, at(1)), [kept(1, 10)]);
        assert_eq!(shelf.take_unneeded(needed, at(180)), [kept(3, 10)]);
        assert_eq!(shelf.bytes(), 10);
    }

    #[test]
    fn one_that_is_too_large_stands_beside_the_bound() {
        let mut shelf = Shelf::new(100);
        shelf.add(kept(1, 10), 0, at(0));
        assert_eq!(shelf.reserve(0, 60, at(0)), Some(vec![]));
        assert_eq!(shelf.reserve(0, 500, at(0)), Some(vec![]), "whatever else is in use");
        assert_eq!(shelf.reserve(500, 600, at(0)), Some(vec![]));
        assert_eq!(shelf.reserve(60, 101, at(0)), None, "one at a time");
        assert_eq!(room(&mut shelf, 30, at(0)), Some(vec![]), "the others do not notice");
        assert_eq!(room(&mut shelf, 31, at(0)), None, "nor have they more room");
        shelf.add(kept(2, 550), 600, at(0));
        assert_eq!((room(&mut shelf, 30, at(1)), room(&mut shelf, 31, at(1))), (Some(vec![]), None));
        assert_eq!(room(&mut shelf, 101, at(179)), None, "nodes pull it");
        assert_eq!(shelf.reserve(60, 101, at(180)), Some(vec![kept(2, 550)]), "one that grows beyond the bound takes the place");
        assert_eq!((shelf.reserved, shelf.beside), (0, 101));
        shelf.give_back(101);
        shelf.add(kept(3, 500), 0, at(200));
        assert_eq!(room(&mut shelf, 10, at(379)), Some(vec![]));
        assert_eq!(room(&mut shelf, 10, at(380)), Some(vec![kept(3, 500)]), "and stays no longer than it is used");
        assert_eq!((shelf.bytes(), shelf.reserved, shelf.beside), (10, 0, 0));
    }

    #[test]
    fn a_patch_that_a_node_is_in_the_middle_of_waits_for_its_link() {
        let mut shelf = Shelf::new(100);
        shelf.restore(kept(2, 30));
        shelf.add(kept(1, 60), 0, at(0));
        let digest = kept(1, 60).blob.digest;
        assert!(shelf.pin(&digest) && shelf.pin(&digest) && !shelf.pin(&kept(9, 1).blob.digest));
        assert_eq!(room(&mut shelf, 50, at(179)), None, "used a moment ago");
        assert_eq!(shelf.take_unneeded(|to| *to == kept(2, 0).to, at(3599)), []);
        assert_eq!(room(&mut shelf, 40, at(3599)), Some(vec![kept(2, 30)]), "the one that nobody is in the middle of goes first");
        assert_eq!(shelf.take_idle(at(3599)), None);
        // Made again meanwhile, it is still pinned; and nobody pins what is not there.
        shelf.add(kept(1, 60), 0, at(10));
        assert_eq!(shelf.take_idle(at(3600)), None);
        shelf.unpin(&digest);
        assert_eq!(shelf.take_idle(at(3600)), None, "another one is");
        shelf.unpin(&digest);
        assert_eq!(room(&mut shelf, 50, at(189)), None, "used a moment ago");
        assert_eq!(room(&mut shelf, 50, at(190)), Some(vec![kept(1, 60)]));
        assert!(shelf.pins.is_empty());
        shelf.add(kept(2, 60), 0, at(0));
        shelf.pin(&kept(2, 60).blob.digest);
        assert_eq!(shelf.take_idle(at(3600)), Some(kept(2, 60)), "nobody waits for ever");
    }

    #[test]
    fn a_node_that_sleeps_does_not_keep_the_room_from_others() {
        let mut shelf = Shelf::new(100);
        shelf.add(kept(1, 60), 0, at(0));
        shelf.add(kept(2, 30), 0, at(100));
        for n in [1, 2] {
            shelf.pin(&kept(n, 0).blob.digest);
        }
        assert_eq!(room(&mut shelf, 50, at(179)), None);
        assert_eq!(room(&mut shelf, 80, at(180)), None, "it would not be enough, so it stays");
        assert_eq!(room(&mut shelf, 50, at(180)), Some(vec![kept(1, 60)]));
        shelf.add(kept(1, 60), 0, at(190));
        shelf.unpin(&kept(1, 0).blob.digest);
        assert!(shelf.pins.contains_key(&kept(2, 0).blob.digest) && !shelf.pins.contains_key(&kept(1, 0).blob.digest));
    }

    #[test]
    fn patches_that_are_being_made_share_the_room() {
        let mut shelf = Shelf::new(100);
        shelf.restore(kept(1, 30));
        assert_eq!(shelf.reserve(0, 50, at(0)), Some(vec![]));
        assert_eq!(shelf.reserve(0, 40, at(0)), Some(vec![kept(1, 30)]), "two at once");
        assert_eq!(shelf.reserve(0, 20, at(0)), None);
        assert_eq!(shelf.reserve(50, 60, at(0)), Some(vec![]), "one grows");
        assert_eq!(shelf.reserve(60, 61, at(0)), None);
        shelf.add(kept(2, 55), 60, at(0));
        assert_eq!((shelf.bytes, shelf.reserved), (55, 40));
        assert_eq!(shelf.reserve(0, 6, at(0)), None);
        shelf.give_back(40);
        assert_eq!(shelf.reserve(0, 45, at(0)), Some(vec![]));
    }
}
