//! No faster than a rate: a token bucket, kept as the time when the next frame may be asked for. Pure.

use std::time::Duration;

use shared::time::Uptime;

/// What nobody asked for in so long may be asked for at once.
const BURST: Duration = Duration::from_millis(50);
/// A frame takes a quarter of a second of the rate, so that a control message waits no longer behind it …
const FRAMES_PER_SECOND: u64 = 4;
/// … but for rates so low that frames would be headers only.
const FRAME_MIN: u64 = 4 << 10;

/// When the next frame is due.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pacer {
    due: Uptime,
}

impl Pacer {
    /// The most that may be asked for at `now`, or how long to wait.
    pub(super) fn ask(&self, rate: Option<u64>, now: Uptime) -> Result<u64, Duration> {
        match (rate, self.due.saturating_sub(now)) {
            (None, _) => Ok(u64::MAX),
            (Some(rate), Duration::ZERO) => Ok((rate / FRAMES_PER_SECOND).max(FRAME_MIN)),
            (Some(_), wait) => Err(wait),
        }
    }

    /// So many bytes were asked for.
    pub(super) fn asked(&mut self, rate: Option<u64>, bytes: u64, now: Uptime) {
        let Some(rate) = rate else { return };
        let takes = Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
        self.due = self.due.max(now.saturating_sub(BURST)) + takes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that are asked for in `seconds` at `rate` by somebody who looks every `step`.
    fn asked(rate: u64, seconds: u64, step: Duration) -> u64 {
        let (mut pacer, mut now, mut all) = (Pacer::default(), Duration::from_secs(1000), 0);
        let end = now + Duration::from_secs(seconds);
        while now < end {
            while let Ok(most) = pacer.ask(Some(rate), now) {
                let bytes = most.min(256 << 10);
                pacer.asked(Some(rate), bytes, now);
                all += bytes;
            }
            now += step;
        }
        all
    }

    #[test]
    fn a_rate_is_kept_within_a_frame() {
        for rate in [1 << 10, 8 << 10, 125_000, 1 << 20, 100 << 20] {
            let all = asked(rate, 60, Duration::from_millis(1));
            let frame = (rate / 4).clamp(FRAME_MIN, 256 << 10);
            assert!(all <= rate * 60 + rate / 20 + frame, "{rate}: {all}");
            assert!(all * 100 >= rate * 60 * 98, "{rate}: {all}");
        }
        assert_eq!(Pacer::default().ask(None, Duration::ZERO), Ok(u64::MAX));
    }
}
