//! The cache of patches that were made.
//!
//! ```text
//! <state>/patches/1-<to>-<key>-<sha256>-<size>.patch
//! ```
//!
//! The name says everything, so that a start reads no file. A patch has the same bytes whenever it is made, so one that was
//! evicted comes back under the same digest. How long ago a patch was used survives a restart as the time of its file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use shared::id::Digest;
use shared::release::Blob;

use super::error::DeltaError;
use super::new_file::{NewFile, open_dir};
use super::shelf::{Kept, Key, Shelf};
use crate::access::lock;
use crate::blobs::reader::OpenFiles;
use crate::blobs::{BlobError, check_space, digest_of_name};

/// Version of patches, and of the names of their files.
const VERSION: u8 = 1;
/// Bytes that are made free before something is made.
const ROOM: u64 = 256 << 20;
/// A use is written down at most so often.
const NOTE_EVERY: Duration = Duration::from_secs(60);

/// The key of the patch from these layers, in this order, to that one.
pub(super) fn key(from: &[Digest], to: &Digest) -> Key {
    let mut hasher = Sha256::new_with_prefix([VERSION]);
    for layer in from.iter().chain([to]) {
        hasher.update(layer.as_bytes());
    }
    Digest::from_bytes(hasher.finalize().into())
}

/// The directory of all patches.
#[derive(Debug)]
pub(super) struct Patches {
    dir: PathBuf,
    max: u64,
    shelf: Mutex<Shelf>,
    /// Held while patches give way to something else.
    giving_way: Mutex<()>,
    /// Held while a patch is compared with its digest.
    looking: Mutex<()>,
    open: OpenFiles,
    started: Instant,
}

impl Patches {
    /// Opens `<state>/patches` for at most `max` bytes. Blocks.
    pub(super) fn open(state: &Path, max: u64) -> Result<Self, BlobError> {
        let dir = state.join("patches");
        let opening = |error| BlobError::io("opening the patches", error);
        let mut found: Vec<(SystemTime, Kept)> = Vec::new();
        for (name, meta) in open_dir(&dir).map_err(opening)? {
            match parse(&name).filter(|kept| kept.blob.size == meta.len()) {
                Some(kept) => found.push((meta.modified().map_err(opening)?, kept)),
                None => fs::remove_file(dir.join(name)).map_err(opening)?,
            }
        }
        found.sort_by_key(|(modified, kept)| (*modified, kept.key));
        let mut shelf = Shelf::new(max);
        found.into_iter().for_each(|(_, kept)| shelf.restore(kept));
        let patches = Self {
            dir,
            max,
            shelf: Mutex::new(shelf),
            giving_way: Mutex::default(),
            looking: Mutex::default(),
            open: OpenFiles::default(),
            started: Instant::now(),
        };
        let going = lock(&patches.shelf).reserve(0, 0, Duration::ZERO);
        patches.delete(&going.unwrap_or_default());
        Ok(patches)
    }

    /// Bytes of all patches.
    pub(super) fn bytes(&self) -> u64 {
        lock(&self.shelf).bytes()
    }

    /// Patches that somebody is in the middle of.
    pub(super) fn pinned(&self) -> usize {
        lock(&self.shelf).pinned()
    }

    /// The patch of this key, which counts as used. One from before the start, or that somebody read to its end, is read and
    /// compared with its digest first: a damaged one would be sent to every node, and wanted by none. Blocks.
    pub(super) fn find(&self, key: &Key) -> Option<Blob> {
        let now = self.started.elapsed();
        let (kept, before) = lock(&self.shelf).find(key, now)?;
        let is_due = || lock(&self.shelf).is_due(key, now);
        if is_due() {
            // Whoever asks meanwhile waits for the answer.
            let _one_at_a_time = lock(&self.looking);
            if is_due() && !self.is_sound(&kept) {
                tracing::warn!(patch = %kept.blob.digest, "a patch was damaged on this disk; it is made again");
                self.drop_one(&kept);
                return None;
            }
            lock(&self.shelf).fits(key, now);
        }
        if before.is_none_or(|before| now.saturating_sub(before) >= NOTE_EVERY) {
            // Only the order after a restart depends on it.
            let _not_noted = File::open(self.path(&kept)).and_then(|file| file.set_modified(SystemTime::now()));
        }
        Some(kept.blob)
    }

    /// The layer that the patch of this digest makes, and the patch's size.
    pub(super) fn of(&self, digest: &Digest) -> Option<(Digest, u64)> {
        lock(&self.shelf).of(digest).map(|kept| (kept.to, kept.blob.size))
    }

    /// Bytes of a patch for a node that pulls it. Blocks.
    pub(super) fn read(&self, digest: &Digest, offset: u64, length: u32) -> Result<Bytes, BlobError> {
        let kept = lock(&self.shelf).pulled(digest, self.started.elapsed());
        let kept = kept.ok_or(BlobError::Missing { digest: *digest })?;
        let read = self.open.get(digest, &self.path(&kept)).and_then(|file| file.read(offset, length));
        if !matches!(read, Ok(_) | Err(BlobError::Offset { .. })) {
            // Somebody removed the file, or the disk does not give it. Asked for again, the patch is made again.
            self.drop_one(&kept);
        }
        if read.as_ref().is_ok_and(|bytes| offset.saturating_add(bytes.len() as u64) >= kept.blob.size) {
            lock(&self.shelf).read_out(digest);
        }
        read
    }

    fn is_sound(&self, kept: &Kept) -> bool {
        let mut hasher = Sha256::new();
        let mut copy = || io::copy(&mut File::open(self.path(kept))?, &mut HashWriter(&mut hasher));
        copy().is_ok_and(|size| size == kept.blob.size) && Digest::from_bytes(hasher.finalize().into()) == kept.blob.digest
    }

    fn drop_one(&self, kept: &Kept) {
        lock(&self.shelf).remove(&kept.key);
        self.delete(&[*kept]);
    }

    /// Removes patches that nobody uses, the oldest first, until the disk has room for what is made next: nothing else on
    /// it can be made again. Blocks.
    pub(super) fn give_way(&self) {
        self.give_way_to(ROOM);
    }

    /// As [`give_way`](Self::give_way), to something of so many bytes.
    pub(super) fn give_way_to(&self, bytes: u64) {
        let _one_at_a_time = lock(&self.giving_way);
        while check_space(&self.dir, bytes).is_err() {
            let Some(kept) = lock(&self.shelf).take_idle(self.started.elapsed()) else { return };
            self.delete(&[kept]);
        }
    }

    /// Removes patches that make layers which nobody needs, but for those in use; how many, and their bytes. Blocks.
    pub(super) fn remove_unneeded(&self, is_needed: impl Fn(&Digest) -> bool) -> (u64, u64) {
        let going = lock(&self.shelf).take_unneeded(is_needed, self.started.elapsed());
        self.delete(&going);
        (going.len() as u64, going.iter().map(|kept| kept.blob.size).sum())
    }

    /// Where a new patch is written; it takes at least so many bytes, and is refused at once when there is no room for them.
    /// Blocks.
    #[cfg(test)]
    pub(super) fn begin(&self, least: u64) -> Result<NewPatch<'_>, DeltaError> {
        self.begin_up_to(least, least)
    }

    /// Where a new patch is written that may take as much as `most` bytes. When that is more than the bound they are
    /// reserved at once, so that nothing half made is thrown away. Blocks.
    pub(super) fn begin_up_to(&self, least: u64, most: u64) -> Result<NewPatch<'_>, DeltaError> {
        let mut room = Room { patches: self, held: 0, refused: None };
        if most <= self.max || room.grow(most).is_err() {
            room.grow(least)?;
        }
        self.give_way();
        Ok(NewPatch { room, file: NewFile::create(&self.dir)?, hasher: Sha256::new() })
    }

    /// Keeps a patch that was written. Blocks.
    pub(super) fn keep(&self, key: Key, to: Digest, patch: NewPatch<'_>) -> Result<Blob, DeltaError> {
        let NewPatch { mut room, file, hasher } = patch;
        let blob = Blob { digest: Digest::from_bytes(hasher.finalize().into()), size: file.size() };
        let kept = Kept { key, to, blob };
        file.finish(&name(&kept))?;
        lock(&self.shelf).add(kept, std::mem::take(&mut room.held), self.started.elapsed());
        Ok(blob)
    }

    /// Somebody is in the middle of the patch of this digest; `false` when there is none.
    pub(super) fn pin(&self, digest: &Digest) -> bool {
        lock(&self.shelf).pin(digest)
    }

    /// One less is in the middle of it.
    pub(super) fn unpin(&self, digest: &Digest) {
        lock(&self.shelf).unpin(digest);
    }

    fn delete(&self, going: &[Kept]) {
        for kept in going {
            self.open.forget(&kept.blob.digest);
            if let Err(error) = fs::remove_file(self.path(kept)) {
                tracing::debug!(%error, "a patch was not removed; the next start finds it");
            }
        }
    }

    fn path(&self, kept: &Kept) -> PathBuf {
        self.dir.join(name(kept))
    }
}

/// Hashes what is written.
struct HashWriter<'h>(&'h mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The room of a patch that is being made; given back when dropped.
#[derive(Debug)]
struct Room<'p> {
    patches: &'p Patches,
    held: u64,
    /// So many bytes were asked for and not had.
    refused: Option<u64>,
}

impl Room<'_> {
    /// Takes `size` bytes in all.
    fn grow(&mut self, size: u64) -> Result<(), DeltaError> {
        let patches = self.patches;
        let going = lock(&patches.shelf).reserve(self.held, size, patches.started.elapsed());
        let Some(going) = going else {
            self.refused = Some(size);
            return Err(DeltaError::CacheFull { size, max: patches.max });
        };
        (self.held, self.refused) = (size, None);
        patches.delete(&going);
        Ok(())
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        lock(&self.patches.shelf).give_back(self.held);
    }
}

/// A patch on its way.
#[derive(Debug)]
pub(super) struct NewPatch<'p> {
    room: Room<'p>,
    file: NewFile,
    hasher: Sha256,
}

impl NewPatch<'_> {
    /// Why writing failed.
    pub(super) fn failed(&self, error: io::Error) -> DeltaError {
        match self.room.refused {
            Some(size) => DeltaError::CacheFull { size, max: self.room.patches.max },
            None => DeltaError::io("writing a patch", error),
        }
    }
}

impl Write for NewPatch<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.file.size().saturating_add(bytes.len() as u64);
        if end > self.room.held {
            self.room.grow(end).map_err(|error| io::Error::new(io::ErrorKind::QuotaExceeded, error))?;
        }
        let written = self.file.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn name(kept: &Kept) -> String {
    let Kept { key, to, blob } = kept;
    format!("{VERSION}-{}-{}-{}-{}.patch", to.hex(), key.hex(), blob.digest.hex(), blob.size)
}

fn parse(name: &str) -> Option<Kept> {
    let mut parts = name.strip_suffix(".patch")?.split('-');
    let mut next = || parts.next();
    if next()? != VERSION.to_string() {
        return None;
    }
    let (to, key, digest) = (digest_of_name(next()?)?, digest_of_name(next()?)?, digest_of_name(next()?)?);
    let size = next()?.parse().ok()?;
    let kept = Kept { key, to, blob: Blob { digest, size } };
    (next().is_none() && self::name(&kept) == name).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(patches: &Patches, key: Key, bytes: &[u8]) -> Result<Blob, DeltaError> {
        let mut patch = patches.begin(bytes.len() as u64)?;
        patch.write_all(bytes).unwrap();
        patches.keep(key, Digest::of(b"to"), patch)
    }

    fn files(dir: &Path) -> usize {
        fs::read_dir(dir.join("patches")).unwrap().count()
    }

    #[test]
    fn keys_depend_on_order_and_place() {
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        let keys = [key(&[], &a), key(&[], &b), key(&[a], &b), key(&[b], &a), key(&[a, b], &b), key(&[b, a], &b)];
        let distinct: std::collections::BTreeSet<_> = keys.into_iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn patches_are_known_after_a_restart_in_the_order_of_their_use() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b, c] = [b"a", b"b", b"c"].map(|name| Digest::of(name));
        let patches = Patches::open(dir.path(), 1000).unwrap();
        let made = put(&patches, a, &[1; 400]).unwrap();
        assert_eq!(made, Blob { digest: Digest::of(&[1; 400]), size: 400 });
        put(&patches, b, &[2; 400]).unwrap();
        assert!(matches!(put(&patches, c, &[3; 400]), Err(DeltaError::CacheFull { size: 400, max: 1000 })), "both are in use");
        assert_eq!(files(dir.path()), 2);
        let old = SystemTime::now() - Duration::from_secs(5000);
        for entry in fs::read_dir(dir.path().join("patches")).unwrap() {
            File::open(entry.unwrap().path()).unwrap().set_modified(old).unwrap();
        }
        fs::write(dir.path().join("patches/1-2.tmp"), b"left by a killed hub").unwrap();
        fs::write(dir.path().join("patches/strange"), b"").unwrap();

        let again = Patches::open(dir.path(), 1000).unwrap();
        assert_eq!((files(dir.path()), again.bytes()), (2, 800));
        assert_eq!(again.of(&made.digest), Some((Digest::of(b"to"), 400)));
        assert_eq!(again.find(&a), Some(made), "and from now on it is the one used last");
        let third = Patches::open(dir.path(), 1000).unwrap();
        assert_eq!(put(&third, c, &[3; 400]).unwrap().size, 400);
        assert_eq!((third.find(&b), third.find(&a)), (None, Some(made)));
        assert_eq!(third.read(&made.digest, 390, 100).unwrap(), vec![1; 10]);
        assert!(matches!(third.read(&Digest::of(&[2; 400]), 0, 1), Err(BlobError::Missing { .. })));

        let small = Patches::open(dir.path(), 500).unwrap();
        assert_eq!((files(dir.path()), small.bytes()), (1, 400), "a smaller bound holds at once");
    }

    #[test]
    fn a_patch_without_room_ends_while_it_is_made_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let patches = Patches::open(dir.path(), 1000).unwrap();
        put(&patches, Digest::of(b"a"), &[1; 400]).unwrap();
        assert!(matches!(patches.begin(601), Err(DeltaError::CacheFull { size: 601, max: 1000 })), "before it is made");
        assert_eq!(files(dir.path()), 1);
        let mut grows = patches.begin(100).unwrap();
        grows.write_all(&[2; 600]).unwrap();
        let error = grows.write_all(&[2; 1]).unwrap_err();
        assert!(matches!(grows.failed(error), DeltaError::CacheFull { size: 601, max: 1000 }));
        assert!(matches!(patches.begin(1), Err(DeltaError::CacheFull { size: 1, .. })), "what is being made has its room");
        drop(grows);
        assert_eq!((files(dir.path()), patches.bytes()), (1, 400));
        let mut fits = patches.begin(600).unwrap();
        fits.write_all(&[3; 10]).unwrap();
        patches.keep(Digest::of(b"c"), Digest::of(b"to"), fits).unwrap();
        assert_eq!(put(&patches, Digest::of(b"d"), &[4; 590]).unwrap().size, 590, "what it did not use is free");
        let alone = tempfile::tempdir().unwrap();
        let small = Patches::open(alone.path(), 100).unwrap();
        let mut large = small.begin(50).unwrap();
        large.write_all(&[5; 5000]).unwrap();
        assert_eq!(small.keep(Digest::of(b"e"), Digest::of(b"to"), large).unwrap().size, 5000, "the only one may be larger");
        let busy_dir = tempfile::tempdir().unwrap();
        let busy = Patches::open(busy_dir.path(), 100).unwrap();
        let mut large = busy.begin_up_to(50, 5000).unwrap();
        put(&busy, Digest::of(b"f"), &[6; 90]).unwrap();
        assert!(matches!(busy.begin_up_to(200, 5000), Err(DeltaError::CacheFull { size: 200, max: 100 })), "one at a time");
        large.write_all(&[7; 4000]).unwrap();
        busy.keep(Digest::of(b"g"), Digest::of(b"to"), large).unwrap();
        assert_eq!(busy.bytes(), 4090, "on a busy hub too");
    }

    #[test]
    fn a_patch_that_the_disk_damaged_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let made = put(&Patches::open(dir.path(), 1000).unwrap(), Digest::of(b"a"), &[1; 400]).unwrap();
        let path = fs::read_dir(dir.path().join("patches")).unwrap().next().unwrap().unwrap().path();
        let patches = Patches::open(dir.path(), 1000).unwrap();
        assert_eq!(patches.find(&Digest::of(b"a")), Some(made));
        fs::write(&path, [2; 400]).unwrap();
        let patches = Patches::open(dir.path(), 1000).unwrap();
        let asked: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = (0..4).map(|_| scope.spawn(|| patches.find(&Digest::of(b"a")))).collect();
            asked.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!((asked, files(dir.path()), patches.bytes()), (vec![None; 4], 0, 0), "whoever asks first");
    }

    #[test]
    fn a_file_that_was_taken_away_or_cut_is_no_patch() {
        let dir = tempfile::tempdir().unwrap();
        let patches = Patches::open(dir.path(), 1000).unwrap();
        let made = put(&patches, Digest::of(b"a"), &[1; 400]).unwrap();
        let path = fs::read_dir(dir.path().join("patches")).unwrap().next().unwrap().unwrap().path();
        fs::remove_file(&path).unwrap();
        assert!(matches!(patches.read(&made.digest, 0, 1), Err(BlobError::Missing { .. })));
        assert_eq!(patches.find(&Digest::of(b"a")), None);
        fs::write(&path, [1; 399]).unwrap();
        assert_eq!(Patches::open(dir.path(), 1000).unwrap().bytes(), 0);
        assert_eq!(files(dir.path()), 0);
    }
}
