//! A source, asked for as much at once as its link takes and its budget allows: patience, window and ledger together.
//!
//! ```text
//! one ──try_ask──▶ Line ──read──▶ source        whoever asks holds a Flying, which gives its room back
//! frame ──ask────▶  │  ledger, window, pace     when the answer is there, or nobody waits for it any more
//! ```

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use shared::id::Digest;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::pace::Pace;
use super::window::{Asked, Window};
use crate::budget::{Ask, Ledger, Reserved};
use crate::images::{ChunkSource, Progress, SourceError};

/// A disk that did not take what is to be spent is tried again after so long.
const UNWRITTEN: Duration = Duration::from_secs(10);

/// A source and what is known of its link; one for all blobs of an image.
pub(super) struct Line<'s, S> {
    source: &'s S,
    pace: Pace,
    room: Room<'s>,
    progress: &'s watch::Sender<Progress>,
}

/// The answer to somebody who wants to ask.
pub(super) enum Turn<'r> {
    /// There is room.
    Go(Flying<'r>),
    /// When something comes back, there will be.
    Full,
    /// The budget allows none before so much time has passed.
    Later(Duration),
}

impl<'s, S: ChunkSource> Line<'s, S> {
    /// Nothing is known yet. `progress` says how many wait.
    pub(super) fn new(source: &'s S, ledger: &'s Ledger, progress: &'s watch::Sender<Progress>) -> Self {
        let room = Room { ledger, began: Instant::now(), state: Mutex::default(), changed: Notify::new() };
        Self { source, pace: Pace::default(), room, progress }
    }

    /// The source itself.
    pub(super) const fn source(&self) -> &'s S {
        self.source
    }

    /// Room for a frame of up to `left` bytes, unless somebody waits for room.
    pub(super) fn try_ask(&self, blob: Digest, left: u64) -> Turn<'_> {
        self.room.take(left, None, self.source.is_metered(blob))
    }

    /// Room for a frame of up to `left` bytes from `offset` on. Of those who wait the lowest offset comes first.
    pub(super) async fn ask(&self, blob: Digest, offset: u64, left: u64) -> Flying<'_> {
        let _waiting = self.room.wait(offset);
        loop {
            let changed = self.room.changed.notified();
            let later = match self.room.take(left, Some(offset), self.source.is_metered(blob)) {
                Turn::Go(flying) => return flying,
                Turn::Full => None,
                Turn::Later(time) => Some(time),
            };
            tokio::select! {
                () = changed => {}
                () = self.later(later) => {}
            }
        }
    }

    /// Returns when the budget may allow more; never, when it is not what others wait for.
    pub(super) async fn later(&self, time: Option<Duration>) {
        match time {
            Some(time) => {
                let _stuck = Stuck::new(self.progress);
                self.room.ledger.later(time).await;
            }
            None => std::future::pending().await,
        }
    }

    /// The bytes that `flying` has room for. On a slow link the answer may be a late one to an earlier question: what it has
    /// of the next `left` bytes counts, whether that is more or less than was asked for now. No bytes are
    /// [`SourceError::Timeout`].
    pub(super) async fn read(&self, blob: Digest, offset: u64, left: u64, mut flying: Flying<'_>) -> Result<Bytes, SourceError> {
        let length = flying.length();
        let answer = self.pace.bound(self.source.read(blob, offset, length)).await;
        match answer {
            Ok(bytes) if u32::try_from(bytes.len()) == Ok(length) => {
                flying.lands();
                Ok(bytes)
            }
            Ok(bytes) if bytes.is_empty() => Err(SourceError::Timeout),
            // It was not this question that took so long, so the window learns nothing from it.
            Ok(mut bytes) => {
                bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                Ok(bytes)
            }
            Err(error @ SourceError::NotThere(_)) => Err(error),
            Err(error) => {
                self.room.state().window.cut();
                Err(error)
            }
        }
    }

    /// Returns when it makes sense to ask again after [`SourceError::Away`].
    pub(super) async fn back(&self) {
        let _stuck = Stuck::new(self.progress);
        self.source.back().await;
    }
}

/// Somebody waits for the link or its budget.
struct Stuck<'p>(&'p watch::Sender<Progress>);

impl<'p> Stuck<'p> {
    fn new(progress: &'p watch::Sender<Progress>) -> Self {
        progress.send_modify(|progress| progress.stuck += 1);
        Self(progress)
    }
}

impl Drop for Stuck<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|progress| progress.stuck = progress.stuck.saturating_sub(1));
    }
}

/// Who may ask.
struct Room<'s> {
    ledger: &'s Ledger,
    began: Instant,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    window: Window,
    /// Offsets of frames that wait for room.
    waiting: BTreeSet<u64>,
}

impl Room<'_> {
    /// Room for whoever waits at the lowest offset, or for somebody new when nobody waits.
    fn take(&self, left: u64, waits: Option<u64>, metered: bool) -> Turn<'_> {
        let now = self.now();
        let mut state = self.state();
        if state.waiting.first().copied() != waits {
            return Turn::Full;
        }
        let go = |asked: Asked, reserved| Flying { room: self, asked: Some(asked), length: asked.length, _reserved: reserved };
        if !metered {
            self.ledger.rest();
            return state.window.ask(now, left).map_or(Turn::Full, |asked| Turn::Go(go(asked, None)));
        }
        let most = match self.ledger.ask() {
            Ask::Go(most) => most,
            Ask::Later(time) => return Turn::Later(time),
        };
        let Some(asked) = state.window.ask(now, left.min(most)) else { return Turn::Full };
        match self.ledger.reserve(asked.length.into()) {
            Some(reserved) => Turn::Go(go(asked, Some(reserved))),
            None => {
                state.window.gone(asked);
                Turn::Later(UNWRITTEN)
            }
        }
    }

    fn wait(&self, offset: u64) -> Waiting<'_> {
        self.state().waiting.insert(offset);
        Waiting { room: self, offset }
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.ledger.rest();
    }
}

/// A place in the line of those who wait.
struct Waiting<'r> {
    room: &'r Room<'r>,
    offset: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.room.state().waiting.remove(&self.offset);
        self.room.changed.notify_waiters();
    }
}

/// Room in the window; given back when dropped.
pub(super) struct Flying<'r> {
    room: &'r Room<'r>,
    asked: Option<Asked>,
    length: u32,
    _reserved: Option<Reserved<'r>>,
}

impl Flying<'_> {
    /// Bytes there is room for.
    pub(super) const fn length(&self) -> u32 {
        self.length
    }

    /// The answer is there.
    fn lands(&mut self) {
        if let Some(asked) = self.asked.take() {
            let now = self.room.now();
            self.room.state().window.arrived(asked, now);
            self.room.changed.notify_waiters();
        }
    }
}

impl Drop for Flying<'_> {
    fn drop(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.room.state().window.gone(asked);
            self.room.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::clock::Clock;
    use crate::images::memory::Memory;

    fn go<'r, S: ChunkSource>(line: &'r Line<'_, S>, left: u64) -> Option<Flying<'r>> {
        match line.try_ask(Digest::of(b"?"), left) {
            Turn::Go(flying) => Some(flying),
            Turn::Full | Turn::Later(_) => None,
        }
    }

    #[tokio::test]
    async fn who_waits_goes_by_offset_and_before_anybody_new() {
        let (source, blob) = (Memory::default(), Digest::of(b"?"));
        let ledger = Ledger::unlimited(Clock::system());
        let progress = watch::Sender::default();
        let line = Line::new(&source, &ledger, &progress);
        let first: Vec<_> = std::iter::from_fn(|| go(&line, u64::MAX)).collect();
        assert!(first.len() > 1);
        let (mut late, mut early) = (Box::pin(line.ask(blob, 9, 1)), Box::pin(line.ask(blob, 5, 1)));
        assert!(late.as_mut().now_or_never().is_none() && early.as_mut().now_or_never().is_none());
        drop(first);
        assert!(go(&line, 1).is_none(), "others wait");
        assert!(late.as_mut().now_or_never().is_none());
        let early = early.await;
        let late = late.await;
        assert_eq!((early.length(), late.length()), (1, 1));
        assert!(go(&line, 1).is_some());
    }

    #[tokio::test]
    async fn room_comes_back_from_whoever_gives_up() {
        let (source, blob) = (Memory::default(), Digest::of(b"?"));
        let ledger = Ledger::unlimited(Clock::system());
        let progress = watch::Sender::default();
        let line = Line::new(&source, &ledger, &progress);
        for _ in 0..100 {
            drop(std::iter::from_fn(|| go(&line, u64::MAX)).collect::<Vec<_>>());
            drop(line.ask(blob, 1, 1));
        }
        let error = line.read(Digest::of(b"?"), 0, 1, go(&line, 1).unwrap()).await.unwrap_err();
        assert!(matches!(error, SourceError::NotThere(_)));
        assert!(std::iter::from_fn(|| go(&line, u64::MAX)).collect::<Vec<_>>().len() > 1);
    }
}
