//! How fast bytes arrive, as the last seconds showed. Pure: the time is an argument.
//!
//! Bytes are summed in slots of [`SLOT`]; the rate is what [`SLOTS`] of them hold, by the time they span. A link that is
//! silent for so long has no rate.

use std::time::Duration;

use tokio::time::Instant;

/// How long one sum is added to.
const SLOT: Duration = Duration::from_secs(2);
/// Sums that count, the one that is being added to included: short enough to follow a link, long enough for the pauses in
/// which a layer is made of its patch.
const SLOTS: usize = 8;

/// What arrived lately. Small; meant to be copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rate {
    began: Option<Instant>,
    /// By number of the slot, in turn.
    slots: [u64; SLOTS],
    /// Number of the newest slot since the beginning.
    newest: u64,
}

impl Rate {
    /// Takes in that `bytes` arrived just now. The first call begins the measurement.
    pub fn add(&mut self, bytes: u64, now: Instant) {
        self.advance(now);
        if let Some(slot) = self.slots.get_mut(index(self.newest)) {
            *slot = slot.saturating_add(bytes);
        }
    }

    /// Bytes per second; 0 when nothing came lately.
    pub fn per_second(mut self, now: Instant) -> u64 {
        let age = self.advance(now);
        let sum = self.slots.iter().fold(0_u64, |sum, slot| sum.saturating_add(*slot));
        let past = u64::try_from(SLOTS).unwrap_or(u64::MAX).saturating_sub(1).min(self.newest);
        let slot = SLOT.as_millis();
        let spanned = u128::from(past) * slot + age.as_millis() % slot;
        // What came at once in the beginning is no rate yet.
        u64::try_from(u128::from(sum) * 1000 / spanned.max(1000)).unwrap_or(u64::MAX)
    }

    /// Empties the slots that began since; the time since the beginning.
    fn advance(&mut self, now: Instant) -> Duration {
        let age = now.saturating_duration_since(*self.began.get_or_insert(now));
        let newest = u64::try_from(age.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX).max(self.newest);
        for number in (self.newest + 1..=newest).take(SLOTS) {
            if let Some(slot) = self.slots.get_mut(index(number)) {
                *slot = 0;
            }
        }
        if newest - self.newest > SLOTS as u64 {
            self.slots = [0; SLOTS];
        }
        self.newest = newest;
        age
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number % SLOTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rate after each second, when so many bytes came in it.
    fn rates(seconds: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let began = Instant::now();
        let (mut rate, mut shown) = (Rate::default(), Vec::new());
        rate.add(0, began);
        for (second, bytes) in (1..).zip(seconds) {
            let now = began + Duration::from_secs(second);
            rate.add(bytes, now - Duration::from_millis(1));
            shown.push(rate.per_second(now));
        }
        shown
    }

    #[test]
    fn a_steady_link_has_its_rate_and_a_silent_one_none() {
        assert!(rates([1000; 60]).iter().all(|rate| (900..=1100).contains(rate)), "{:?}", rates([1000; 60]));
        let ends: Vec<u64> = [1000; 40].into_iter().chain([0; 20]).collect();
        let shown = rates(ends);
        assert!((400..600).contains(&shown[47]), "half of what counts came: {}", shown[47]);
        assert_eq!(shown[57], 0, "nothing came for longer than what counts");
        let again: Vec<u64> = [1000; 10].into_iter().chain([0; 500]).chain([2000; 20]).collect();
        assert!((1900..=2100).contains(rates(again).last().unwrap()));
    }

    #[test]
    fn what_came_at_once_is_no_endless_rate() {
        let now = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.per_second(now), 0);
        rate.add(u64::MAX, now);
        rate.add(u64::MAX, now);
        assert_eq!(rate.per_second(now), u64::MAX);
        let mut small = Rate::default();
        small.add(500, now);
        assert_eq!(small.per_second(now), 500);
        assert_eq!(small.per_second(now - Duration::from_millis(5)), 500, "no clock goes back, and none does harm");
    }
}
