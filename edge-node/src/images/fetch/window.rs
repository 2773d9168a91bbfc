//! How many bytes to have under way, and in frames of which length. Pure: the time is an argument.
//!
//! Whatever is under way stands in front of the next desired state: it shares one connection with it. Too little under
//! way, and a long link idles. So the window follows the link:
//!
//! ```text
//! window = rate × (base + TARGET) + frame       rate   what the link delivers, as the last frames showed
//!                                               base   the time of an answer when nothing is queued
//! ```
//!
//! `rate × base` fills the link and [`TARGET`] is what waits in front of it, whether the link takes 64 kbit/s or
//! 1 Gbit/s. Each frame measures: it had so many bytes under way, itself included, and they took until its answer came;
//! by Little's law the quotient is the rate of a full link, and a lower bound of it while the link is not full. With that
//! bound the formula grows the window by itself until delay appears, at most twofold per round trip; there is no phase to
//! leave, and no overshoot. This is FAST TCP's window (Jin, Wei, Low 2004) with a delay as the target, as LEDBAT has it
//! (RFC 6817). Additive increase and loss as the signal would not do: behind TCP nothing is lost, it only comes later, and
//! a window that grows until something breaks is what delays the control messages.
//!
//! What delay-based control is known to get wrong, and what is done here:
//!
//! - A standing queue of our own hides `base`. Every [`PROBE_EVERY`] the window goes down to `rate × base` until one frame
//!   has measured it anew, which drains the queue and leaves the link full. A longer route and a queue of somebody else
//!   are learned that way, too.
//! - One late frame says little: the best of the last [`RATES`] counts.
//! - Frames that were asked for while less was under way than could be (the end of a blob, a slow disk) say nothing about
//!   the link, unless they were late.
//! - A link that was cut may come back as another one: the window begins anew.

use std::time::Duration;

use crate::images::FRAME_MAX;

/// Shortest frame, in bytes: what surrounds it (topic, digest, TLS, TCP) is 5 % of it, and it takes half a second at
/// 64 kbit/s.
pub(super) const FRAME_MIN: u32 = 4 << 10;
/// Frames in a full window, so that an answer's own time is an eighth of the window's.
const FRAMES: u64 = 8;
/// Most bytes under way: what memory and fast links want.
pub(super) const WINDOW_MAX: u64 = FRAMES * FRAME_MAX as u64;
/// Fewest: with one frame the link would idle while the next one is asked for.
const WINDOW_MIN: u64 = 2 * FRAME_MIN as u64;
/// At the beginning and after a cut. Half a second at 256 kbit/s.
const WINDOW_START: u64 = 4 * FRAME_MIN as u64;
/// Most frames under way: a window that was cut back holds many short ones. The hub keeps 64 requests.
const COUNT_MAX: u32 = 32;
/// What may wait in front of the link. Above the jitter of mobile links (tens of milliseconds), and with what is being
/// sent far below the two seconds that a control message may take.
pub(super) const TARGET: Duration = Duration::from_millis(200);
/// So often the queue is drained to see the link without it.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// Measurements of which the best counts: those of one window.
const RATES: usize = 8;

/// The window of one source.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes that may be under way.
    size: u64,
    under_way: u64,
    count: u32,
    /// Grows with each cut; measurements from before one say nothing.
    life: u32,
    link: Measured,
}

/// What is known about the link since the last cut.
#[derive(Debug, Default)]
struct Measured {
    /// Bytes per second, as the last frames showed; 0 where there was none.
    rates: [u64; RATES],
    next: usize,
    base: Option<Base>,
    probing: bool,
}

/// The time of an answer when nothing is queued.
#[derive(Debug, Clone, Copy)]
struct Base {
    time: Duration,
    /// When it was last seen.
    at: Duration,
}

/// A frame that was asked for. It must come back to the window, one way or the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Its bytes.
    pub(super) length: u32,
    at: Duration,
    /// Bytes under way then, its own included.
    under_way: u64,
    /// No further frame had room.
    full: bool,
    /// It sees the link without our queue.
    probe: bool,
    life: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { size: WINDOW_START, under_way: 0, count: 0, life: 0, link: Measured::default() }
    }
}

impl Window {
    /// Asks for up to `left` bytes more, if there are any, unless the window is full; the last frame may stand out of it. `now` is a time on any clock that only goes forward.
    pub(super) fn ask(&mut self, now: Duration, left: u64) -> Option<Asked> {
        self.link.probe_if_due(now);
        if left == 0 || self.count > 0 && (self.count >= COUNT_MAX || self.under_way >= self.limit()) {
            return None;
        }
        let length = u64::from(self.frame()).min(left);
        self.under_way += length;
        self.count += 1;
        Some(Asked {
            length: u32::try_from(length).unwrap_or(FRAME_MAX),
            at: now,
            under_way: self.under_way,
            full: self.under_way >= self.size,
            probe: self.link.probing,
            life: self.life,
        })
    }

    /// The answer came.
    pub(super) fn arrived(&mut self, asked: Asked, now: Duration) {
        self.gone(asked);
        if asked.life != self.life {
            return;
        }
        let took = now.saturating_sub(asked.at);
        if !self.link.heard(asked, took, now) {
            return;
        }
        let wanted = self.link.bytes_in(TARGET).saturating_add(self.frame().into()).max(WINDOW_MIN);
        let grown = if asked.full { self.size.saturating_add(asked.length.into()) } else { self.size };
        self.size = wanted.min(grown).min(WINDOW_MAX);
    }

    /// No answer comes any more, or it counts as none.
    pub(super) fn gone(&mut self, asked: Asked) {
        self.under_way = self.under_way.saturating_sub(asked.length.into());
        self.count = self.count.saturating_sub(1);
    }

    /// The source was away or fell silent.
    pub(super) fn cut(&mut self) {
        self.life = self.life.wrapping_add(1);
        self.size = self.size.min(WINDOW_START);
        self.link = Measured::default();
    }

    /// Length of a frame: an eighth of the window in whole [`FRAME_MIN`].
    fn frame(&self) -> u32 {
        let eighth = u32::try_from(self.size / FRAMES).unwrap_or(FRAME_MAX);
        (eighth / FRAME_MIN * FRAME_MIN).clamp(FRAME_MIN, FRAME_MAX)
    }

    /// Bytes that may be under way now.
    fn limit(&self) -> u64 {
        if self.link.probing { self.link.bytes_in(Duration::ZERO).min(self.size) } else { self.size }
    }
}

impl Measured {
    /// Takes a measurement; whether it says something about the rate.
    fn heard(&mut self, asked: Asked, took: Duration, now: Duration) -> bool {
        if asked.probe {
            if self.probing {
                self.probing = false;
                self.base = Some(Base { time: took.saturating_sub(self.passing(asked.length)), at: now });
            }
            return false;
        }
        let own = self.passing(asked.length);
        let base = match self.base {
            Some(base) if took > base.time + own + TARGET / 8 => base,
            Some(base) => Base { time: base.time.min(took), at: now },
            None => Base { time: took, at: now },
        };
        self.base = Some(base);
        let late = took > base.time + own + TARGET;
        if !(asked.full || late) {
            return false;
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        if let Some(rate) = self.rates.get_mut(self.next) {
            *rate = asked.under_way.saturating_mul(1_000_000) / micros;
        }
        self.next = (self.next + 1) % RATES;
        true
    }

    /// The queue is drained now and then, as soon as there is a rate to drain it to.
    fn probe_if_due(&mut self, now: Duration) {
        let due = self.base.is_some_and(|base| now.saturating_sub(base.at) >= PROBE_EVERY);
        self.probing |= due && self.rate() > 0;
    }

    /// Bytes per second.
    fn rate(&self) -> u64 {
        self.rates.iter().copied().max().unwrap_or(0)
    }

    /// Bytes that fill the link and a queue of `queue`.
    fn bytes_in(&self, queue: Duration) -> u64 {
        let time = self.base.map_or(Duration::ZERO, |base| base.time) + queue;
        let bytes = u128::from(self.rate()) * time.as_micros() / 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }

    /// How long the link takes for so many bytes.
    fn passing(&self, bytes: u32) -> Duration {
        Duration::from_micros((u64::from(bytes) * 1_000_000).checked_div(self.rate()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests;
