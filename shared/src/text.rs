//! Types that are a text wherever they are stored or sent.

/// For types that are read by `FromStr` and written by `Display`: the conversions that serde's `try_from` and `into` name.
macro_rules! as_text {
    ($($text:ty),+) => {$(
        impl TryFrom<String> for $text {
            type Error = <Self as std::str::FromStr>::Err;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$text> for String {
            fn from(text: $text) -> Self {
                text.to_string()
            }
        }
    )+};
}

/// For types of 32 bytes that are written `<prefix>:<64 hex digits>`: what serde does with them. They are a text in formats for
/// people (JSON), and the bytes in binary ones (postcard).
macro_rules! as_text_or_bytes {
    ($($hash:ty),+) => {$(
        impl serde::Serialize for $hash {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
            }
        }

        impl<'de> serde::Deserialize<'de> for $hash {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(d).map(Self)
                }
            }
        }
    )+};
}

/// The bytes of `<prefix>:<64 lower-case hex digits>`.
pub(crate) fn bytes_behind(prefix: &str, text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(prefix)?.strip_prefix(':')?;
    let mut bytes = [0; 32];
    if digits.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

pub(crate) use {as_text, as_text_or_bytes};
