//! The node's blob directory: `<state>/blobs/sha256/<hex>` for complete blobs, `<hex>.part` and `<hex>.mark`
//! for those on their way.
//!
//! A blob is written from front to back and renamed into place after its sha256 fits. How much of a `.part`
//! file counts when the work goes on depends on what happened in between:
//!
//! * **Link cut**: nothing, the writer is still there.
//! * **Daemon killed, same boot**: all of it. The kernel keeps written pages when a process dies, so the
//!   file's length is the truth.
//! * **Another boot**: only what was synced. After a power cut the tail of a file may be zeros or old disk
//!   content although its length is right. Every [`SYNC_EVERY`] bytes the data are synced and then the
//!   [`mark`] beside it is moved up; the file is cut back to the mark. A fetch that waits for its budget, or is given
//!   up, syncs what it has: bytes of a link that costs are not lost while nothing comes.
//!
//! The sha256 in the end decides in every case; the mark only saves bytes on the link.

mod mark;
mod partial;
mod patches;

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, fstatvfs};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use shared::fault::{Fault, Faulty, image};
use shared::id::Digest;
use shared::release::Blob;
use shared::rot::is_rot;

use super::claims::Claims;
pub use partial::{Partial, SYNC_EVERY};

/// Most files that are looked at when the directory is swept.
pub(super) const FILES_MAX: usize = 100_000;

/// The directory of blobs. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    boot: String,
    claims: Claims,
    /// Holds the lock of the directory.
    _lock: File,
}

/// What [`Blobs::begin`] found.
#[derive(Debug)]
pub enum Begun {
    /// The blob is there already.
    Complete,
    /// Bytes are missing, from [`Partial::offset`] on.
    Missing(Box<Partial>),
}

/// Why the blob directory failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// No room.
    #[error("disk full: {need} bytes needed in {path}, {free} free")]
    Full {
        /// Where.
        path: PathBuf,
        /// Bytes that are still missing of the blob.
        need: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The bytes are not those of the digest; they are gone from disk.
    #[error("the bytes of {0} do not fit its digest")]
    Differs(Digest),
    /// The blob is not there.
    #[error("{0} is not here")]
    Absent(Digest),
    /// Another daemon uses the directory.
    #[error("another process uses {0}")]
    InUse(PathBuf),
    /// A file operation failed.
    #[error("{doing} {path}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
}

impl Faulty for BlobError {
    fn fault(&self) -> Fault {
        match self {
            Self::Full { path, need, free } => {
                Fault::new(&image::DISK_FULL).with("path", path.display()).with("need", need).with("free", free)
            }
            Self::Differs(digest) => Fault::new(&image::BLOB_DAMAGED).with("blob", digest.short()),
            Self::Absent(digest) => Fault::new(&image::BLOB_UNKNOWN).with("blob", digest.short()),
            Self::InUse(path) => Fault::new(&image::BLOBS_IN_USE).with("path", path.display()),
            Self::Io { doing, path, cause } => {
                Fault::new(&image::BLOBS_FAILED).with("doing", doing).with("path", path.display()).with("cause", cause)
            }
        }
    }
}

/// Names the operation that failed; `need` bytes were still to be written, if it was a write.
pub(crate) fn failed(doing: &'static str, path: &Path, need: u64) -> impl FnOnce(io::Error) -> BlobError {
    move |cause| match Errno::from_io_error(&cause) {
        Some(Errno::NOSPC | Errno::DQUOT) => BlobError::Full { path: path.into(), need, free: free(path) },
        _ => BlobError::Io { doing, path: path.into(), cause },
    }
}

/// Bytes free where `path` lies; 0 when that cannot be known.
fn free(path: &Path) -> u64 {
    let stat = File::open(path.parent().unwrap_or(path)).ok().and_then(|dir| fstatvfs(dir).ok());
    stat.map_or(0, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}

impl Blobs {
    /// Opens `<state>/blobs`, makes it if needed and locks it. `boot` is any text that differs after every boot,
    /// such as `/proc/sys/kernel/random/boot_id`.
    pub fn open(dir: &Path, boot: &str) -> Result<Self, BlobError> {
        let files = dir.join("sha256");
        DirBuilder::new().recursive(true).mode(0o700).create(&files).map_err(failed("making", &files, 0))?;
        fs::set_permissions(dir, Permissions::from_mode(0o700)).map_err(failed("closing to others", dir, 0))?;
        let path = dir.join("lock");
        let lock = File::create(&path).map_err(failed("opening", &path, 0))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(BlobError::InUse(dir.into())),
            Err(errno) => return Err(failed("locking", &path, 0)(errno.into())),
        }
        sync_dir(dir)?;
        let inner = Inner { dir: files, boot: boot.trim().into(), claims: Claims::default(), _lock: lock };
        Ok(Self(Arc::new(inner)))
    }

    /// Where a complete blob lies.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.0.dir.join(digest.hex())
    }

    /// Whether all bytes of `blob` are on disk.
    pub fn has(&self, blob: &Blob) -> bool {
        fs::symlink_metadata(self.path(blob.digest)).is_ok_and(|meta| meta.is_file() && meta.len() == blob.size)
    }

    /// Bytes of the disk that a blob takes, complete or not.
    pub fn allocated(&self, digest: Digest) -> u64 {
        let path = self.path(digest);
        let of = |path: &Path| fs::symlink_metadata(path).map_or(0, |meta| meta.blocks().saturating_mul(512));
        of(&path).saturating_add(of(&path.with_extension("part")))
    }

    /// Bytes of a blob that arrived, as far as its files say.
    pub fn arrived(&self, blob: &Blob) -> u64 {
        let path = self.path(blob.digest);
        let length = |path: &Path| fs::symlink_metadata(path).map_or(0, |meta| meta.len());
        length(&path).max(length(&path.with_extension("part"))).min(blob.size)
    }

    /// Begins or continues to write `blob`, once nobody else in this process does.
    pub async fn begin(&self, blob: Blob) -> Result<Begun, BlobError> {
        let claim = self.0.claims.claim(blob.digest).await;
        if self.has(&blob) {
            return Ok(Begun::Complete);
        }
        let blobs = self.clone();
        let opened = blocking("opening", &self.0.dir, move || Partial::open(blobs, blob, claim)).await??;
        Ok(Begun::Missing(Box::new(opened)))
    }

    /// All bytes of a small blob, checked against its digest. The caller has checked `blob.size` against a limit.
    pub fn read(&self, blob: &Blob) -> Result<Vec<u8>, BlobError> {
        self.checked(blob, read(&self.path(blob.digest), blob.size.saturating_add(1)))
    }

    /// What reading a blob came to. One that the disk does not give any more is as good as damaged: as long as it had its name,
    /// nobody would bring it again.
    fn checked(&self, blob: &Blob, read: io::Result<Vec<u8>>) -> Result<Vec<u8>, BlobError> {
        match read {
            Ok(bytes) if bytes.len() as u64 == blob.size && Digest::of(&bytes) == blob.digest => Ok(bytes),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Err(BlobError::Absent(blob.digest)),
            Err(cause) if !is_rot(&cause) => Err(failed("reading", &self.path(blob.digest), 0)(cause)),
            Ok(_) | Err(_) => {
                self.remove(blob.digest)?;
                Err(BlobError::Differs(blob.digest))
            }
        }
    }

    /// Reads a blob again and removes it if it is damaged; whether it was sound.
    pub fn verify(&self, blob: &Blob) -> Result<bool, BlobError> {
        let path = self.path(blob.digest);
        let mut file = File::open(&path).map_err(failed("opening", &path, 0))?;
        let (digest, size) = hash(&mut file, u64::MAX).map_err(failed("reading", &path, 0))?;
        let sound = digest_of(digest) == blob.digest && size == blob.size;
        if !sound {
            self.remove(blob.digest)?;
        }
        Ok(sound)
    }

    /// Removes a complete blob; one that is not there is no error.
    pub fn remove(&self, digest: Digest) -> Result<(), BlobError> {
        unlink(&self.path(digest))
    }

    /// Removes every blob, complete or not, that is not in `keep` and no patch of a layer in `keep`. The number of bytes
    /// freed.
    ///
    /// Call it when nothing is being fetched that `keep` does not name.
    pub fn sweep(&self, keep: &BTreeSet<Digest>) -> Result<u64, BlobError> {
        let mut names: BTreeSet<String> = keep.iter().map(Digest::hex).collect();
        for layer in keep {
            names.extend(self.patch_of(*layer)?.map(|patch| patch.digest.hex()));
        }
        let mut freed = 0;
        let entries = fs::read_dir(&self.0.dir).map_err(failed("listing", &self.0.dir, 0))?;
        for entry in entries.take(FILES_MAX) {
            let entry = entry.map_err(failed("listing", &self.0.dir, 0))?;
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.split('.').next()).unwrap_or_default();
            if !names.contains(stem) {
                freed += entry.metadata().map_or(0, |meta| meta.len());
                unlink(&entry.path())?;
            }
        }
        Ok(freed)
    }
}

/// Runs a file operation where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BlobError> {
    // The only ways to fail are a panic in `work` and a runtime that is shutting down.
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(doing, path, 0)(io::Error::other(error)))
}

/// The first `limit` bytes of a file.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The running sha256 and the number of the first `limit` bytes of a file.
fn hash(file: &mut File, limit: u64) -> io::Result<(Sha256, u64)> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 << 10];
    let mut reader = file.take(limit);
    let mut size = 0;
    loop {
        let n = reader.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { return Ok((hasher, size)) };
        hasher.update(bytes);
        size += n as u64;
    }
}

fn digest_of(hasher: Sha256) -> Digest {
    Digest::from_bytes(hasher.finalize().into())
}

pub(super) fn unlink(path: &Path) -> Result<(), BlobError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("removing", path, 0)(error)),
        _ => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), BlobError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing", dir, 0))
}

#[cfg(test)]
mod tests;
