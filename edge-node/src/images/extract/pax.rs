//! PAX records: `<length> <key>=<value>\n`, where the length counts the whole record (POSIX.1-2008, pax, "pax
//! Extended Header"). Values are bytes and may hold anything, newlines included.

/// Key and value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Each record, in order; the reason when one is not well-formed.
pub(super) fn records(mut rest: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    let mut records = Vec::new();
    while !rest.is_empty() {
        let space = rest.iter().take(8).position(|byte| *byte == b' ').ok_or("a PAX record without a length")?;
        let digits = rest.get(..space).unwrap_or_default();
        let length = decimal(digits).and_then(|n| usize::try_from(n).ok()).ok_or("a PAX length that is no number")?;
        let record = rest.get(space + 1..length).ok_or("a PAX length that does not fit")?;
        let body = record.strip_suffix(b"\n").ok_or("a PAX record without an end")?;
        let equals = body.iter().position(|byte| *byte == b'=').ok_or("a PAX record without a value")?;
        let (key, value) = body.split_at(equals);
        records.push((key, value.get(1..).unwrap_or_default()));
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(records)
}

/// A plain decimal number.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

/// Seconds with an optional fraction, as in `mtime`, to seconds and nanoseconds. A time before 1970 is 1970.
pub(super) fn time(value: &[u8]) -> Option<(u64, u32)> {
    if let Some(before) = value.strip_prefix(b"-") {
        return time(before).map(|_| (0, 0));
    }
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    let seconds = decimal(parts.next()?)?;
    let Some(fraction) = parts.next() else { return Some((seconds, 0)) };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nine = fraction.iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some((seconds, nine.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_by_their_length() {
        let both: &[u8] = b"12 path=a=b\n16 x=1\n2\n3\n4\n5\n\n";
        assert_eq!(records(both), Ok(vec![(&b"path"[..], &b"a=b"[..]), (b"x", b"1\n2\n3\n4\n5\n")]));
        assert_eq!(records(b""), Ok(vec![]));
        for bad in [
            &b"12"[..],
            b" path=a\n",
            b"x path=a\n",
            b"99 path=a\n",
            b"10 path=a\n\n",
            b"8 patha\n",
            b"0 a=b\n",
            b"2 \n",
            b"000000000012 path=a\n",
            b"+9 path=a\n",
            b"18446744073709551617 a=b\n",
            b"9 path=a\n\0",
        ] {
            assert!(records(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn times_keep_nanoseconds() {
        for (text, expected) in [
            (&b"0"[..], Some((0, 0))),
            (b"1700000000.5", Some((1_700_000_000, 500_000_000))),
            (b"1.1234567899", Some((1, 123_456_789))),
            (b"-5.5", Some((0, 0))),
            (b"1.x", None),
            (b"", None),
            (b".5", None),
        ] {
            assert_eq!(time(text), expected, "{}", text.escape_ascii());
        }
    }
}
