//! The second copy of the records: one file, `1`, sha256, postcard.

use std::path::Path;

use shared::id::Digest;

use super::{Records, StoreError};
use crate::private_file;

const VERSION: u8 = 1;
/// Largest copy that is read, in bytes: 256 apps with two releases of 64 KiB each, and room.
const COPY_MAX: u64 = 256 << 20;

/// Replaces the copy; when this returns, the new one survives a power cut.
pub fn write(path: &Path, records: &Records) -> Result<(), StoreError> {
    let body = postcard::to_stdvec(records).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let bytes = [&[VERSION], Digest::of(&body).as_bytes().as_slice(), &body].concat();
    Ok(private_file::write(path, &bytes)?)
}

/// The records of the copy; none when it is missing or damaged.
pub fn read(path: &Path) -> Records {
    let small = std::fs::metadata(path).is_ok_and(|meta| meta.len() <= COPY_MAX);
    let bytes = if small { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    let checked = || {
        let (version, rest) = bytes.split_first()?;
        let (sum, body) = rest.split_at_checked(32)?;
        let sound = *version == VERSION && Digest::of(body).as_bytes() == sum;
        sound.then(|| postcard::from_bytes(body).ok()).flatten()
    };
    checked().unwrap_or_default()
}
