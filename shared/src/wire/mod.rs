//! Formats on the wire and on disk.
//!
//! The first byte of every message and record is the version, the rest is postcard. The types of a version
//! are frozen and separate from the core types; conversions lead from one to the other. Golden files under
//! `tests/golden/` hold the bytes of everything ever shipped.

mod raw;
pub mod v1;

use serde::{Serialize, de::DeserializeOwned};

/// Largest payload of one blob frame, in bytes.
pub const FRAME_MAX: u32 = 256 << 10;
/// Largest message in either direction: a frame and its header.
pub const MESSAGE_MAX: usize = (256 << 10) + 1024;

/// Most layers that a node names when it asks for a patch: 8 KiB.
pub const HAVE_MAX: usize = 256;

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Nothing there.
    #[error("empty message")]
    Empty,
    /// A version this build does not speak.
    #[error("version {0} is not spoken here")]
    UnknownVersion(u8),
    /// Not what the version says.
    #[error("malformed {what}: {why}")]
    Malformed {
        /// The type that was expected.
        what: &'static str,
        /// The cause.
        why: String,
    },
}

fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    // Serialising plain data into a vector has no way to fail; an empty vector decodes as `Empty`.
    postcard::to_extend(value, vec![version]).unwrap_or_default()
}

fn decode<T: DeserializeOwned>(version: u8, what: &'static str, bytes: &[u8]) -> Result<T, WireError> {
    match bytes.split_first() {
        None => Err(WireError::Empty),
        Some((found, _)) if *found != version => Err(WireError::UnknownVersion(*found)),
        Some((_, rest)) => match postcard::take_from_bytes(rest) {
            Ok((value, [])) => Ok(value),
            Ok((_, left)) => Err(WireError::Malformed { what, why: format!("{} bytes too many", left.len()) }),
            Err(error) => Err(WireError::Malformed { what, why: error.to_string() }),
        },
    }
}
