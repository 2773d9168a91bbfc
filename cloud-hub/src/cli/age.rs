//! Numbers as people read them: periods (`3m`, `2h`), sizes (`1.4 MiB`), points in time. Pure.

use shared::time::UnixMillis;

/// A period in its one largest unit, as `kubectl` shows ages: `0s`, `59s`, `3m`, `2h`, `5d`; the second unit while the
/// first is small (`2m30s`, `1h5m`, `1d4h`).
pub(super) fn period(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        s if s < 2 * MINUTE => format!("{s}s"),
        s if s < 10 * MINUTE => two(s, MINUTE, "m", 1, "s"),
        s if s < 2 * HOUR => format!("{}m", s / MINUTE),
        s if s < 8 * HOUR => two(s, HOUR, "h", MINUTE, "m"),
        s if s < 2 * DAY => format!("{}h", s / HOUR),
        s if s < 8 * DAY => two(s, DAY, "d", HOUR, "h"),
        s => format!("{}d", s / DAY),
    }
}

fn two(seconds: u64, large: u64, large_unit: &str, small: u64, small_unit: &str) -> String {
    match seconds % large / small {
        0 => format!("{}{large_unit}", seconds / large),
        rest => format!("{}{large_unit}{rest}{small_unit}", seconds / large),
    }
}

/// The period from `then` to `now`; `0s` when clocks disagree, `-` for a time that nobody wrote down.
pub(super) fn since(then: UnixMillis, now: UnixMillis) -> String {
    if then.0 == 0 { "-".into() } else { period(now.0.saturating_sub(then.0) / 1000) }
}

/// A number of bytes in its largest unit, powers of 1024.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut unit = "B";
    // In tenths, so that no floating point is needed.
    let mut tenths = u128::from(count) * 10;
    for larger in UNITS {
        if tenths < 10_240 {
            break;
        }
        tenths /= 1024;
        unit = larger;
    }
    match (unit, tenths % 10) {
        ("B", _) | (_, 0) => format!("{} {unit}", tenths / 10),
        (_, tenth) if tenths < 1000 => format!("{}.{tenth} {unit}", tenths / 10),
        _ => format!("{} {unit}", tenths / 10),
    }
}

/// A point in time in UTC: `2026-11-20 08:15:04Z`.
pub(super) fn utc(time: UnixMillis) -> String {
    let seconds = time.0 / 1000;
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (600, "10m"),
            (7199, "119m"),
            (7200, "2h"),
            (7500, "2h5m"),
            (100_000, "27h"),
            (172_800, "2d"),
            (187_200, "2d4h"),
            (34_560_000, "400d"),
        ] {
            assert_eq!(period(seconds), text);
        }
        assert_eq!(since(UnixMillis(0), UnixMillis(5)), "-");
        assert_eq!(since(UnixMillis(9000), UnixMillis(5)), "0s", "clocks disagree");
        assert_eq!(since(UnixMillis(1000), UnixMillis(31_500)), "30s");
    }

    #[test]
    fn sizes() {
        for (count, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1_468_006, "1.3 MiB"),
            (304_087_040, "290 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn points_in_time() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00Z"),
            (951_782_400, "2000-02-29 00:00:00Z"),
            (1_795_162_504, "2026-11-20 08:15:04Z"),
            (4_107_542_399, "2100-02-28 23:59:59Z"),
            (4_107_542_400, "2100-03-01 00:00:00Z"),
        ] {
            assert_eq!(utc(UnixMillis(seconds * 1000 + 999)), text);
        }
    }
}
