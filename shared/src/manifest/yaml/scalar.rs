//! Scalars and their kinds, by the core schema of YAML 1.2 (section 10.3.2).

/// A scalar as written; numbers stay texts until somebody knows what they count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::manifest) struct Scalar {
    pub(in crate::manifest) text: String,
    /// Written without quotes, so that its text decides what it is.
    pub(in crate::manifest) plain: bool,
}

/// What a scalar is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::manifest) enum Kind {
    Null,
    Flag,
    Int,
    Float,
    Text,
}

impl Scalar {
    pub(in crate::manifest) const fn new(text: String, plain: bool) -> Self {
        Self { text, plain }
    }

    pub(in crate::manifest) fn kind(&self) -> Kind {
        if self.plain { resolve(&self.text) } else { Kind::Text }
    }
}

fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Kind::Flag,
        _ if is_int(text) => Kind::Int,
        _ if is_float(text) => Kind::Float,
        _ => Kind::Text,
    }
}

fn is_int(text: &str) -> bool {
    let all = |digits: &str, ok: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(ok);
    if let Some(octal) = text.strip_prefix("0o") {
        return all(octal, |b| (b'0'..=b'7').contains(b));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return all(hex, u8::is_ascii_hexdigit);
    }
    all(unsigned(text), u8::is_ascii_digit)
}

fn is_float(text: &str) -> bool {
    let text = unsigned(text);
    if matches!(text, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent = unsigned(exponent);
    digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()) && !exponent.is_empty() && digits(exponent)
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, kind) in [
            ("", Kind::Null),
            ("~", Kind::Null),
            ("null", Kind::Null),
            ("true", Kind::Flag),
            ("FALSE", Kind::Flag),
            ("no", Kind::Text),
            ("on", Kind::Text),
            ("0", Kind::Int),
            ("-12", Kind::Int),
            ("0440", Kind::Int),
            ("0o17", Kind::Int),
            ("0xfF", Kind::Int),
            ("0o", Kind::Text),
            ("1.5", Kind::Float),
            ("1e400", Kind::Float),
            ("-.inf", Kind::Float),
            (".5", Kind::Float),
            ("5.", Kind::Float),
            (".", Kind::Text),
            ("1e", Kind::Text),
            ("e5", Kind::Text),
            ("-", Kind::Text),
            ("22:22", Kind::Text),
            ("1.2.3", Kind::Text),
            ("１", Kind::Text),
        ] {
            assert_eq!(Scalar::new(text.into(), true).kind(), kind, "{text:?}");
            assert_eq!(Scalar::new(text.into(), false).kind(), Kind::Text, "quoted {text:?}");
        }
    }
}
