//! The budget of a node's link, what was spent of it, and what was paused.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{WireError, malformed};
use crate::budget as core;
use crate::id::Digest;
use crate::state;

/// [`core::Budget`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Bytes of images per second.
    pub rate: Option<u64>,
    /// Bytes of a day.
    pub per_day: Option<u64>,
    /// Bytes of a month.
    pub per_month: Option<u64>,
    /// Days as bits from Monday on, first minute, last minute.
    pub windows: Vec<(u8, u16, u16)>,
    /// Minutes east of UTC.
    pub zone: i16,
}

impl From<&core::Budget> for Budget {
    fn from(budget: &core::Budget) -> Self {
        Self {
            rate: budget.rate,
            per_day: budget.per_day,
            per_month: budget.per_month,
            windows: budget.windows.iter().map(|window| window.numbers()).collect(),
            zone: budget.zone.minutes(),
        }
    }
}

impl TryFrom<Budget> for core::Budget {
    type Error = WireError;
    fn try_from(budget: Budget) -> Result<Self, WireError> {
        let bad = |error| malformed("budget", error);
        let windows = budget.windows.into_iter().map(|(days, from, to)| core::Window::new(days, from, to));
        let budget = Self {
            rate: budget.rate,
            per_day: budget.per_day,
            per_month: budget.per_month,
            windows: windows.collect::<Result<_, _>>().map_err(bad)?,
            zone: core::Zone::new(budget.zone).map_err(bad)?,
        };
        budget.check().map_err(bad)?;
        Ok(budget)
    }
}

/// [`core::Spent`]: of the day and of the month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent(pub Tally, pub Tally);

/// [`core::Tally`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Days, or months, since 1970 began.
    pub period: u64,
    /// Milliseconds that the node ran while its clock stood before that.
    pub behind_ms: u64,
    /// Bytes of control, events, logs, images.
    pub counts: [u64; 4],
}

impl From<&core::Spent> for Spent {
    fn from(spent: &core::Spent) -> Self {
        let tally = |tally: &core::Tally| {
            let core::Counts { control, events, logs, images } = tally.counts;
            let behind_ms = u64::try_from(tally.behind.as_millis()).unwrap_or(u64::MAX);
            Tally { period: tally.period, behind_ms, counts: [control, events, logs, images] }
        };
        Self(tally(&spent.day), tally(&spent.month))
    }
}

impl From<Spent> for core::Spent {
    fn from(Spent(day, month): Spent) -> Self {
        let tally = |tally: Tally| {
            let [control, events, logs, images] = tally.counts;
            let counts = core::Counts { control, events, logs, images };
            core::Tally { period: tally.period, behind: Duration::from_millis(tally.behind_ms), counts }
        };
        Self { day: tally(day), month: tally(month) }
    }
}

/// [`state::Paused`] as the node stores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// All transfers.
    pub all: bool,
    /// These images.
    pub images: Vec<[u8; 32]>,
}

impl From<&state::Paused> for Paused {
    fn from(paused: &state::Paused) -> Self {
        Self { all: paused.all, images: paused.images.iter().map(|image| *image.as_bytes()).collect() }
    }
}

impl From<Paused> for state::Paused {
    fn from(paused: Paused) -> Self {
        Self { all: paused.all, images: paused.images.into_iter().map(Digest::from_bytes).collect() }
    }
}
