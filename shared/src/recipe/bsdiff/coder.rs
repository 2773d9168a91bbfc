//! The range coder (as in LZMA: 32-bit range, carry by a cached byte) and the numbers coded with it.
//!
//! One [`Coder`] is the writer and one the reader, so that every model is written once: the writer takes the value it
//! is given and returns it, the reader ignores it and returns what stands in the body.

/// The chance that a bit is 0, in 1/65536: the mean of a quick and a slow estimate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    quick: u16,
    slow: u16,
}

impl Chance {
    pub(super) const EVEN: Self = Self { quick: 1 << 15, slow: 1 << 15 };

    fn zero(self) -> u32 {
        (u32::from(self.quick) + u32::from(self.slow)) / 2
    }

    fn learn(&mut self, bit: bool) {
        if bit {
            self.quick -= self.quick >> 4;
            self.slow -= self.slow >> 7;
        } else {
            self.quick += (u16::MAX - self.quick) >> 4;
            self.slow += (u16::MAX - self.slow) >> 7;
        }
    }
}

/// Writer or reader of a body.
pub(super) trait Coder {
    /// One bit of known chance.
    fn bit(&mut self, chance: &mut Chance, bit: bool) -> bool;
    /// One bit nothing is known about.
    fn plain(&mut self, bit: bool) -> bool;
}

/// Writes.
pub(super) struct Writer {
    low: u64,
    range: u32,
    cache: u8,
    pending: u64,
    out: Vec<u8>,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { low: 0, range: u32::MAX, cache: 0, pending: 1, out: Vec::new() }
    }

    /// The bytes: without the first, which is always 0, and without the last ones where the reader's zeros beyond the
    /// end say the same.
    pub(super) fn finish(mut self) -> Vec<u8> {
        for _ in 0..5 {
            self.shift();
        }
        let end = self.out.iter().rposition(|&byte| byte != 0).map_or(1, |last| last + 1);
        self.out.get(1..end).unwrap_or_default().to_vec()
    }

    fn normalise(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.shift();
        }
    }

    /// Gives out the top byte of `low`, which a later carry may still raise by one.
    fn shift(&mut self) {
        let [low, carry] = [self.low as u32, (self.low >> 32) as u32];
        if low < 0xFF00_0000 || carry != 0 {
            self.out.push(self.cache.wrapping_add(carry as u8));
            for _ in 1..self.pending {
                self.out.push(0xFFu8.wrapping_add(carry as u8));
            }
            self.pending = 0;
            self.cache = (low >> 24) as u8;
        }
        self.pending += 1;
        self.low = u64::from(low << 8);
    }
}

impl Coder for Writer {
    #[inline]
    fn bit(&mut self, chance: &mut Chance, bit: bool) -> bool {
        let bound = (self.range >> 16) * chance.zero();
        if bit {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
        chance.learn(bit);
        self.normalise();
        bit
    }

    fn plain(&mut self, bit: bool) -> bool {
        self.range >>= 1;
        if bit {
            self.low += u64::from(self.range);
        }
        self.normalise();
        bit
    }
}

/// Reads; beyond the end there are zeros without end.
pub(super) struct Reader<'a> {
    rest: std::slice::Iter<'a, u8>,
    code: u32,
    range: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(body: &'a [u8]) -> Self {
        let mut reader = Self { rest: body.iter(), code: 0, range: u32::MAX };
        for _ in 0..4 {
            reader.pull();
        }
        reader
    }

    fn pull(&mut self) {
        self.code = self.code << 8 | u32::from(self.rest.next().copied().unwrap_or(0));
    }

    fn normalise(&mut self) {
        while self.range < 1 << 24 {
            self.range <<= 8;
            self.pull();
        }
    }
}

impl Coder for Reader<'_> {
    #[inline]
    fn bit(&mut self, chance: &mut Chance, _: bool) -> bool {
        let bound = (self.range >> 16) * chance.zero();
        let bit = self.code >= bound;
        if bit {
            self.code -= bound;
            self.range -= bound;
        } else {
            self.range = bound;
        }
        chance.learn(bit);
        self.normalise();
        bit
    }

    fn plain(&mut self, _: bool) -> bool {
        self.range >>= 1;
        let bit = self.code >= self.range;
        if bit {
            self.code -= self.range;
        }
        self.normalise();
        bit
    }
}

/// A `u32`: its bit length by a tree of chances, its two bits after the leading one by a tree each, the rest plain.
#[derive(Clone)]
pub(super) struct Number {
    length: [Chance; 64],
    high: [[Chance; 4]; 33],
}

impl Number {
    pub(super) const NEW: Self = Self { length: [Chance::EVEN; 64], high: [[Chance::EVEN; 4]; 33] };

    pub(super) fn code(&mut self, coder: &mut impl Coder, value: u32) -> u32 {
        let bits = tree(coder, &mut self.length, 6, u32::BITS - value.leading_zeros()).min(32);
        if bits < 2 {
            return bits;
        }
        let below = bits - 1;
        let modelled = below.min(2);
        let shift = below - modelled;
        let mut read = 1;
        if let Some(high) = self.high.get_mut(bits as usize) {
            read = 1 << modelled | tree(coder, high, modelled, value >> shift & ((1 << modelled) - 1));
        }
        for at in (0..shift).rev() {
            read = read << 1 | u32::from(coder.plain(value >> at & 1 == 1));
        }
        read
    }

    /// An `i32`, small ones of either sign being small numbers.
    pub(super) fn signed(&mut self, coder: &mut impl Coder, value: i32) -> i32 {
        let read = self.code(coder, (value << 1 ^ value >> 31) as u32);
        (read >> 1) as i32 ^ -((read & 1) as i32)
    }
}

/// `bits` bits of `value`, the leading one first, each with the chance its predecessors lead to.
pub(super) fn tree(coder: &mut impl Coder, chances: &mut [Chance], bits: u32, value: u32) -> u32 {
    let mut node = 1;
    for at in (0..bits).rev() {
        let bit = value >> at & 1 == 1;
        let read = match chances.get_mut(node as usize) {
            Some(chance) => coder.bit(chance, bit),
            None => false,
        };
        node = node << 1 | u32::from(read);
    }
    node - (1 << bits)
}
