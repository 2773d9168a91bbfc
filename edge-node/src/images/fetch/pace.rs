//! How long to wait for a frame: as long as anything arrives, and longer on a link that proved slow.
//!
//! A fixed time per frame fails on a slow link: a link that slows down a hundredfold needs minutes for what is under way,
//! although nothing is wrong. So a frame is given up only when *no* frame arrived for the patience, which starts at
//! [`PATIENCE`] and doubles each time it was too short, up to [`PATIENCE_MAX`] (the longest frame at 9 kbit/s).

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::images::SourceError;

/// Silence that counts as a failure at first.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Silence that counts as a failure at last.
pub(super) const PATIENCE_MAX: Duration = Duration::from_secs(240);
/// Failures of one frame before the fetch fails; the node's planner tries again later.
pub(super) const FAILURES_MAX: u32 = 5;

/// What is known about the source's speed; shared by the frames of one image.
#[derive(Debug)]
pub(super) struct Pace(Mutex<Known>);

#[derive(Debug, Clone, Copy)]
struct Known {
    arrived: Option<Instant>,
    patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self(Mutex::new(Known { arrived: None, patience: PATIENCE }))
    }
}

impl Pace {
    /// Waits for `answer` while any frame arrives in time.
    pub(super) async fn bound(&self, answer: impl Future<Output = Result<Bytes, SourceError>>) -> Result<Bytes, SourceError> {
        tokio::pin!(answer);
        let asked = Instant::now();
        loop {
            let known = self.known();
            let deadline = known.arrived.map_or(asked, |arrived| arrived.max(asked)) + known.patience;
            match timeout_at(deadline, answer.as_mut()).await {
                Ok(answer) => {
                    if answer.is_ok() {
                        self.arrived(Instant::now());
                    }
                    return answer;
                }
                Err(_) if self.known().arrived > known.arrived => {} // another frame came meanwhile
                Err(_) => {
                    self.too_short(known.patience);
                    return Err(SourceError::Timeout);
                }
            }
        }
    }

    fn known(&self) -> Known {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrived(&self, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).arrived = Some(now);
    }

    /// Doubles the patience, once however many frames of the window ran into it.
    fn too_short(&self, patience: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.patience == patience {
            known.patience = patience.saturating_mul(2).min(PATIENCE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    async fn after(seconds: u64) -> Result<Bytes, SourceError> {
        sleep(Duration::from_secs(seconds)).await;
        Ok(Bytes::new())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_a_failure_and_makes_patient_once() {
        let pace = Pace::default();
        let (a, b) = tokio::join!(pace.bound(after(1000)), pace.bound(after(1000)));
        assert_eq!((a, b), (Err(SourceError::Timeout), Err(SourceError::Timeout)));
        assert_eq!(pace.known().patience, PATIENCE * 2);
        assert!(pace.bound(after(59)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_window_is_no_failure_while_frames_arrive() {
        let pace = Pace::default();
        let window = (1..=8).map(|n| pace.bound(after(n * 29)));
        let answers = futures_util::future::join_all(window).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn patience_has_an_end() {
        let pace = Pace::default();
        for _ in 0..6 {
            let _ = pace.bound(after(10_000)).await;
        }
        assert_eq!(pace.known().patience, PATIENCE_MAX);
    }
}
