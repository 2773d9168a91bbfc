//! A blob on its way: bytes are appended and hashed; the end makes it visible.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::release::Blob;

use super::{BlobError, Blobs, PARTS_MAX};

/// The right to write one blob, given back when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    blobs: Blobs,
    digest: Digest,
}

impl Claim {
    /// Fails while somebody else has it, or while so many others are written.
    pub(super) fn new(blobs: &Blobs, digest: Digest) -> Result<Self, BlobError> {
        let mut busy = blobs.busy();
        if busy.contains(&digest) {
            return Err(BlobError::Busy { digest });
        }
        make_room(blobs, &busy, digest)?;
        busy.insert(digest);
        Ok(Self { blobs: blobs.clone(), digest })
    }
}

/// Sees to it that there are fewer than [`PARTS_MAX`] parts beside that of `digest`. The one nobody went on with for the
/// longest time goes: uploads that were given up must not stop those that are under way.
fn make_room(blobs: &Blobs, busy: &BTreeSet<Digest>, digest: Digest) -> Result<(), BlobError> {
    let mut idle = blobs.parts().map_err(|error| BlobError::io("counting parts", error))?;
    idle.retain(|(_, part, _)| part.is_none_or(|part| part != digest && !busy.contains(&part)));
    if idle.len() + busy.len() < PARTS_MAX {
        return Ok(());
    }
    let oldest = idle.into_iter().min_by_key(|(_, _, modified)| *modified);
    let (path, ..) = oldest.ok_or(BlobError::TooManyParts)?;
    tracing::info!(part = %path.display(), "too many unfinished blobs; the oldest one is given up");
    fs::remove_file(path).map_err(|error| BlobError::io("removing an old part", error))
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.blobs.busy().remove(&self.digest);
    }
}

/// An unfinished blob that this value alone writes. Dropped, it stays on disk and can be gone on with, unless it is empty.
#[derive(Debug)]
pub struct Part {
    claim: Claim,
    want: Blob,
    file: File,
    hasher: Sha256,
    offset: u64,
}

impl Part {
    /// Opens or makes the part and hashes what it has.
    pub(super) fn open(claim: Claim, want: Blob) -> Result<Self, BlobError> {
        let opening = |error| BlobError::io("opening a part", error);
        let path = claim.blobs.part_path(&want.digest);
        let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(opening)?;
        let mut part = Self { claim, want, file, hasher: Sha256::new(), offset: 0 };
        part.rehash().map_err(opening)?;
        if part.offset > want.size {
            part.restart()?;
        }
        Ok(part)
    }

    fn rehash(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = self.file.read(&mut buffer)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
            self.hasher.update(bytes);
            self.offset += read as u64;
        }
    }

    /// What the blob must become.
    pub const fn want(&self) -> Blob {
        self.want
    }

    /// How many bytes are there.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Throws away what is there.
    pub fn restart(&mut self) -> Result<(), BlobError> {
        self.file.set_len(0).map_err(|error| BlobError::io("emptying a part", error))?;
        (self.hasher, self.offset) = (Sha256::new(), 0);
        Ok(())
    }

    /// Appends bytes; more than the blob's size is an error at once. Blocks.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let end = self.offset.saturating_add(bytes.len() as u64);
        if end > self.want.size {
            self.throw_away();
            return Err(BlobError::WrongSize { digest: self.want.digest, expected: self.want.size, found: end });
        }
        self.file.write_all(bytes).map_err(|error| BlobError::io("writing a part", error))?;
        self.hasher.update(bytes);
        self.offset = end;
        Ok(())
    }

    /// Verifies size and digest, syncs, and makes the blob visible. Wrong bytes are thrown away. Blocks.
    pub fn finish(self) -> Result<(), BlobError> {
        let Blob { digest, size } = self.want;
        if self.offset != size {
            return Err(BlobError::WrongSize { digest, expected: size, found: self.offset });
        }
        let found = Digest::from_bytes(self.hasher.clone().finalize().into());
        if found != digest {
            self.throw_away();
            return Err(BlobError::WrongDigest { expected: digest, found });
        }
        let finishing = |error| BlobError::io("finishing a blob", error);
        // Its last byte may have come long ago; it is held from now on, like one that is asked for.
        self.file.set_modified(SystemTime::now()).map_err(finishing)?;
        self.file.sync_all().map_err(finishing)?;
        self.publish().map_err(finishing)?;
        self.claim.blobs.ask(&digest).map(drop)
    }

    /// Renames the part to its final name and syncs both directories, so that the name survives a power cut.
    fn publish(&self) -> io::Result<()> {
        let (blobs, digest) = (&self.claim.blobs, &self.want.digest);
        let path = blobs.path(digest);
        if let Some(dir) = path.parent() {
            if !dir.is_dir() {
                fs::create_dir_all(dir)?;
                sync_dir(&blobs.0.root.join("sha256"))?;
            }
            fs::rename(blobs.part_path(digest), &path)?;
            sync_dir(dir)?;
        }
        Ok(())
    }

    /// A part that can never fit; when removing fails too, the next start of this blob finds it and restarts it.
    fn throw_away(&self) {
        let _kept = self.file.set_len(0);
        let _kept = fs::remove_file(self.claim.blobs.part_path(&self.want.digest));
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.offset == 0 {
            // It has moved when it is an empty blob, and otherwise there is nothing to go on with; the claim ends after this.
            let _gone = fs::remove_file(self.claim.blobs.part_path(&self.want.digest));
        }
    }
}

pub(crate) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
