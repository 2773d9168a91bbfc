//! One line of a log file: `2026-11-21T13:05:07.123456789Z out text`.

use std::time::{SystemTime, UNIX_EPOCH};

use shared::people;

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
    people::rfc3339_nanos(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

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
