//! Byte vectors in one piece. Serde takes a `Vec<u8>` for a list of numbers and asks for each one; a frame of 256 KiB is
//! then 262,144 calls on both sides. postcard writes both forms alike (length as varint, then the bytes), so that this
//! changes no byte of any message.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// For `#[serde(with = "…")]`.
pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// For `#[serde(with = "…")]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    deserializer.deserialize_byte_buf(Raw)
}

struct Raw;

impl Visitor<'_> for Raw {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Whole(#[serde(with = "super")] Vec<u8>);

    #[test]
    fn the_bytes_are_those_of_a_list() {
        for size in [0, 1, 127, 128, 300, 70_000] {
            let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
            let listed = postcard::to_stdvec(&bytes).expect("encode");
            let whole = Whole(bytes);
            assert_eq!(postcard::to_stdvec(&whole).expect("encode"), listed);
            assert_eq!(postcard::from_bytes::<Whole>(&listed).expect("decode"), whole);
            assert!(size == 0 || postcard::from_bytes::<Whole>(&listed[..listed.len() - 1]).is_err());
        }
    }
}
