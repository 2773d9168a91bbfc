//! Names and digests: the only strings a path, a topic or a container id is ever built from.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

use crate::text::{as_text_or_bytes, bytes_behind};

/// Longest [`Name`], in bytes: one DNS label (RFC 1123).
pub const NAME_MAX: usize = 63;

/// A lower-case DNS label: `[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?`.
///
/// Names of nodes, apps, services, volumes, configs and secrets. Nothing that can leave a directory,
/// match a wildcard or start an option fits into it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Name(#[schemars(regex(pattern = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"))] Box<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a name: use 1 to 63 of a-z, 0-9 and '-', with no '-' at either end")]
pub struct BadName {
    /// The refused text, cut to 80 characters.
    pub text: String,
}

impl Name {
    /// Checks `text` and makes it a name.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let bytes = text.as_bytes();
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        if bytes.len() <= NAME_MAX && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inner) {
            Ok(Self(text.into()))
        } else {
            Err(BadName { text: text.chars().take(80).collect() })
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::new(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// A sha256 digest, written `sha256:<64 hex digits>` as in the OCI image specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest: expected sha256: and 64 hexadecimal digits")]
pub struct BadDigest {
    /// The refused text, cut to 80 characters.
    pub text: String,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A digest computed elsewhere, for example by a streaming hasher.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, without telling by its time where the first difference is.
    pub fn same(self, other: Self) -> bool {
        let difference = self.0.iter().zip(other.0).fold(0, |all, (a, b)| all | (a ^ b));
        std::hint::black_box(difference) == 0
    }

    /// The 64 hex digits without the `sha256:` prefix: a safe file name.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> String {
        let mut text = self.hex();
        text.truncate(12);
        text
    }
}

impl FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, BadDigest> {
        let bad = || BadDigest { text: text.chars().take(80).collect() };
        bytes_behind("sha256", text).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.short())
    }
}

as_text_or_bytes!(Digest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "web", "node-1", "0", &"x".repeat(63)] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "..", "é", "a b", "a\0", "+", "#", "$sys", &"x".repeat(64)] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_round_trip_and_refuse_other_forms() {
        let digest = Digest::of(b"causeway");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for bad in ["", "sha256:", "sha512:00", &digest.hex(), &digest.to_string().to_uppercase(), &format!("{digest}0")] {
            assert!(bad.parse::<Digest>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn digests_compare_in_all_their_bytes() {
        let a = Digest::of(b"a");
        assert!(a.same(a));
        for place in 0..32 {
            let mut bytes = *a.as_bytes();
            bytes[place] ^= 1;
            assert!(!a.same(Digest::from_bytes(bytes)), "byte {place}");
        }
    }
}
