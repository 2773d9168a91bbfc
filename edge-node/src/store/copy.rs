//! The second copy of the records: one file, `1`, sha256, postcard.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use shared::id::Digest;

use super::{Records, StoreError};

const VERSION: u8 = 1;
/// Largest copy that is read, in bytes: 256 apps with two releases of 64 KiB each, and room.
const COPY_MAX: u64 = 256 << 20;

/// Replaces the copy; when this returns, the new one survives a power cut.
pub fn write(path: &Path, records: &Records) -> Result<(), StoreError> {
    let failed = |doing| {
        move |cause: std::io::Error| {
            if cause.kind() == ErrorKind::StorageFull {
                StoreError::Full(path.display().to_string())
            } else {
                StoreError::Io { doing, path: path.display().to_string(), cause }
            }
        }
    };
    let body = postcard::to_stdvec(records).map_err(|error| StoreError::Damaged(error.to_string()))?;
    let temporary = path.with_extension("copy.new");
    let mut file = File::create(&temporary).map_err(failed("creating"))?;
    file.write_all(&[VERSION]).and_then(|()| file.write_all(Digest::of(&body).as_bytes())).map_err(failed("writing"))?;
    file.write_all(&body).and_then(|()| file.sync_all()).map_err(failed("writing"))?;
    std::fs::rename(&temporary, path).map_err(failed("renaming"))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing"))
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
