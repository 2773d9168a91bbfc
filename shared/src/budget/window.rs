//! Times of the week by the site's clock, and that clock.
//!
//! ```text
//! mon-fri 22:00-06:00   begins on the days that are named, and may reach over midnight
//! 00:00-24:00           all day, every day
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::BudgetError;
use crate::people::civil;
use crate::text::as_text;
use crate::time::UnixMillis;

/// Days of the week as people write them; Monday is day 0.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Bits of all of them.
const EVERY_DAY: u8 = 0x7f;
/// Minutes of a day.
const DAY: u32 = 24 * 60;

/// A time of the week; written `[days ]from-to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    /// Bit n: it begins on day n of the week, Monday is 0.
    days: u8,
    /// Minute of the day when it begins.
    from: u16,
    /// Minute of the day when it ends: of the next day if that is not later.
    to: u16,
}

impl Window {
    /// From its numbers: days as bits from Monday on, minutes of the day.
    pub fn new(days: u8, from: u16, to: u16) -> Result<Self, BudgetError> {
        let window = Self { days, from, to };
        let good = days & EVERY_DAY == days && days != 0 && u32::from(from) < DAY && u32::from(to) <= DAY && from != to;
        if good { Ok(window) } else { Err(BudgetError::BadWindow { text: window.to_string() }) }
    }

    /// Its numbers, as [`new`](Self::new) takes them.
    pub const fn numbers(self) -> (u8, u16, u16) {
        (self.days, self.from, self.to)
    }

    /// Minutes from its beginning to its end.
    fn length(self) -> u32 {
        let (from, to) = (u32::from(self.from), u32::from(self.to));
        if to > from { to - from } else { to + DAY - from }
    }

    const fn begins_on(self, weekday: u64) -> bool {
        self.days >> (weekday % 7) & 1 == 1
    }

    /// Whether it is open at `at`.
    pub(super) fn is_open(self, at: Local) -> bool {
        let (minute, from) = (at.minute(), u32::from(self.from));
        let today = self.begins_on(at.weekday()) && (from..from + self.length()).contains(&minute);
        let yesterday = self.begins_on(at.weekday() + 6) && (from..from + self.length()).contains(&(minute + DAY));
        today || yesterday
    }

    /// When it opens next after `at`, by the site's clock.
    pub(super) fn opens(self, at: Local) -> Local {
        let days = (0..=7).filter(|ahead| self.begins_on(at.weekday() + ahead));
        let mut starts = days.map(|ahead| Local((at.day() + ahead) * 86_400 + u64::from(self.from) * 60));
        starts.find(|start| *start > at).unwrap_or(at)
    }
}

impl FromStr for Window {
    type Err = BudgetError;
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let bad = || BudgetError::BadWindow { text: text.chars().take(80).collect() };
        let (days, times) = match text.trim().rsplit_once(' ') {
            Some((days, times)) => (read_days(days).ok_or_else(bad)?, times),
            None => (EVERY_DAY, text.trim()),
        };
        let (from, to) = times.split_once('-').ok_or_else(bad)?;
        let (from, to) = (minute(from).ok_or_else(bad)?, minute(to).ok_or_else(bad)?);
        Self::new(days, from, to).map_err(|_| bad())
    }
}

/// `mon-fri,sun`.
fn read_days(text: &str) -> Option<u8> {
    let day = |text: &str| DAYS.iter().position(|day| text.eq_ignore_ascii_case(day));
    text.split(',').try_fold(0, |days, part| {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (first, last) = (day(first)?, day(last)?);
        (first <= last).then(|| (first..=last).fold(days, |days, day| days | 1 << day))
    })
}

/// `hh:mm`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let number = |text: &str| (text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u16>().ok())?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 1440).then_some(hours * 60 + minutes)
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != EVERY_DAY {
            let named: Vec<&str> = DAYS.into_iter().zip(0u64..).filter(|(_, n)| self.begins_on(*n)).map(|(day, _)| day).collect();
            write!(f, "{} ", named.join(","))?;
        }
        let Self { from, to, .. } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

/// How far the site's clock is from UTC; written `+08:00`. It knows no summer time: a site that has it sets its budget anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(i16);

impl Zone {
    /// Where each day begins first.
    pub(super) const EAST: Self = Self(14 * 60);

    /// From minutes east of UTC.
    pub fn new(minutes: i16) -> Result<Self, BudgetError> {
        let zone = Self(minutes);
        if (-12 * 60..=14 * 60).contains(&minutes) { Ok(zone) } else { Err(BudgetError::BadZone { text: zone.to_string() }) }
    }

    /// Minutes east of UTC.
    pub const fn minutes(self) -> i16 {
        self.0
    }

    /// The site's clock; it begins with 1970.
    pub(super) fn local(self, at: UnixMillis) -> Local {
        Local((at.0 / 1000).saturating_add_signed(i64::from(self.0) * 60))
    }

    /// The wall clock when the site's clock says `at`.
    pub(super) fn wall(self, at: Local) -> UnixMillis {
        UnixMillis(at.0.saturating_add_signed(-i64::from(self.0) * 60).saturating_mul(1000))
    }

    /// A point in time as people on site read it: `2026-11-21 22:00 +08:00`.
    pub fn show(self, at: UnixMillis) -> String {
        let local = self.local(at);
        let ((year, month, day), minute) = (civil(local.day()), local.minute());
        format!("{year:04}-{month:02}-{day:02} {:02}:{:02} {self}", minute / 60, minute % 60)
    }
}

impl FromStr for Zone {
    type Err = BudgetError;
    fn from_str(text: &str) -> Result<Self, BudgetError> {
        let bad = || BudgetError::BadZone { text: text.chars().take(80).collect() };
        if matches!(text, "Z" | "UTC" | "utc") {
            return Ok(Self::default());
        }
        let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
            (Some(rest), _) => (1, rest),
            (None, Some(rest)) => (-1, rest),
            (None, None) => return Err(bad()),
        };
        let minutes = minute(rest).and_then(|minutes| i16::try_from(minutes).ok()).ok_or_else(bad)?;
        Self::new(sign * minutes).map_err(|_| bad())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.unsigned_abs();
        write!(f, "{}{:02}:{:02}", if self.0 < 0 { '-' } else { '+' }, minutes / 60, minutes % 60)
    }
}

as_text!(Window, Zone);

/// Seconds since 1970-01-01 00:00 of the site's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Local(pub(super) u64);

impl Local {
    /// Days since 1970-01-01.
    pub(super) const fn day(self) -> u64 {
        self.0 / 86_400
    }

    /// Months since 1970-01.
    pub(super) fn month(self) -> u64 {
        let (year, month, _) = civil(self.day());
        year.saturating_sub(1970) * 12 + month - 1
    }

    /// The next midnight.
    pub(super) const fn next_day(self) -> Self {
        Self((self.day() + 1) * 86_400)
    }

    /// The midnight with which the next month begins.
    pub(super) fn next_month(self) -> Self {
        let month = self.month();
        let days = std::iter::successors(Some(self.next_day()), |day| Some(day.next_day()));
        days.take(31).find(|day| day.month() != month).unwrap_or_else(|| self.next_day())
    }

    /// 1970-01-01 was a Thursday.
    const fn weekday(self) -> u64 {
        (self.day() + 3) % 7
    }

    const fn minute(self) -> u32 {
        (self.0 % 86_400 / 60) as u32
    }
}
