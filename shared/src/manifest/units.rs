//! Compose's units: periods such as `1m30s`, sizes such as `64m`, processors such as `0.5`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::as_text;

/// Why a text is not a value of its unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct BadUnit {
    /// The refused text, cut to 80 characters.
    pub text: String,
    /// What would do, with an example.
    pub expected: &'static str,
}

fn bad(text: &str, expected: &'static str) -> BadUnit {
    BadUnit { text: text.chars().take(80).collect(), expected }
}

/// A span of time as Compose writes it: numbers with `us`, `ms`, `s`, `m`, `h`, added up (`1m30s`, `2.5s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Period(Duration);

impl Period {
    /// Longest period: 400 days.
    pub const MAX: Self = Self::seconds(400 * 24 * 3600);

    /// So many seconds.
    pub const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// As the standard library's duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

const PERIOD: &str = "a period such as 1m30s, 500ms or 2h (at most 400 days)";

impl FromStr for Period {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let mut rest = text;
        let mut total = Duration::ZERO;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(|| bad(text, PERIOD))?;
            let (number, tail) = rest.split_at(digits);
            let unit = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit);
            let micros: u64 = match unit {
                "us" => 1,
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" => 60_000_000,
                "h" => 3_600_000_000,
                _ => return Err(bad(text, PERIOD)),
            };
            let part = times(number, micros).ok_or_else(|| bad(text, PERIOD))?;
            total = total.checked_add(Duration::from_micros(part)).ok_or_else(|| bad(text, PERIOD))?;
            rest = tail;
        }
        if text.is_empty() || Self(total) > Self::MAX { Err(bad(text, PERIOD)) } else { Ok(Self(total)) }
    }
}

/// `number`, which may have a fraction of at most nine digits, times `unit`, rounded down.
fn times(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let part = u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit) / u128::from(scale);
    whole.parse::<u64>().ok()?.checked_mul(unit)?.checked_add(u64::try_from(part).ok()?)
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_micros();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, micros) in [("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1)] {
            if rest >= micros {
                write!(f, "{}{unit}", rest / micros)?;
                rest %= micros;
            }
        }
        Ok(())
    }
}

/// A number of bytes as Compose writes it: `512`, `64k`, `64m`, `1g` (powers of 1024; `kb`, `mb`, `gb`, `b` too).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct ByteSize(pub u64);

const SIZE: &str = "a size such as 64m, 1g or 512k";

impl FromStr for ByteSize {
    type Err = BadUnit;
    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
        let (number, unit) = lower.split_at(digits);
        let shift = match unit {
            "" | "b" => 0,
            "k" | "kb" => 10,
            "m" | "mb" => 20,
            "g" | "gb" => 30,
            _ => return Err(bad(text, SIZE)),
        };
        let number: u64 = number.parse().map_err(|_| bad(text, SIZE))?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(|| bad(text, SIZE))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n % (1 << 30) == 0 => write!(f, "{}g", n >> 30),
            n if n > 0 && n % (1 << 20) == 0 => write!(f, "{}m", n >> 20),
            n if n > 0 && n % (1 << 10) == 0 => write!(f, "{}k", n >> 10),
            n => write!(f, "{n}b"),
        }
    }
}

as_text!(Period, ByteSize);

/// `cpus: "0.5"` as thousandths.
pub(super) mod cpus {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::{BadUnit, bad};

    const CPUS: &str = "a number of processors such as 0.5 or 2";

    /// Reads `0.5` as 500.
    pub(in crate::manifest) fn parse(text: &str) -> Result<u32, BadUnit> {
        let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |t: &str| !t.is_empty() && t.len() <= 6 && t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(part) {
            return Err(bad(text, CPUS));
        }
        let whole: u32 = whole.parse().map_err(|_| bad(text, CPUS))?;
        let thousandths: u32 = format!("{part:0<3}").chars().take(3).collect::<String>().parse().map_err(|_| bad(text, CPUS))?;
        match whole.checked_mul(1000).and_then(|milli| milli.checked_add(thousandths)) {
            Some(milli) if milli >= 1 => Ok(milli),
            _ => Err(bad(text, CPUS)),
        }
    }

    #[expect(clippy::ref_option, reason = "serde's `with` takes a reference to the field")]
    pub(in crate::manifest) fn serialize<S: Serializer>(milli: &Option<u32>, s: S) -> Result<S::Ok, S::Error> {
        match milli {
            Some(milli) => s.collect_str(&format_args!("{}.{:03}", milli / 1000, milli % 1000)),
            None => s.serialize_none(),
        }
    }

    pub(in crate::manifest) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u32>, D::Error> {
        let text = Option::<String>::deserialize(d)?;
        text.map(|text| parse(&text).map_err(de::Error::custom)).transpose()
    }
}

/// `mode: "0440"` as permission bits.
pub(super) mod mode {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::{BadUnit, bad};

    /// Reads octal digits after a zero: `0440` or `0o440`. Without the zero nobody can tell octal from decimal.
    pub(in crate::manifest) fn parse(text: &str) -> Result<u32, BadUnit> {
        const MODE: &str = "permission bits in octal such as 0440";
        let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0')).unwrap_or_default();
        let octal = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| (b'0'..=b'7').contains(&b));
        if !octal {
            return Err(bad(text, MODE));
        }
        u32::from_str_radix(digits, 8).map_err(|_| bad(text, MODE))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` takes a reference to the field")]
    pub(in crate::manifest) fn serialize<S: Serializer>(mode: &u32, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{mode:04o}"))
    }

    pub(in crate::manifest) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u32, D::Error> {
        parse(&String::deserialize(d)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_round_trip() {
        for (text, micros) in
            [("0s", 0), ("10s", 10_000_000), ("1m30s", 90_000_000), ("500ms", 500_000), ("1h5us", 3_600_000_005)]
        {
            let period: Period = text.parse().expect(text);
            assert_eq!(period.duration(), Duration::from_micros(micros));
            assert_eq!(period.to_string(), text);
        }
        for (text, micros) in [("2.5s", 2_500_000), ("0.5h", 1_800_000_000), ("1.0000015s", 1_000_001), ("1m0.5s", 60_500_000)] {
            assert_eq!(text.parse::<Period>().map(|period| period.duration().as_micros()), Ok(micros), "{text}");
        }
        for text in
            ["", "10", "s", "-1s", ".5s", "1.s", "1.2.3s", "1.0000000001s", "1d", "99999999999999h", "9601h", "1s ", "１s"]
        {
            assert!(text.parse::<Period>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn sizes_round_trip() {
        for (text, bytes) in [("512b", 512), ("64k", 65536), ("64m", 64 << 20), ("2g", 2 << 30), ("0b", 0)] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
        assert_eq!("64MB".parse(), Ok(ByteSize(64 << 20)));
        for text in ["", "m", "1.5g", "-1", "1t", "99999999999999999999", "99999999999g"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn modes_are_octal() {
        for (text, bits) in [("0440", 0o440), ("0o600", 0o600), ("00", 0), ("0777", 0o777)] {
            assert_eq!(mode::parse(text), Ok(bits), "{text}");
        }
        for text in ["", "0", "440", "0888", "0x1ff", "-0440", "0000000440"] {
            assert!(mode::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn processors_are_thousandths() {
        for (text, milli) in [("1", 1000), ("0.5", 500), ("1.25", 1250), ("0.001", 1), ("2.0004", 2000)] {
            assert_eq!(cpus::parse(text), Ok(milli), "{text}");
        }
        for text in ["", "0", ".5", "1.", "-1", "1e3", "0.0001", "99999999"] {
            assert!(cpus::parse(text).is_err(), "{text:?}");
        }
    }
}
