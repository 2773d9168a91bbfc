//! A blob on its way: appended in order, synced now and then, renamed when it is whole and right.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use shared::release::Blob;

use super::mark::{Mark, boot_id, trusted};
use super::{BlobError, Blobs, Inner, digest_of, failed, hash, sync_dir, unlink};
use crate::images::claims::Claim;

/// After so many bytes the data are synced and the mark is moved: the most that a power cut can cost.
pub const SYNC_EVERY: u64 = 4 << 20;

/// The one writer of a blob. Dropping it keeps what is written.
#[derive(Debug)]
pub struct Partial {
    blob: Blob,
    path: PathBuf,
    file: File,
    marks: File,
    mark: Mark,
    hasher: Sha256,
    offset: u64,
    /// The directory stays locked as long as somebody writes in it.
    blobs: Blobs,
    _claim: Claim,
}

impl Partial {
    /// Opens or makes the files of `blob` and finds out how much of them counts.
    pub(super) fn open(blobs: Blobs, blob: Blob, claim: Claim) -> Result<Self, BlobError> {
        let Inner { dir, boot, .. } = &*blobs.0;
        let path = dir.join(blob.digest.hex()).with_extension("part");
        let mut file = read_write(&path)?;
        let marks = read_write(&path.with_extension("mark"))?;
        let (offset, mark) = resume(&file, &marks, boot, blob).map_err(failed("resuming", &path, blob.size))?;
        reserve(&file, blob.size).map_err(failed("reserving", &path, blob.size - offset))?;
        mark.write(&marks).map_err(failed("marking", &path, 0))?;
        sync_dir(dir)?;
        let (hasher, _) = hash(&mut file, offset).map_err(failed("reading", &path, 0))?;
        file.seek(SeekFrom::Start(offset)).map_err(failed("reading", &path, 0))?;
        Ok(Self { blob, path, file, marks, mark, hasher, offset, blobs, _claim: claim })
    }

    /// Bytes that are there.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes the next bytes. More than the blob's size is refused before anything is written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let left = self.blob.size - self.offset;
        if bytes.len() as u64 > left {
            return Err(BlobError::Differs(self.blob.digest));
        }
        if let Err(error) = self.file.write_all(bytes) {
            // A part of `bytes` may be written: go back to where the hash is.
            let back = self.file.set_len(self.offset).and_then(|()| self.file.seek(SeekFrom::Start(self.offset)));
            back.map_err(failed("writing", &self.path, left))?;
            return Err(failed("writing", &self.path, left)(error));
        }
        self.hasher.update(bytes);
        self.offset += bytes.len() as u64;
        if self.offset - self.mark.synced >= SYNC_EVERY {
            self.sync()?;
        }
        Ok(())
    }

    /// Whether a power cut would take something.
    pub const fn is_unsynced(&self) -> bool {
        self.offset > self.mark.synced
    }

    /// Makes what is written durable and says so in the mark. Worth it when nothing is written for a while.
    pub fn sync(&mut self) -> Result<(), BlobError> {
        self.file.sync_data().map_err(failed("syncing", &self.path, 0))?;
        self.mark = Mark { sequence: self.mark.sequence.wrapping_add(1), synced: self.offset, ..self.mark };
        self.mark.write(&self.marks).map_err(failed("marking", &self.path, 0))
    }

    /// Checks the digest and puts the blob in its place, durably. Wrong bytes are removed.
    pub fn finish(self) -> Result<(), BlobError> {
        if self.offset != self.blob.size || digest_of(self.hasher) != self.blob.digest {
            unlink(&self.path)?;
            unlink(&self.path.with_extension("mark"))?;
            return Err(BlobError::Differs(self.blob.digest));
        }
        self.file.sync_all().map_err(failed("syncing", &self.path, 0))?;
        fs::rename(&self.path, self.path.with_extension("")).map_err(failed("renaming", &self.path, 0))?;
        sync_dir(&self.blobs.0.dir)?;
        unlink(&self.path.with_extension("mark"))
    }
}

/// Cuts the file back to what counts, and makes the mark of this boot.
fn resume(file: &File, marks: &File, boot: &str, blob: Blob) -> std::io::Result<(u64, Mark)> {
    let old = Mark::read(marks)?;
    let boot = boot_id(boot);
    let length = file.metadata()?.len();
    let offset = trusted(old.as_ref(), boot, blob.size, length);
    file.set_len(offset)?;
    let synced = old.filter(|mark| mark.size == blob.size).map_or(0, |mark| mark.synced.min(offset));
    let sequence = old.map_or(0, |mark| mark.sequence.wrapping_add(1));
    Ok((offset, Mark { sequence, boot, synced, size: blob.size }))
}

/// Asks for the room at once, so that a full disk is known before the link is used. The length stays.
fn reserve(file: &File, size: u64) -> std::io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    match fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
        Ok(()) | Err(Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

fn read_write(path: &Path) -> Result<File, BlobError> {
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    options.map_err(failed("opening", path, 0))
}
