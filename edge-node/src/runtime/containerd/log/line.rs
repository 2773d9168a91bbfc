//! One line of a log file: `2026-11-21T13:05:07.123456789Z out text`.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest text of one line, in bytes; a longer one continues on the next.
pub const TEXT_MAX: usize = 16 << 10;

/// Where a text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// As written in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// One line as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// RFC 3339 with nanoseconds, UTC.
    pub at: String,
    /// Where it came from.
    pub stream: Stream,
    /// What was printed; invalid UTF-8 is replaced.
    pub text: String,
}

impl Line {
    /// Reads a line of a log file; `None` when it is none (cut by a full disk or a power loss).
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(bytes);
        let mut parts = line.splitn(3, ' ');
        let (at, stream, text) = (parts.next()?, parts.next()?, parts.next()?);
        let stream = match stream {
            "out" => Stream::Out,
            "err" => Stream::Err,
            _ => return None,
        };
        at.ends_with('Z').then(|| Self { at: at.into(), stream, text: text.into() })
    }
}

/// Appends one line to `buffer`.
pub fn push(buffer: &mut Vec<u8>, at: &str, stream: Stream, text: &[u8]) {
    for part in [at.as_bytes(), b" ", stream.as_str().as_bytes(), b" ", text, b"\n"] {
        buffer.extend_from_slice(part);
    }
}

/// RFC 3339 in UTC with nine digits after the point.
pub fn rfc3339(time: SystemTime) -> String {
    let since: Duration = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = String::with_capacity(30);
    // Writing to a String does not fail.
    let _ = write!(text, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", since.subsec_nanos());
    text
}

/// Year, month and day of a number of days since 1970-01-01 (H. Hinnant, "chrono-compatible low-level date
/// algorithms": the year begins in March, so that the leap day is its last).
fn civil(days: u64) -> (u64, u64, u64) {
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
    fn times_are_utc_with_nanoseconds() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000007Z"),
            (951_782_400, "2000-02-29T00:00:00.000000007Z"),
            (1_709_251_199, "2024-02-29T23:59:59.000000007Z"),
            (1_709_251_200, "2024-03-01T00:00:00.000000007Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000000007Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::new(seconds, 7)), text);
        }
    }

    #[test]
    fn lines_round_trip_and_damage_is_skipped() {
        let mut bytes = Vec::new();
        push(&mut bytes, "2026-11-21T13:05:07.000000001Z", Stream::Err, b"two  words \xff");
        let line = Line::parse(bytes.strip_suffix(b"\n").expect("one line")).expect("a line");
        assert_eq!((line.stream, line.text.as_str()), (Stream::Err, "two  words \u{fffd}"));
        for damaged in ["", "x", "2026Z out", "2026 out text", "2026Z log text", "\0\0\0"] {
            assert_eq!(Line::parse(damaged.as_bytes()), None, "{damaged:?}");
        }
    }
}
