//! Points in time, in UTC.

use std::fmt;
use std::time::Duration;

use crate::time::UnixMillis;

/// RFC 3339 with whole seconds: `2026-11-20T08:15:04Z`.
pub fn rfc3339(at: UnixMillis) -> String {
    format!("{}Z", Second(at.0 / 1000))
}

/// RFC 3339 with nine digits after the point, of a time since 1970-01-01.
pub fn rfc3339_nanos(since: Duration) -> String {
    format!("{}.{:09}Z", Second(since.as_secs()), since.subsec_nanos())
}

/// A second since 1970-01-01, written without a zone.
struct Second(u64);

impl fmt::Display for Second {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil(self.0 / 86_400);
        let (hour, minute, second) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }
}

/// Year, month and day of a number of days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms": the year begins in March, so that the leap day is its last).
pub(crate) fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_251_199, "2024-02-29T23:59:59"),
            (1_709_251_200, "2024-03-01T00:00:00"),
            (1_795_162_504, "2026-11-20T08:15:04"),
            (4_107_542_399, "2100-02-28T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(rfc3339(UnixMillis(seconds * 1000 + 999)), format!("{text}Z"));
            assert_eq!(rfc3339_nanos(Duration::new(seconds, 7)), format!("{text}.000000007Z"));
        }
    }
}
