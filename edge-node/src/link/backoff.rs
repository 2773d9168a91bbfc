//! When to try the hub again.

use std::time::Duration;

/// Shortest delay, in milliseconds: a hub that refuses at once is not asked in a tight loop.
const SHORTEST: u64 = 1_000;
/// Longest delay, in milliseconds: a hub that is back is found within a minute.
const LONGEST: u64 = 60_000;

/// A session that was online so long counts as a success.
const STABLE: Duration = Duration::from_secs(60);
/// So does one that brought so many bytes, however short: four frames, more than it costs to come back.
const WORTH: u64 = 1 << 20;

/// Whether a lost session was worth having, so that the next delay is short again. A link that is cut every few seconds
/// and yet brings an image piece by piece must not spend most of its time waiting.
pub fn useful(online: Duration, received: u64) -> bool {
    online >= STABLE || received >= WORTH
}

/// Delay before the next attempt after `failures` attempts in a row that were not [`useful`]: anything between one
/// second and a ceiling of 2, 4, 8 … 60 s. The whole range is drawn from ("full jitter"), so that all nodes of a
/// restarted hub do not come back at one moment. `random` is uniform.
pub fn delay(failures: u32, random: u64) -> Duration {
    let ceiling = LONGEST.min(2_000 << failures.min(5));
    Duration::from_millis(SHORTEST + random % (ceiling - SHORTEST + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_fruitful_sessions_are_useful() {
        for (seconds, received, expected) in [(0, 0, false), (59, WORTH - 1, false), (60, 0, true), (0, WORTH, true)] {
            assert_eq!(useful(Duration::from_secs(seconds), received), expected, "{seconds} s, {received} bytes");
        }
    }

    #[test]
    fn delays_fill_a_growing_range() {
        for (failures, ceiling) in [(0, 2), (1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (6, 60), (u32::MAX, 60)] {
            let range = Duration::from_secs(1)..=Duration::from_secs(ceiling);
            assert_eq!(delay(failures, 0), *range.start());
            assert_eq!(delay(failures, (ceiling - 1) * 1000), *range.end(), "{failures}");
            assert!(
                (0..10_000_u64).all(|n| range.contains(&delay(failures, u64::wrapping_mul(n, 0x9E37_79B9_7F4A_7C15)))),
                "{failures}"
            );
        }
    }
}
