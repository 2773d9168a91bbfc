//! The one decision: may bytes of an image be asked for now?
//!
//! Days and months are those of the site's clock, which is the node's wall clock and may be wrong. So that a wrong clock
//! neither gives a quota twice nor withholds it for ever:
//!
//! - a period that is later than the counted one begins a new count;
//! - an earlier one does not: what was used of the later one stays used (a clock that was not set yet, or went back);
//! - but when the node ran for as long as a period lasts while the clock stood before it, a new count begins all the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::{Window, Zone};
use super::{Budget, MOST};
use crate::fault::{Fault, budget as texts};
use crate::people::bytes;
use crate::time::UnixMillis;

/// A day.
const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest month.
const MONTH: Duration = Duration::from_secs(31 * 24 * 3600);

/// What bytes are for, the most important first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Desired states, hellos, reports.
    Control,
    /// Journal entries.
    Events,
    /// Logs that somebody reads.
    Logs,
    /// Images, and the releases that name them.
    Images,
}

/// Bytes by class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// [`Class::Control`].
    pub control: u64,
    /// [`Class::Events`].
    pub events: u64,
    /// [`Class::Logs`].
    pub logs: u64,
    /// [`Class::Images`].
    pub images: u64,
}

impl Counts {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.control.saturating_add(self.events).saturating_add(self.logs).saturating_add(self.images)
    }

    fn add(&mut self, class: Class, bytes: u64) {
        let count = match class {
            Class::Control => &mut self.control,
            Class::Events => &mut self.events,
            Class::Logs => &mut self.logs,
            Class::Images => &mut self.images,
        };
        *count = count.saturating_add(bytes);
    }
}

/// Bytes of one day or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Days, or months, since 1970 began.
    pub period: u64,
    /// How long the node ran while its clock stood before that.
    pub behind: Duration,
    /// The bytes.
    pub counts: Counts,
}

impl Tally {
    /// The clock says `period`; the node ran for `ran` since the last time. A period lasts at most `length`.
    fn pass(&mut self, period: u64, ran: Duration, length: Duration) {
        let behind = if period < self.period { self.behind.saturating_add(ran) } else { Duration::ZERO };
        if period > self.period || behind >= length {
            *self = Self { period: period.max(self.period), ..Self::default() };
        } else {
            self.behind = behind;
        }
    }

    /// What is left of `quota`, or when there is a new one if the next period begins at `next`.
    fn left(&self, quota: u64, period: u64, now: UnixMillis, next: UnixMillis, length: Duration) -> Result<u64, UnixMillis> {
        match quota.saturating_sub(self.counts.total()) {
            0 if period < self.period => {
                let rest = u64::try_from(length.saturating_sub(self.behind).as_millis()).unwrap_or(u64::MAX);
                Err(UnixMillis(now.0.saturating_add(rest)))
            }
            0 => Err(next),
            left => Ok(left),
        }
    }
}

/// What a link carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Spent {
    /// In the day.
    pub day: Tally,
    /// In the month.
    pub month: Tally,
}

impl Spent {
    /// When nobody knows what was spent: as much as any quota has, of the latest day and month that it may be at any site.
    pub fn unknown(now: UnixMillis) -> Self {
        let local = Zone::EAST.local(now);
        let all = |period| Tally { period, counts: Counts { images: MOST, ..Counts::default() }, ..Tally::default() };
        Self { day: all(local.day()), month: all(local.month()) }
    }

    /// Time passes: the wall clock says `now`, and the node ran for `ran` since the last time.
    pub fn pass(&mut self, zone: Zone, now: UnixMillis, ran: Duration) {
        let local = zone.local(now);
        self.day.pass(local.day(), ran, DAY);
        self.month.pass(local.month(), ran, MONTH);
    }

    /// Bytes went over the link.
    pub fn count(&mut self, class: Class, bytes: u64) {
        self.day.counts.add(class, bytes);
        self.month.counts.add(class, bytes);
    }
}

/// Whether bytes of an image may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit {
    /// So many at most. Whatever is more was not permitted.
    Now(u64),
    /// None.
    Wait(Wait),
}

/// Why images wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// When it makes sense to ask again, by the wall clock as it is now.
    pub until: UnixMillis,
    /// Why.
    pub why: Why,
}

/// Why images wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// No window is open.
    Window,
    /// The quota of the day is used.
    Day(u64),
    /// The quota of the month is used.
    Month(u64),
}

/// Whether bytes of an image may be asked for at `now`, when `spent` went over the link or is on its way, and how many.
///
/// `spent` is as of `now` ([`Spent::pass`]). Of several reasons to wait the one that lasts longest is named.
pub fn permit(budget: &Budget, spent: &Spent, now: UnixMillis) -> Permit {
    let local = budget.zone.local(now);
    let [day, month] = quotas(budget, spent, now);
    let opens = budget.windows.iter().map(|window| window.opens(local)).min();
    let is_closed = !budget.windows.iter().any(|window| window.is_open(local));
    let window = opens.filter(|_| is_closed).map(|opens| Err(Wait { until: budget.zone.wall(opens), why: Why::Window }));
    let (mut most, mut wait) = (u64::MAX, None::<Wait>);
    for answer in [day, month, window].into_iter().flatten() {
        match answer {
            Ok(left) => most = most.min(left),
            Err(longer) if wait.as_ref().is_none_or(|wait| wait.until < longer.until) => wait = Some(longer),
            Err(_) => {}
        }
    }
    wait.map_or(Permit::Now(most), Permit::Wait)
}

/// What is left of the quotas of day and month, where there are any.
fn quotas(budget: &Budget, spent: &Spent, now: UnixMillis) -> [Option<Result<u64, Wait>>; 2] {
    let local = budget.zone.local(now);
    let wall = |local| budget.zone.wall(local);
    let day = budget.per_day.map(|quota| {
        let left = spent.day.left(quota, local.day(), now, wall(local.next_day()), DAY);
        left.map_err(|until| Wait { until, why: Why::Day(quota) })
    });
    let month = budget.per_month.map(|quota| {
        let left = spent.month.left(quota, local.month(), now, wall(local.next_month()), MONTH);
        left.map_err(|until| Wait { until, why: Why::Month(quota) })
    });
    [day, month]
}

/// The quotas that are used at `now`, whether anything waits for them or not.
pub fn used(budget: &Budget, spent: &Spent, now: UnixMillis) -> impl Iterator<Item = Wait> {
    quotas(budget, spent, now).into_iter().flatten().filter_map(Result::err)
}

impl Wait {
    /// For people: why, and when it goes on.
    pub fn fault(&self, budget: &Budget, spent: &Spent) -> Fault {
        let fault = match self.why {
            Why::Window => {
                let windows: Vec<String> = budget.windows.iter().map(Window::to_string).collect();
                Fault::new(&texts::WINDOW_CLOSED).with("windows", windows.join("; "))
            }
            Why::Day(quota) => {
                Fault::new(&texts::DAY_USED).with("used", bytes(spent.day.counts.total())).with("quota", bytes(quota))
            }
            Why::Month(quota) => {
                Fault::new(&texts::MONTH_USED).with("used", bytes(spent.month.counts.total())).with("quota", bytes(quota))
            }
        };
        fault.with("until", budget.zone.show(self.until))
    }
}
