//! The second copy of the records: one file, `2`, sha256, postcard of [`Kept`]. A `1` has the records alone.

use std::path::Path;

use shared::id::Digest;

use super::{Kept, StoreError};
use crate::private_file;

const VERSION: u8 = 2;
/// Largest copy that is read, in bytes: 256 apps with two releases of 64 KiB each, and room.
const COPY_MAX: u64 = 256 << 20;

/// Replaces the copy; when this returns, the new one survives a power cut.
pub fn write(path: &Path, kept: &Kept) -> Result<(), StoreError> {
    let body = postcard::to_stdvec(kept).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let bytes = [&[VERSION], Digest::of(&body).as_bytes().as_slice(), &body].concat();
    Ok(private_file::write(path, &bytes)?)
}

/// What the copy holds; nothing when it is missing or damaged.
pub fn read(path: &Path) -> Kept {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= COPY_MAX);
    let bytes = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    decode(&bytes).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    let (version, rest) = bytes.split_first()?;
    let (sum, body) = rest.split_at_checked(32)?;
    if Digest::of(body).as_bytes() != sum {
        return None;
    }
    match *version {
        1 => Some(Kept { writes: 0, records: postcard::from_bytes(body).ok()? }),
        VERSION => postcard::from_bytes(body).ok(),
        _ => None,
    }
}
