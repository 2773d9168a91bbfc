//! The budget of a node's link: how fast, how much, and when images may come.
//!
//! ```text
//! control, events, logs ──▶ always pass, are counted ──┐
//! images ──▶ permit(budget, spent, now) ──▶ Now(most) ─┴▶ Spent: bytes of the day, of the month
//!                                       └─▶ Wait { until, why }
//! ```
//!
//! All bytes count against the quotas, and only images wait for them: so control goes before events, events before logs,
//! and logs before images, whatever was used. What is counted are the bytes of messages in both directions; TLS and TCP
//! add some per cent to them.
//!
//! A budget is enforced by each node alone, because nodes of a site need not reach each other. A site whose nodes share
//! one link divides it among them.

mod permit;
mod window;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Faulty, budget};

pub use permit::{Class, Counts, Permit, Spent, Tally, Wait, Why, permit, used};
pub use window::{Window, Zone};

/// Most windows of a budget.
pub const WINDOWS_MAX: usize = 16;
/// The slowest rate, in bytes per second: below it, frames would seem to be lost on a link that is fine.
pub const RATE_MIN: u64 = 1 << 10;
/// The smallest quota, in bytes: some frames must fit.
pub const QUOTA_MIN: u64 = 64 << 10;
/// The largest rate and quota, in bytes: a pebibyte is as good as no limit.
pub const MOST: u64 = 1 << 50;

/// How much of its link a node may use for images. What is absent has no limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Budget {
    /// Bytes of images per second.
    pub rate: Option<u64>,
    /// Bytes of a day, by the site's clock.
    pub per_day: Option<u64>,
    /// Bytes of a month, by the site's clock.
    pub per_month: Option<u64>,
    /// When images may come; always when there is none.
    pub windows: Vec<Window>,
    /// The site's clock.
    pub zone: Zone,
}

/// Why a budget is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    /// A window is not one.
    #[error("{text:?} is no window")]
    BadWindow {
        /// What was refused, cut to 80 characters.
        text: String,
    },
    /// A zone is not one.
    #[error("{text:?} is no zone")]
    BadZone {
        /// What was refused, cut to 80 characters.
        text: String,
    },
    /// More than [`WINDOWS_MAX`].
    #[error("more than {WINDOWS_MAX} windows")]
    TooManyWindows,
    /// A number is too small or too large.
    #[error("{what} = {value}: from {min} to {MOST}")]
    OutOfRange {
        /// Which.
        what: &'static str,
        /// What was refused.
        value: u64,
        /// The least.
        min: u64,
    },
    /// It says nothing.
    #[error("the budget limits nothing")]
    LimitsNothing,
}

impl Faulty for BudgetError {
    fn fault(&self) -> Fault {
        match self {
            Self::BadWindow { text } => Fault::new(&budget::BAD_WINDOW).with("text", text),
            Self::BadZone { text } => Fault::new(&budget::BAD_ZONE).with("text", text),
            Self::TooManyWindows => Fault::new(&budget::TOO_MANY_WINDOWS).with("max", WINDOWS_MAX),
            Self::OutOfRange { what, value, min } => {
                Fault::new(&budget::OUT_OF_RANGE).with("what", what).with("value", value).with("min", min).with("max", MOST)
            }
            Self::LimitsNothing => Fault::new(&budget::LIMITS_NOTHING),
        }
    }
}

impl Budget {
    /// Whether it can be kept.
    pub fn check(&self) -> Result<(), BudgetError> {
        let limits =
            [("rate", self.rate, RATE_MIN), ("perDay", self.per_day, QUOTA_MIN), ("perMonth", self.per_month, QUOTA_MIN)];
        for (what, value, min) in limits {
            if let Some(value) = value.filter(|value| !(min..=MOST).contains(value)) {
                return Err(BudgetError::OutOfRange { what, value, min });
            }
        }
        if self.windows.len() > WINDOWS_MAX {
            return Err(BudgetError::TooManyWindows);
        }
        if (self.rate, self.per_day, self.per_month) == (None, None, None) && self.windows.is_empty() {
            return Err(BudgetError::LimitsNothing);
        }
        Ok(())
    }
}
