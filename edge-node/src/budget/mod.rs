//! What the node's link carried, and what images may still take of it. What a budget allows is decided by
//! [`shared::budget::permit`]; here it is counted, and lies on disk.
//!
//! ```text
//! Link ──every message, by class──▶ count ──▶ Spent ──▶ Record (now and then, some bytes ahead)
//! images::fetch ──▶ ask ──▶ Go: at most so many bytes ──▶ reserve ──▶ Reserved, while the frame is on its way
//!                    └────▶ Later: after so long, or when the budget changes; why, for people
//! ```
//!
//! The record on disk is ahead of the truth: bytes are written as spent before they are asked for, so that a crash gives
//! none of them back. How far ahead is a thirty-second of the smallest quota, at most [`AHEAD_MAX`]; that is what a crash
//! may cost. An idle node writes every [`IDLE_AHEAD`] of control messages: some times a day.
//!
//! Frames that are on their way count as spent until they are there or cannot come any more. What of a frame was under way
//! when the link was cut is not known, and not counted: at most one frame.

mod pacer;
mod record;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared::budget::{Budget, Class, Permit, Spent, Why, permit, used};
use shared::fault::{Fault, Faulty, budget as texts};
use shared::time::Now;
use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::private_file::PrivateFileError;
use pacer::Pacer;
pub use record::Record;
use record::{Found, Kept};

/// Most bytes that are written as spent before they are.
pub const AHEAD_MAX: u64 = 4 << 20;
/// As many when there is no quota to keep.
const AHEAD_FREE: u64 = 64 << 20;
/// Fewest.
const AHEAD_MIN: u64 = 8 << 10;
/// Of these, while nothing is fetched.
const IDLE_AHEAD: u64 = 64 << 10;
/// What surrounds the bytes of a frame in its two messages, rounded up.
const HEADERS: u64 = 128;
/// Clocks jump, so who waits looks again this often.
const LOOK: Duration = Duration::from_secs(60);
/// How much of its time behind a later date a node may forget in a crash.
const BEHIND: Duration = Duration::from_secs(3600);

/// The budget in force, and what was spent.
pub struct Ledger {
    record: Option<Record>,
    clock: Clock,
    state: Mutex<State>,
    /// Why images wait.
    waits: watch::Sender<Option<Fault>>,
    changed: Notify,
}

struct State {
    budget: Option<Budget>,
    spent: Spent,
    /// As [`Kept::told`].
    told: [u64; 2],
    /// What was spent is not known any more, and nobody was told.
    lost: Option<Fault>,
    /// When `spent` was looked at last.
    at: Now,
    /// Bytes that the record has beyond `spent`.
    ahead: u64,
    /// How long the node had been behind when the record was written.
    behind: Duration,
    /// Bytes that were asked for and are not there.
    on_their_way: u64,
    pacer: Pacer,
}

/// What images may do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Ask for a frame of at most so many bytes.
    Go(u64),
    /// Look again after so long.
    Later(Duration),
}

impl Ledger {
    /// What `record` says was spent.
    pub fn open(record: Record, clock: Clock) -> Self {
        let (kept, lost) = match record.found() {
            Found::New => (Kept::default(), None),
            Found::Kept(kept) => (kept, None),
            Found::Lost(cause) => {
                tracing::error!(cause, "what the link carried is not known any more; the quotas of day and month count as used");
                let spent = Spent::unknown(clock.now().wall);
                let told = [spent.day.period, spent.month.period].map(|period| period.saturating_add(1));
                (Kept { spent, told }, Some(Fault::new(&texts::COUNT_LOST).with("cause", cause)))
            }
        };
        Self::new(Some(record), kept, lost, clock)
    }

    /// No budget, and nothing that lasts.
    pub fn unlimited(clock: Clock) -> Self {
        Self::new(None, Kept::default(), None, clock)
    }

    fn new(record: Option<Record>, Kept { spent, told }: Kept, lost: Option<Fault>, clock: Clock) -> Self {
        let (behind, at) = (spent.day.behind, clock.now());
        let state = State { budget: None, spent, told, lost, at, ahead: 0, behind, on_their_way: 0, pacer: Pacer::default() };
        Self { record, clock, state: Mutex::new(state), waits: watch::Sender::new(None), changed: Notify::new() }
    }

    /// This budget is in force from now on.
    pub fn set(&self, budget: Option<&Budget>) {
        let mut state = self.lock();
        if state.budget.as_ref() != budget {
            state.budget = budget.cloned();
            state.pacer = Pacer::default();
            self.stir();
        }
    }

    /// The budget in force, and what was spent until now.
    pub fn view(&self) -> (Option<Budget>, Spent) {
        let mut state = self.lock();
        state.pass(self.clock.now());
        (state.budget.clone(), state.spent)
    }

    /// What somebody should hear who was not there, each once: the quota of this day or month is used, or nobody knows what
    /// was spent. What is told is on disk before, so that no restart tells it again.
    pub fn news(&self) -> Vec<Fault> {
        let mut state = self.lock();
        let now = self.clock.now();
        state.pass(now);
        let before = state.told;
        let mut news = Vec::new();
        if let Some(budget) = state.budget.clone() {
            let spent = state.spent;
            for wait in used(&budget, &spent, now.wall) {
                let (of, period) = match wait.why {
                    Why::Day(_) => (0, spent.day.period),
                    Why::Month(_) => (1, spent.month.period),
                    Why::Window => continue,
                };
                let period = period.saturating_add(1);
                if let Some(told) = state.told.get_mut(of).filter(|told| **told != period) {
                    *told = period;
                    news.push(wait.fault(&budget, &spent));
                }
            }
        }
        if !news.is_empty() || state.lost.is_some() {
            let ahead = state.ahead;
            match self.save(&mut state, ahead) {
                Ok(()) => news.extend(state.lost.take()),
                Err(error) => {
                    tracing::debug!(%error, "what the link carried is not on disk yet");
                    state.told = before;
                    news.clear();
                }
            }
        }
        news
    }

    /// Why images wait; `None` while none does.
    pub fn waits(&self) -> watch::Receiver<Option<Fault>> {
        self.waits.subscribe()
    }

    /// A message of so many bytes went over the link.
    pub fn count(&self, class: Class, bytes: u64) {
        let mut state = self.lock();
        state.pass(self.clock.now());
        state.spent.count(class, bytes);
        match state.ahead.checked_sub(bytes) {
            Some(ahead) => state.ahead = ahead,
            None => {
                let ahead = state.ahead_by().min(IDLE_AHEAD).max(state.on_their_way);
                if let Err(error) = self.save(&mut state, ahead) {
                    tracing::debug!(%error, "what the link carried is not on disk yet");
                }
            }
        }
    }

    /// What images may do now.
    pub fn ask(&self) -> Ask {
        let mut state = self.lock();
        let now = self.clock.now();
        state.pass(now);
        let Some(budget) = state.budget.clone() else {
            self.say(None);
            return Ask::Go(u64::MAX);
        };
        let most = match permit(&budget, &state.spent, now.wall) {
            Permit::Now(most) => most,
            Permit::Wait(wait) => {
                if state.spent.day.behind >= state.behind + BEHIND {
                    let ahead = state.ahead;
                    if let Err(error) = self.save(&mut state, ahead) {
                        tracing::debug!(%error, "what the link carried is not on disk yet");
                    }
                }
                self.say(Some(wait.fault(&budget, &state.spent)));
                let after = Duration::from_millis(wait.until.0.saturating_sub(now.wall.0));
                return Ask::Later(after.clamp(Duration::from_secs(1), LOOK));
            }
        };
        let left = most.saturating_sub(state.on_their_way);
        if left == 0 {
            return Ask::Later(LOOK); // What is on its way is the rest, and wakes whoever waits when it is there.
        }
        match state.pacer.ask(budget.rate, now.uptime) {
            Ok(most) => {
                self.say(None);
                Ask::Go(left.min(most))
            }
            Err(after) => Ask::Later(after),
        }
    }

    /// A frame of so many bytes is asked for, now that they count as spent on disk. `None` when the disk does not take that:
    /// a crash would give them back.
    pub fn reserve(&self, bytes: u64) -> Option<Reserved<'_>> {
        let mut state = self.lock();
        let bytes = bytes.saturating_add(HEADERS);
        let on_their_way = state.on_their_way.saturating_add(bytes);
        if state.ahead < on_their_way {
            let ahead = state.ahead_by().max(on_their_way);
            if let Err(error) = self.save(&mut state, ahead) {
                self.say(Some(error.fault()));
                return None;
            }
        }
        state.on_their_way = on_their_way;
        let (rate, now) = (state.budget.as_ref().and_then(|budget| budget.rate), self.clock.now().uptime);
        state.pacer.asked(rate, bytes, now);
        Some(Reserved { ledger: self, bytes })
    }

    /// Whoever waits looks again.
    pub fn stir(&self) {
        self.changed.notify_waiters();
    }

    /// Returns after `time`, or when another budget is in force.
    pub async fn later(&self, time: Duration) {
        tokio::select! {
            () = self.changed.notified() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Nothing is fetched any more: nobody waits, and the record comes near the truth.
    pub fn rest(&self) {
        self.say(None);
        let mut state = self.lock();
        let ahead = state.ahead_by().min(IDLE_AHEAD).max(state.on_their_way);
        if state.ahead > ahead
            && let Err(error) = self.save(&mut state, ahead)
        {
            tracing::debug!(%error, "what the link carried is not on disk yet");
        }
    }

    fn save(&self, state: &mut State, ahead: u64) -> Result<(), PrivateFileError> {
        if let Some(record) = &self.record {
            let mut spent = state.spent;
            spent.count(Class::Images, ahead);
            record.write(&Kept { spent, told: state.told })?;
        }
        (state.ahead, state.behind) = (ahead, state.spent.day.behind);
        Ok(())
    }

    fn say(&self, waits: Option<Fault>) {
        self.waits.send_if_modified(|said| {
            let is_new = *said != waits;
            if is_new {
                *said = waits;
            }
            is_new
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn pass(&mut self, now: Now) {
        let zone = self.budget.as_ref().map(|budget| budget.zone).unwrap_or_default();
        let before = (self.spent.day.period, self.spent.month.period);
        self.spent.pass(zone, now.wall, now.uptime.saturating_sub(self.at.uptime));
        if before != (self.spent.day.period, self.spent.month.period) {
            self.ahead = 0; // The record is ahead of a day that is over.
        }
        self.at = now;
    }

    /// How far the record shall be ahead.
    fn ahead_by(&self) -> u64 {
        let quotas = self.budget.iter().flat_map(|budget| [budget.per_day, budget.per_month]).flatten();
        quotas.min().map_or(AHEAD_FREE, |quota| (quota / 32).clamp(AHEAD_MIN, AHEAD_MAX))
    }
}

/// Bytes that were asked for; given back when dropped: what came of them was counted.
pub struct Reserved<'l> {
    ledger: &'l Ledger,
    bytes: u64,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        let mut state = self.ledger.lock();
        state.on_their_way = state.on_their_way.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests;
