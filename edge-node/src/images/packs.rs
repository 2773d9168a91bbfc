//! The node's packs: `<state>/packs/<diff_id>.pack`, one for each layer that an app of this node needs.
//!
//! A pack is all there is of a layer beside its unpacked files: images are unpacked from it, a damaged image is unpacked
//! from it again without any network, and the next version of the layer is made from it. It takes about 40 % of the tar.
//! The format is that of [`shared::recipe::pack`]. A pack has its name when it is complete and synced; that its bytes
//! are those of the diff_id is decided when it is unpacked, and again whenever it is unpacked. What is begun of a pack is
//! `<diff_id>.part`: it outlives the daemon as long as its layer is awaited, and whoever goes on with it looks how much of it
//! is right.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use shared::id::Digest;
use shared::recipe::pack::{Pack, PackError};
use shared::recipe::{ReadAt, WriteAt};
use shared::rot::is_rot;
use shared::wire::HAVE_MAX;

use super::blobs::{BlobError, FILES_MAX, failed, sync_dir, unlink};
use super::claims::{Claim, Claims};

/// Ends the name of a pack.
const PACK: &str = "pack";
/// Ends the name of one that is being written.
const PART: &str = "part";

/// The directory of packs. Cheap to clone; clones share.
#[derive(Debug, Clone)]
pub struct Packs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    claims: Claims,
}

/// A file of a pack.
#[derive(Debug)]
pub struct PackFile(File);

impl From<File> for PackFile {
    fn from(file: File) -> Self {
        Self(file)
    }
}

impl ReadAt for PackFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }
}

impl WriteAt for PackFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }
}

impl Packs {
    /// Opens `dir`, makes it if needed, and removes what is not of packs. The caller holds the lock of the state directory.
    pub fn open(dir: &Path) -> Result<Self, BlobError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("making", dir, 0))?;
        let packs = Self(Arc::new(Inner { dir: dir.into(), claims: Claims::default() }));
        packs.remove_where(|_, kind| !matches!(kind, Some(PACK | PART)))?;
        Ok(packs)
    }

    /// Where they lie.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// Where the pack of a layer lies.
    pub fn path(&self, layer: Digest) -> PathBuf {
        self.0.dir.join(layer.hex()).with_extension(PACK)
    }

    /// Whether there is a pack of the layer.
    pub fn has(&self, layer: Digest) -> bool {
        self.path(layer).is_file()
    }

    /// Layers there are packs of, the newest first; at most [`HAVE_MAX`].
    pub fn list(&self) -> Result<Vec<Digest>, BlobError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.0.dir).map_err(failed("listing", &self.0.dir, 0))?.take(FILES_MAX) {
            let entry = entry.map_err(failed("listing", &self.0.dir, 0))?;
            if let Some((layer, PACK)) = entry.file_name().to_str().and_then(layer_of) {
                let written = entry.metadata().and_then(|meta| meta.modified()).map_err(failed("reading", &entry.path(), 0))?;
                found.push((std::cmp::Reverse(written), layer));
            }
        }
        found.sort();
        Ok(found.into_iter().take(HAVE_MAX).map(|(_, layer)| layer).collect())
    }

    /// Bytes of the disk that each pack takes, and those of packs that are being made.
    pub fn allocated(&self) -> Result<(BTreeMap<Digest, u64>, u64), BlobError> {
        let (mut packs, mut making) = (BTreeMap::new(), 0_u64);
        for entry in fs::read_dir(&self.0.dir).map_err(failed("listing", &self.0.dir, 0))?.take(FILES_MAX) {
            let entry = entry.map_err(failed("listing", &self.0.dir, 0))?;
            let bytes = entry.metadata().map_or(0, |meta| meta.blocks().saturating_mul(512)); // 0: it is gone by now
            match entry.file_name().to_str().and_then(layer_of) {
                Some((layer, PACK)) => _ = packs.insert(layer, bytes),
                _ => making = making.saturating_add(bytes),
            }
        }
        Ok((packs, making))
    }

    /// Opens the pack of a layer; one that is damaged so that it cannot be opened is removed.
    pub fn read(&self, layer: Digest) -> Result<Pack<PackFile>, BlobError> {
        self.opened(layer, open(&self.path(layer)))
    }

    /// What opening the pack of a layer came to. One that the disk does not give any more is as good as damaged: as long as it
    /// had its name, nobody would bring it again.
    fn opened(&self, layer: Digest, opened: Result<Pack<PackFile>, PackError>) -> Result<Pack<PackFile>, BlobError> {
        match opened {
            Ok(pack) if pack.tar().digest == layer => Ok(pack),
            Err(PackError::Io(cause)) if cause.kind() == io::ErrorKind::NotFound => Err(BlobError::Absent(layer)),
            Err(PackError::Io(cause)) if !is_rot(&cause) => Err(failed("reading", &self.path(layer), 0)(cause)),
            Ok(_) | Err(PackError::Io(_) | PackError::Damaged(_) | PackError::TooLarge) => {
                self.remove(layer)?;
                Err(BlobError::Differs(layer))
            }
        }
    }

    /// Once nobody else in this process makes the pack of the layer: the right to make it.
    pub async fn claim(&self, layer: Digest) -> Claim {
        self.0.claims.claim(layer).await
    }

    /// An empty file for the pack of `layer` while it is being written; the caller has claimed it.
    pub fn begin(&self, layer: Digest) -> Result<PackFile, BlobError> {
        let (file, _) = self.resume(layer)?;
        self.cut(layer, &file, 0)?;
        Ok(file)
    }

    /// As [`begin`](Self::begin), but with what is there of it, and how many bytes that is.
    pub fn resume(&self, layer: Digest) -> Result<(PackFile, u64), BlobError> {
        let path = self.path(layer).with_extension(PART);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(failed("opening", &path, 0))?;
        let length = file.metadata().map_err(failed("reading", &path, 0))?.len();
        sync_dir(&self.0.dir)?;
        Ok((PackFile(file), length))
    }

    /// Removes what `file` has behind its first `length` bytes.
    pub fn cut(&self, layer: Digest, file: &PackFile, length: u64) -> Result<(), BlobError> {
        file.0.set_len(length).map_err(failed("cutting", &self.path(layer).with_extension(PART), 0))
    }

    /// Makes durable what is written of a pack.
    pub fn sync(&self, layer: Digest, file: &PackFile) -> Result<(), BlobError> {
        file.0.sync_data().map_err(failed("syncing", &self.path(layer).with_extension(PART), 0))
    }

    /// Bytes of the disk that is taken by what is begun of a pack.
    pub fn begun(&self, layer: Digest) -> u64 {
        let part = fs::symlink_metadata(self.path(layer).with_extension(PART));
        part.map_or(0, |meta| meta.blocks().saturating_mul(512))
    }

    /// Makes the finished pack durable and gives it its name.
    pub fn finish(&self, layer: Digest, file: &PackFile) -> Result<(), BlobError> {
        let (path, part) = (self.path(layer), self.path(layer).with_extension(PART));
        file.0.sync_all().map_err(failed("syncing", &part, 0))?;
        fs::rename(&part, &path).map_err(failed("renaming", &part, 0))?;
        sync_dir(&self.0.dir)
    }

    /// Removes what is begun of a pack.
    pub fn give_up(&self, layer: Digest) -> Result<(), BlobError> {
        unlink(&self.path(layer).with_extension(PART))
    }

    /// Removes a pack; one that is not there is no error.
    pub fn remove(&self, layer: Digest) -> Result<(), BlobError> {
        unlink(&self.path(layer))
    }

    /// Removes every pack whose layer is not in `keep`, and what is begun of layers that are not in `awaited`; the number of
    /// bytes freed. Call it when none is being made.
    pub fn sweep(&self, keep: &BTreeSet<Digest>, awaited: &BTreeSet<Digest>) -> Result<u64, BlobError> {
        self.remove_where(|layer, kind| match (layer, kind) {
            (Some(layer), Some(PACK)) => !keep.contains(&layer),
            (Some(layer), Some(PART)) => !awaited.contains(&layer),
            _ => true,
        })
    }

    /// Removes files by layer and kind; the number of bytes freed.
    fn remove_where(&self, unwanted: impl Fn(Option<Digest>, Option<&str>) -> bool) -> Result<u64, BlobError> {
        let mut freed = 0;
        for entry in fs::read_dir(&self.0.dir).map_err(failed("listing", &self.0.dir, 0))?.take(FILES_MAX) {
            let entry = entry.map_err(failed("listing", &self.0.dir, 0))?;
            let name = entry.file_name();
            let (layer, kind) = name.to_str().and_then(layer_of).unzip();
            if unwanted(layer, kind) {
                freed += entry.metadata().map_or(0, |meta| meta.len());
                unlink(&entry.path())?;
            }
        }
        Ok(freed)
    }
}

fn open(path: &Path) -> Result<Pack<PackFile>, PackError> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Pack::open(PackFile(file), length)
}

/// Layer and kind of a file's name.
fn layer_of(name: &str) -> Option<(Digest, &str)> {
    let (hex, kind) = name.split_once('.')?;
    Some((format!("sha256:{hex}").parse().ok()?, kind))
}

/// The tar inside a pack, from front to back.
pub struct PackTar {
    pack: Pack<PackFile>,
    chunk: usize,
    /// Bytes of the chunk that were read.
    done: usize,
}

impl PackTar {
    /// The tar of `pack`.
    pub const fn new(pack: Pack<PackFile>) -> Self {
        Self { pack, chunk: 0, done: 0 }
    }
}

impl Read for PackTar {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let bytes = self.pack.chunk(self.chunk).map_err(|error| match error {
                PackError::Io(cause) => cause,
                damaged @ (PackError::Damaged(_) | PackError::TooLarge) => io::Error::other(damaged),
            })?;
            let Some(bytes) = bytes else { return Ok(0) };
            let rest = bytes.get(self.done..).unwrap_or_default();
            if rest.is_empty() {
                (self.chunk, self.done) = (self.chunk + 1, 0);
                continue;
            }
            let n = rest.len().min(into.len());
            if let (Some(to), Some(from)) = (into.get_mut(..n), rest.get(..n)) {
                to.copy_from_slice(from);
            }
            self.done += n;
            return Ok(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_pack_that_the_disk_does_not_give_any_more_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let packs = Packs::open(dir.path()).unwrap();
        let layer = Digest::of(b"layer");
        for (errno, stays) in [(Errno::IO, false), (Errno::UCLEAN, false), (Errno::BADMSG, false), (Errno::MFILE, true)] {
            fs::write(packs.path(layer), b"?").unwrap();
            let read = packs.opened(layer, Err(PackError::Io(errno.into()))).map(drop);
            assert_eq!((packs.has(layer), matches!(read, Err(BlobError::Differs(_)))), (stays, !stays), "{read:?}");
        }
        assert!(matches!(packs.read(layer).map(drop), Err(BlobError::Differs(_))), "it is no pack");
        assert!(matches!(packs.read(layer).map(drop), Err(BlobError::Absent(_))));
    }
}
