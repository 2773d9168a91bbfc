//! What keeps a blob that no release names: somebody may be about to publish it.
//!
//! A publish asks for each blob, uploads those that are missing, and names them all at its end. In between nothing says that
//! they belong together, so that each of them is held by itself: since it was uploaded or asked for (a lease, which a
//! restart outlives as the time of the file), and while a release that names it is being recorded (a claim).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use shared::id::Digest;

use super::{BlobError, Blobs, PART_AGE_MAX, blocking};

/// A blob that was uploaded or asked for is held for so long.
pub const LEASE: Duration = Duration::from_secs(24 * 3600);

/// How long a lease is. While something is being uploaded, or was cut, what came before it waits for its end.
pub(crate) const fn lease(is_uploading: bool) -> Duration {
    if is_uploading { PART_AGE_MAX } else { LEASE }
}

/// Who holds which blob. Whoever asks for a blob or removes one does so under this lock.
#[derive(Debug, Default)]
pub(super) struct Holds(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    /// How many releases that are being recorded name the blob.
    claims: BTreeMap<Digest, usize>,
    /// When somebody asked for the blob; forgotten when that is long ago.
    asked: BTreeMap<Digest, Instant>,
}

impl Holds {
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Blobs that stay while this is there, and from its end on as if they had been asked for then.
#[derive(Debug)]
pub(crate) struct Claims {
    blobs: Blobs,
    digests: Vec<Digest>,
}

impl Drop for Claims {
    fn drop(&mut self) {
        let mut table = self.blobs.0.holds.lock();
        let now = Instant::now();
        for digest in &self.digests {
            table.asked.insert(*digest, now);
            if let Some(count) = table.claims.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    table.claims.remove(digest);
                }
            }
        }
    }
}

impl Blobs {
    /// Holds these blobs, whether they are there or not.
    pub(crate) fn claim(&self, digests: impl IntoIterator<Item = Digest>) -> Claims {
        let digests: Vec<Digest> = digests.into_iter().collect();
        let mut table = self.0.holds.lock();
        for digest in &digests {
            *table.claims.entry(*digest).or_default() += 1;
        }
        drop(table);
        Claims { blobs: self.clone(), digests }
    }

    /// The size of a blob that is there, which is held from now on. Blocks.
    pub(super) fn ask(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let mut table = self.0.holds.lock();
        let size = self.size_blocking(digest)?;
        if size.is_some() {
            table.asked.insert(*digest, Instant::now());
            // Only a lease that outlives a restart depends on it.
            let _not_noted = File::open(self.path(digest)).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Ok(size)
    }

    /// The size of a blob that is there, which is held from now on like one that was uploaded.
    pub(crate) async fn size_held(&self, digest: &Digest) -> Result<Option<u64>, BlobError> {
        let (this, digest) = (self.clone(), *digest);
        blocking(move || this.ask(&digest)).await
    }

    /// Whether something is being uploaded or pulled, or was cut and may go on.
    pub(crate) async fn is_uploading(&self) -> Result<bool, BlobError> {
        let this = self.clone();
        blocking(move || {
            let parts = this.parts().map_err(|error| BlobError::io("counting parts", error))?;
            Ok(parts.iter().any(|(_, part, _)| part.is_some()))
        })
        .await
    }

    /// Removes a blob that no release names, unless it is held at `now`; the bytes that this freed.
    pub(crate) async fn remove_unless_held(
        &self,
        digest: &Digest,
        now: SystemTime,
        lease: Duration,
    ) -> Result<Option<u64>, BlobError> {
        let (this, digest) = (self.clone(), *digest);
        blocking(move || {
            let mut table = this.0.holds.lock();
            if table.claims.contains_key(&digest) || table.asked.get(&digest).is_some_and(|asked| asked.elapsed() < lease) {
                return Ok(None);
            }
            let path = this.path(&digest);
            let removing = |error| BlobError::io("removing a blob", error);
            let meta = match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                meta => meta.map_err(removing)?,
            };
            match now.duration_since(meta.modified().map_err(removing)?) {
                Ok(age) if age >= lease => {}
                Ok(_) => return Ok(None),
                // The clock was ahead when it came, or is behind now: the lease begins anew, and not by the clock alone.
                Err(_) => {
                    table.asked.insert(digest, Instant::now());
                    let noted = File::open(&path).and_then(|file| file.set_modified(now));
                    return noted.map(|()| None).map_err(removing);
                }
            }
            if !meta.is_file() {
                return Err(removing(io::ErrorKind::IsADirectory.into()));
            }
            // The disk frees a large file for seconds, and async threads wait for the lock: under it, it only gets another name.
            let doomed = this.doomed().join(digest.hex());
            fs::rename(&path, &doomed).map_err(removing)?;
            drop(table);
            this.0.open.forget(&digest);
            fs::remove_file(&doomed).map_err(removing)?;
            Ok(Some(meta.len()))
        })
        .await
    }

    fn doomed(&self) -> PathBuf {
        self.0.root.join("doomed")
    }

    /// Removes what a hub that was killed, or whose disk failed, left doomed. Blocks.
    pub(super) fn clean_doomed(&self) {
        let clean = || fs::read_dir(self.doomed())?.try_for_each(|entry| fs::remove_file(entry?.path()));
        if let Err(error) = clean() {
            tracing::warn!(%error, "a blob that no release needs was not removed; the next start tries again");
        }
    }

    /// Forgets who asked for a blob longer ago than any lease is.
    pub(crate) fn forget_old_leases(&self) {
        self.0.holds.lock().asked.retain(|_, asked| asked.elapsed() < PART_AGE_MAX);
    }
}
