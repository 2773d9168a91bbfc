//! What the coded part of a body says, and how probable it is held to be.

use super::coder::{Chance, Coder, Number, tree};
use super::matching::{Copy, SHORTEST};
use super::shifts::{Guess, SOURCES, Shifts, Table};
use super::sites::{self, Kind, WIDTH};

/// A place in the copies where `old` plus the shifts is not `new`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fix {
    /// Copied bytes that are no displacements, between the fix before and this one.
    pub(super) gap: u32,
    /// Whether a word is changed; else a byte.
    pub(super) wide: bool,
    /// What is added to the word or byte.
    pub(super) delta: i32,
}

/// The gap of the fix after the last.
const NEVER: u32 = u32::MAX;

/// Codes the copies: of `truth` if writing, else those in the body, at most `size` bytes. None if they are impossible.
pub(super) fn copies(coder: &mut impl Coder, truth: &[Copy], old_len: usize, size: usize) -> Option<Vec<Copy>> {
    let [mut skips, mut lens] = [Number::NEW, Number::NEW];
    let mut jumps = [Number::NEW, Number::NEW];
    let mut count = Number::NEW;
    let count = count.code(coder, truth.len() as u32) as usize;
    if count > size / SHORTEST {
        return None;
    }
    let mut read: Vec<Copy> = Vec::with_capacity(count);
    let (mut end, mut old_end) = (0usize, 0usize);
    for at in 0..count {
        let copy = truth.get(at).copied().unwrap_or(Copy { new: 0, old: 0, len: 0 });
        let skip = skips.code(coder, copy.new.wrapping_sub(end) as u32) as usize;
        let expected = old_end.wrapping_add(skip) as i32;
        let jump = jumps.get_mut(usize::from(skip == 0))?.signed(coder, (copy.old as i32).wrapping_sub(expected));
        let len = lens.code(coder, copy.len.wrapping_sub(SHORTEST) as u32) as usize;

        let new = end.checked_add(skip)?;
        let old = usize::try_from(expected.wrapping_add(jump)).ok()?;
        let len = len.checked_add(SHORTEST)?;
        end = new.checked_add(len).filter(|end| *end <= size)?;
        old_end = old.checked_add(len).filter(|end| *end <= old_len)?;
        read.push(Copy { new, old, len });
    }
    Some(read)
}

/// The fixes that the copies need.
pub(super) fn fixes(old: &[u8], new: &[u8], copies: &[Copy]) -> Vec<Fix> {
    let mut fixes = Vec::new();
    let mut habits = Habits::new();
    let mut gap = 0;
    for copy in copies {
        let (Some(from), Some(to)) = (old.get(copy.old..copy.old + copy.len), new.get(copy.new..copy.new + copy.len)) else {
            continue;
        };
        let mut at = 0;
        let mut site = sites::next(from, at);
        loop {
            if site.is_some_and(|(start, _)| start < at) {
                site = sites::next(from, at);
            }
            let stop = site.map_or(copy.len, |(at, _)| at);
            let same = equal(from, to, at, stop);
            gap += same;
            at += same;
            if at < stop {
                let early = early(&habits, from, to, at, gap, same);
                (at, gap) = (at - early, gap - early);
                habits.learn_gap(gap as i32);
                let (was, is) = (word(from, at), word(to, at));
                let delta = is.wrapping_sub(was);
                let changed = (was ^ is).to_le_bytes().iter().filter(|byte| **byte != 0).count();
                let wide = delta.unsigned_abs() < 1 << 24 || changed >= 3 || habits.expect(was, delta);
                fixes.push(Fix { gap: gap as u32, wide, delta: if wide { delta } else { delta & 0xFF } });
                if wide {
                    habits.learn_delta(was, delta);
                }
                gap = 0;
                at += if wide { WIDTH.min(copy.len - at) } else { 1 };
            } else if site.is_some() {
                at += WIDTH;
            } else {
                break;
            }
        }
    }
    fixes
}

/// How many bytes before the first changed one, which is at `at`, the word begins that is changed: up to three, if
/// that makes it a habit.
fn early(habits: &Habits, from: &[u8], to: &[u8], at: usize, gap: usize, same: usize) -> usize {
    let guesses = habits.gap_guesses();
    let early = guesses.iter().flatten().find_map(|&(guess, trust)| {
        let early = gap.checked_sub(usize::try_from(guess).ok()?).filter(|early| *early < WIDTH && *early <= same)?;
        let was = word(from, at - early);
        (trust >= 3 && guess >= 8 || habits.expect(was, word(to, at - early).wrapping_sub(was))).then_some(early)
    });
    early.unwrap_or_default()
}

/// How many bytes from `at` to `stop` are equal.
fn equal(old: &[u8], new: &[u8], at: usize, stop: usize) -> usize {
    let (Some(old), Some(new)) = (old.get(at..stop), new.get(at..stop)) else { return 0 };
    old.iter().zip(new).take_while(|(a, b)| a == b).count()
}

/// The little-endian word at `at`, as far as there are bytes.
fn word(bytes: &[u8], at: usize) -> i32 {
    let mut word = [0; WIDTH];
    for (to, from) in word.iter_mut().zip(bytes.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    i32::from_le_bytes(word)
}

fn put(bytes: &mut [u8], at: usize, word: i32) {
    for (to, from) in bytes.get_mut(at..).unwrap_or_default().iter_mut().zip(word.to_le_bytes()) {
        *to = from;
    }
}

/// Fills the copies into `out`: a writer's `out` is what is to come out, and stays so.
pub(super) fn patch(coder: &mut impl Coder, old: &[u8], out: &mut [u8], copies: &[Copy], fixes: &[Fix]) {
    let mut moved = Moved::new(Shifts::of(old.len(), copies));
    let mut changed = Changed::new();
    let mut fixes = fixes.iter().copied();
    let mut fix = fixes.next();
    let mut gap = changed.gap(coder, fix);
    for copy in copies {
        let (Some(from), Some(to)) = (old.get(copy.old..copy.old + copy.len), out.get_mut(copy.new..copy.new + copy.len)) else {
            continue;
        };
        let mut at = 0;
        let mut site = sites::next(from, at);
        loop {
            if site.is_some_and(|(start, _)| start < at) {
                site = sites::next(from, at);
            }
            let stop = site.map_or(copy.len, |(at, _)| at);
            let same = (stop - at).min(gap as usize);
            if let (Some(from), Some(to)) = (from.get(at..at + same), to.get_mut(at..at + same)) {
                to.copy_from_slice(from);
            }
            gap -= same as u32;
            at += same;
            if at < stop {
                at += changed.code(coder, from, to, at, fix);
                fix = fixes.next();
                gap = changed.gap(coder, fix);
            } else if let Some((_, kind)) = site {
                let place = Place { old: (copy.old + at + WIDTH) as i32, new: (copy.new + at + WIDTH) as i32, kind };
                let is = moved.code(coder, place, word(from, at), word(to, at));
                put(to.get_mut(..at + WIDTH).unwrap_or_default(), at, is);
                at += WIDTH;
            } else {
                break;
            }
        }
    }
}

/// Where a displacement is counted from.
#[derive(Clone, Copy)]
struct Place {
    old: i32,
    new: i32,
    kind: Kind,
}

/// The model of displacements.
struct Moved {
    shifts: Shifts,
    /// By source, kind and what became of the two guesses before.
    first: [[[Chance; 16]; 3]; SOURCES + 1],
    later: [[Chance; SOURCES + 1]; SOURCES + 1],
    unknown: Number,
    history: usize,
}

impl Moved {
    const fn new(shifts: Shifts) -> Self {
        Self {
            shifts,
            first: [[[Chance::EVEN; 16]; 3]; SOURCES + 1],
            later: [[Chance::EVEN; SOURCES + 1]; SOURCES + 1],
            unknown: Number::NEW,
            history: 0,
        }
    }

    /// The displacement in `new` at `place` that was `was` in `old`; a writer says that it `is`.
    fn code(&mut self, coder: &mut impl Coder, place: Place, was: i32, is: i32) -> i32 {
        let target = place.old.wrapping_add(was);
        let shift = self.shift(coder, place, target, place.new.wrapping_add(is).wrapping_sub(target));
        self.shifts.learn(target, shift);
        target.wrapping_add(shift).wrapping_sub(place.new)
    }

    fn shift(&mut self, coder: &mut impl Coder, place: Place, target: i32, shift: i32) -> i32 {
        let [exact, copied, near, far, last] = self.shifts.guesses(target);
        let unchanged = Some((place.new.wrapping_sub(place.old), 0));
        let guesses = [exact, copied, near, far, last, unchanged];
        let mut best = None;
        for (source, guess) in guesses.into_iter().enumerate() {
            let Some((guess, trust)) = guess else { continue };
            if guesses.iter().take(source).flatten().any(|(earlier, _)| *earlier == guess) {
                continue;
            }
            let context = usize::from(trust) << 2 | self.history;
            let chance = match best {
                None => self.first.get_mut(source).and_then(|first| first.get_mut(place.kind as usize)?.get_mut(context)),
                Some((first, _)) => self.later.get_mut(first).and_then(|later: &mut [Chance; SOURCES + 1]| later.get_mut(source)),
            };
            let Some(chance) = chance else { continue };
            let wrong = coder.bit(chance, shift != guess);
            if best.is_none() {
                self.history = self.history << 1 & 3 | usize::from(wrong);
            }
            if !wrong {
                return guess;
            }
            best = best.or(Some((source, guess)));
        }
        let (_, guess) = best.unwrap_or_default();
        guess.wrapping_add(self.unknown.signed(coder, shift.wrapping_sub(guess)))
    }
}

/// What is learnt from fixes: how far apart they are and what they add.
struct Habits {
    /// The last gaps, the latest first.
    gaps: [i32; 2],
    after_gaps: Table,
    after_gap: Table,
    /// The last additions, the latest first.
    recent: [i32; 4],
    /// Additions by the word they are added to, by its neighbourhood, and by what was there before them.
    same: Table,
    near: Table,
    after_delta: Table,
    at_gap: Table,
}

/// Guesses of the next gap.
const GAPS: usize = 4;
/// Guesses of what is added.
const DELTAS: usize = 8;

impl Habits {
    fn new() -> Self {
        Self {
            gaps: [0; 2],
            after_gaps: Table::new(12),
            after_gap: Table::new(10),
            recent: [0; 4],
            same: Table::new(13),
            near: Table::new(12),
            after_delta: Table::new(12),
            at_gap: Table::new(10),
        }
    }

    fn gap_guesses(&self) -> [Option<Guess>; GAPS] {
        let [last, before] = self.gaps;
        [self.after_gaps.get(both(last, before)), self.after_gap.get(last), Some((before, 0)), Some((last, 0))]
    }

    fn learn_gap(&mut self, gap: i32) {
        let [last, before] = self.gaps;
        self.after_gaps.set(both(last, before), gap);
        self.after_gap.set(last, gap);
        self.gaps = [gap, last];
    }

    fn delta_guesses(&self, was: i32) -> [Option<Guess>; DELTAS] {
        let [a, b, c, d] = self.recent;
        let [gap, _] = self.gaps;
        [
            self.same.get(was),
            self.after_delta.get(both(gap, a)),
            self.at_gap.get(gap),
            self.near.get(was >> 8),
            Some((a, 0)),
            Some((b, 0)),
            Some((c, 0)),
            Some((d, 0)),
        ]
    }

    fn expect(&self, was: i32, delta: i32) -> bool {
        self.delta_guesses(was).iter().flatten().any(|(guess, _)| *guess == delta)
    }

    fn learn_delta(&mut self, was: i32, delta: i32) {
        let [a, b, c, d] = self.recent;
        let [gap, _] = self.gaps;
        self.same.set(was, delta);
        self.after_delta.set(both(gap, a), delta);
        self.at_gap.set(gap, delta);
        self.near.set(was >> 8, delta);
        self.recent = match delta {
            _ if delta == a => [a, b, c, d],
            _ if delta == b => [b, a, c, d],
            _ if delta == c => [c, a, b, d],
            _ => [delta, a, b, c],
        };
    }
}

/// One key of two.
const fn both(a: i32, b: i32) -> i32 {
    a.wrapping_mul(0x2545_F491).wrapping_add(b).rotate_left(11)
}

/// The model of fixes.
struct Changed {
    habits: Habits,
    again: [[[Chance; 4]; GAPS]; 2],
    hit: bool,
    gap: [Number; 6],
    wide: [Chance; 32],
    known: [[[Chance; 4]; DELTAS]; 16],
    delta: Number,
    byte: [Chance; 256],
}

impl Changed {
    fn new() -> Self {
        Self {
            habits: Habits::new(),
            again: [[[Chance::EVEN; 4]; GAPS]; 2],
            hit: false,
            gap: [Number::NEW; 6],
            wide: [Chance::EVEN; 32],
            known: [[[Chance::EVEN; 4]; DELTAS]; 16],
            delta: Number::NEW,
            byte: [Chance::EVEN; 256],
        }
    }

    /// Bytes until the next fix.
    fn gap(&mut self, coder: &mut impl Coder, fix: Option<Fix>) -> u32 {
        let gap = fix.map_or(NEVER, |fix| fix.gap) as i32;
        let chances = self.again.get_mut(usize::from(self.hit));
        let read = chances.and_then(|chances| guessed(coder, gap, &self.habits.gap_guesses(), chances));
        self.hit = read.is_some();
        let [last, _] = self.habits.gaps;
        let class = (u32::BITS - last.leading_zeros()).min(10) as usize / 2;
        let read = match (read, self.gap.get_mut(class)) {
            (Some(read), _) => read,
            (None, Some(number)) => number.code(coder, gap as u32) as i32,
            (None, None) => NEVER as i32,
        };
        self.habits.learn_gap(read);
        read as u32
    }

    /// Writes the fix at `at` and says how many bytes it covers.
    fn code(&mut self, coder: &mut impl Coder, from: &[u8], to: &mut [u8], at: usize, fix: Option<Fix>) -> usize {
        let was = word(from, at);
        let (is_wide, delta) = fix.map_or((false, 0), |fix| (fix.wide, fix.delta));
        let [gap, _] = self.habits.gaps;
        let class = gap.clamp(0, 15) as usize;
        let wide = match self.wide.get_mut(class << 1 | usize::from(self.hit)) {
            Some(chance) => coder.bit(chance, is_wide),
            None => false,
        };
        if !wide {
            let delta = tree(coder, &mut self.byte, 8, delta as u32) as i32;
            if let Some(to) = to.get_mut(at) {
                *to = (was as u8).wrapping_add(delta as u8);
            }
            return 1;
        }
        let chances = self.known.get_mut(class);
        let read = chances.and_then(|chances| guessed(coder, delta, &self.habits.delta_guesses(was), chances));
        let delta = match read {
            Some(read) => read,
            None => self.delta.signed(coder, delta),
        };
        self.habits.learn_delta(was, delta);
        put(to, at, was.wrapping_add(delta));
        WIDTH.min(to.len() - at)
    }
}

/// Codes which of the `guesses` is `value`, none being an answer, too. The chances are by place and trust.
fn guessed<const N: usize>(
    coder: &mut impl Coder,
    value: i32,
    guesses: &[Option<Guess>; N],
    chances: &mut [[Chance; 4]; N],
) -> Option<i32> {
    for (source, (guess, chances)) in guesses.iter().zip(chances).enumerate() {
        let Some((guess, trust)) = *guess else { continue };
        if guesses.iter().take(source).flatten().any(|(earlier, _)| *earlier == guess) {
            continue;
        }
        if !coder.bit(chances.get_mut(usize::from(trust))?, value != guess) {
            return Some(guess);
        }
    }
    None
}
