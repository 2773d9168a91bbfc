//! What is known of how far things moved: for an address in `old`, how much higher the same thing is in `new`.
//!
//! Addresses are positions counted from the begin of the old window, those of `new` from the begin of the new one, so
//! that targets outside of both windows have one, too. Arithmetic wraps.

use super::matching::Copy;

/// Where a guess comes from, the best first.
pub(super) const SOURCES: usize = 5;

/// Learns shifts as they are coded and guesses the next.
pub(super) struct Shifts {
    /// Shift of every granule of `old` that was copied.
    copied: Vec<Option<i32>>,
    exact: Table,
    near: Table,
    far: Table,
    last: i32,
}

const GRANULE: usize = 5;
const NEAR: u32 = 8;
const FAR: u32 = 13;

impl Shifts {
    /// Knows what was copied where.
    pub(super) fn of(old_len: usize, copies: &[Copy]) -> Self {
        let mut copied = vec![None; (old_len >> GRANULE) + 1];
        for copy in copies {
            let granules = copy.old >> GRANULE..=(copy.old + copy.len - 1) >> GRANULE;
            copied.get_mut(granules).unwrap_or_default().fill(Some((copy.new as i32).wrapping_sub(copy.old as i32)));
        }
        Self { copied, exact: Table::new(14), near: Table::new(12), far: Table::new(10), last: 0 }
    }

    /// By how much `target` may have moved, one guess of each source.
    pub(super) fn guesses(&self, target: i32) -> [Option<Guess>; SOURCES] {
        let copied = usize::try_from(target).ok().and_then(|at| self.copied.get(at >> GRANULE)).copied().flatten();
        let copied = copied.map(|shift| (shift, 0));
        [self.exact.get(target), copied, self.near.get(target >> NEAR), self.far.get(target >> FAR), Some((self.last, 0))]
    }

    /// `target` has moved by `shift`.
    pub(super) fn learn(&mut self, target: i32, shift: i32) {
        self.exact.set(target, shift);
        self.near.set(target >> NEAR, shift);
        self.far.set(target >> FAR, shift);
        self.last = shift;
    }
}

/// A guess, and how often in a row it was right: 0 to 3.
pub(super) type Guess = (i32, u8);

/// A lossy map from numbers to numbers: a later key takes the place of an earlier one.
pub(super) struct Table {
    slots: Vec<(i32, Guess)>,
    bits: u32,
}

impl Table {
    /// Of 2^`bits` places.
    pub(super) fn new(bits: u32) -> Self {
        Self { slots: vec![(i32::MIN, (0, 0)); 1 << bits], bits }
    }

    fn slot(&self, key: i32) -> usize {
        ((key as u32).wrapping_mul(0x9E37_79B1) >> (u32::BITS - self.bits)) as usize
    }

    /// What is held for `key`.
    pub(super) fn get(&self, key: i32) -> Option<Guess> {
        self.slots.get(self.slot(key)).filter(|(held, _)| *held == key).map(|&(_, guess)| guess)
    }

    /// Holds `value` for `key`.
    pub(super) fn set(&mut self, key: i32, value: i32) {
        let slot = self.slot(key);
        if let Some(held) = self.slots.get_mut(slot) {
            let (_, (_, before)) = *held;
            *held = (key, (value, if *held == (key, (value, before)) { (before + 1).min(3) } else { 0 }));
        }
    }
}
