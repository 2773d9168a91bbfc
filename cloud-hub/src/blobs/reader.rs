//! Open files of the blobs that are being read: nodes ask for 256 KiB at a time, and the same layer again and again.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use shared::id::Digest;

use super::BlobError;

/// Files that stay open.
const OPEN_MAX: usize = 64;

/// The most recently used blobs, first the latest.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles(Mutex<VecDeque<Arc<Opened>>>);

/// One open blob.
#[derive(Debug)]
pub(crate) struct Opened {
    digest: Digest,
    file: File,
    /// Bytes of the blob.
    pub(crate) size: u64,
}

impl OpenFiles {
    /// The blob if it is open already.
    pub(crate) fn cached(&self, digest: &Digest) -> Option<Arc<Opened>> {
        let mut files = self.lock();
        let at = files.iter().position(|opened| opened.digest == *digest)?;
        let opened = files.remove(at)?;
        files.push_front(Arc::clone(&opened));
        Some(opened)
    }

    /// The blob, opened from `path` if needed. Blocks.
    pub(crate) fn get(&self, digest: &Digest, path: &Path) -> Result<Arc<Opened>, BlobError> {
        if let Some(opened) = self.cached(digest) {
            return Ok(opened);
        }
        let opening = |error: io::Error| {
            if error.kind() == io::ErrorKind::NotFound {
                return BlobError::Missing { digest: *digest };
            }
            BlobError::io("opening a blob", error)
        };
        let file = File::open(path).map_err(opening)?;
        let size = file.metadata().map_err(opening)?.len();
        let opened = Arc::new(Opened { digest: *digest, file, size });
        let mut files = self.lock();
        files.push_front(Arc::clone(&opened));
        files.truncate(OPEN_MAX);
        Ok(opened)
    }

    /// Closes the blob once its readers are done.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.lock().retain(|opened| opened.digest != *digest);
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Opened>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opened {
    /// Bytes `offset..offset + length`, cut at the end of the blob. Blocks.
    pub(crate) fn read(&self, offset: u64, length: u32) -> Result<Bytes, BlobError> {
        if offset > self.size {
            return Err(BlobError::Offset { digest: self.digest, have: self.size });
        }
        let length = (self.size - offset).min(u64::from(length)) as usize;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| BlobError::io("reading a blob", error))?;
        Ok(bytes.into())
    }
}
