//! The packs of the hub's layers: each layer is cut, compressed and listed once, from its blob.
//!
//! ```text
//! <state>/packs/ab12….pack    shared::recipe::pack, by diff_id
//! <state>/packs/ab12….files   its files in the order of the tar
//! ```
//!
//! A pack is there when both files are; both are written aside, synced and renamed. A pack is nothing but derived: one that
//! is damaged is removed and made again.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::id::Digest;
use shared::recipe::cut::Cutter;
use shared::recipe::draft;
use shared::recipe::make::Source;
use shared::recipe::pack::{Pack, PackError, PackWriter};
use shared::release::Layer;
use shared::rot::is_rot;

use super::error::DeltaError;
use super::file_list::{self, LIST_MAX};
use super::new_file::{NewFile, OldFile, open_dir};
use crate::access::lock;
use crate::blobs::{BlobError, Blobs, digest_of_name};
use crate::images::{Content, ImageError, Limits, Tap, read_tar};

/// The directory of all packs.
#[derive(Debug)]
pub(super) struct Packs {
    dir: PathBuf,
    blobs: Blobs,
    limits: Limits,
    /// The layers whose packs are there.
    there: Mutex<BTreeSet<Digest>>,
}

impl Packs {
    /// Opens `<state>/packs`. Blocks.
    pub(super) fn open(state: &Path, blobs: Blobs) -> Result<Self, BlobError> {
        let dir = state.join("packs");
        let opening = |error| BlobError::io("opening the packs", error);
        let files = open_dir(&dir).map_err(opening)?;
        let names: BTreeSet<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        let mut there = BTreeSet::new();
        for name in &names {
            let layer = name.strip_suffix(".pack").filter(|stem| names.contains(format!("{stem}.files").as_str()));
            let listed = name.strip_suffix(".files").is_some_and(|stem| names.contains(format!("{stem}.pack").as_str()));
            match layer.and_then(digest_of_name) {
                Some(layer) => drop(there.insert(layer)),
                None if listed => {}
                None => fs::remove_file(dir.join(name)).map_err(opening)?,
            }
        }
        Ok(Self { dir, blobs, limits: Limits::default(), there: Mutex::new(there) })
    }

    /// Whether the layer has a pack.
    pub(super) fn has(&self, layer: &Digest) -> bool {
        lock(&self.there).contains(layer)
    }

    /// Whether the layer has a pack or can get one. Blocks.
    pub(super) fn can_have(&self, layer: &Layer) -> bool {
        self.has(&layer.tar.digest) || matches!(self.blobs.size_blocking(&layer.blob.digest), Ok(Some(_)))
    }

    /// Bytes of a layer's pack, if it has one. Blocks.
    pub(super) fn size(&self, layer: &Digest) -> Option<u64> {
        Some(fs::metadata(self.path(layer, "pack")).ok()?.len())
    }

    /// The layers that have packs.
    pub(super) fn layers(&self) -> Vec<Digest> {
        lock(&self.there).iter().copied().collect()
    }

    /// Removes the pack of a layer; the bytes that this freed. A start that finds half of it removes the rest. Blocks.
    pub(super) fn remove(&self, layer: &Digest) -> Result<u64, BlobError> {
        lock(&self.there).remove(layer);
        let mut freed = 0;
        for ending in ["pack", "files"] {
            let path = self.path(layer, ending);
            let removed = fs::metadata(&path).and_then(|meta| fs::remove_file(&path).map(|()| meta.len()));
            match removed {
                Ok(bytes) => freed += bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("removing a pack", error)),
            }
        }
        Ok(freed)
    }

    /// The pack and the files of a layer that has one. Blocks.
    pub(super) fn read(&self, layer: &Digest) -> Result<Source<OldFile>, PackError> {
        let file = File::open(self.path(layer, "pack"))?;
        let length = file.metadata()?.len();
        let pack = Pack::open(OldFile(file), length)?;
        if pack.tar().digest != *layer {
            return Err(PackError::Damaged("it is of another layer"));
        }
        let list = fs::read(self.path(layer, "files"))?;
        let files = file_list::decode(&list).ok_or(PackError::Damaged("its list of files"))?;
        Ok(Source { pack, files })
    }

    /// Forgets a pack that is damaged. One that cannot be read now may be whole, and stays. Blocks.
    pub(super) fn discard_damaged(&self, layer: &Digest, why: &PackError) {
        if !matches!(why, PackError::Damaged(_)) && !matches!(why, PackError::Io(error) if is_lost(error)) {
            return;
        }
        tracing::warn!(%layer, %why, "a pack is given up");
        lock(&self.there).remove(layer);
        for ending in ["pack", "files"] {
            // What stays is written over by the next one.
            let _gone = fs::remove_file(self.path(layer, ending));
        }
    }

    /// Makes the pack of a layer from its blob, which must still be what was published; nothing to do when it is there.
    /// Ends early when `stopping`. Blocks, about as long as compressing the tar takes.
    pub(super) fn make(&self, layer: &Layer, stopping: &AtomicBool) -> Result<(), DeltaError> {
        let diff_id = layer.tar.digest;
        if self.has(&diff_id) {
            return Ok(());
        }
        let failed = |cause: ImageError| DeltaError::Layer { layer: diff_id, cause: Box::new(cause) };
        let digest = layer.blob.digest;
        let opened = self.blobs.open(&digest).map_err(failed)?;
        let (_, mut reader) = opened.ok_or_else(|| failed(ImageError::Missing { digest }))?;
        let mut making = Making::new(NewFile::create(&self.dir)?, stopping).map_err(|cause| in_pack(diff_id, cause))?;
        let done = read_tar(layer, &mut *reader, &self.limits, &mut making);
        if let Some(failed) = making.failed.take() {
            return Err(match failed {
                Failed::Stopped => DeltaError::Stopped,
                Failed::Pack(cause) => in_pack(diff_id, cause),
            });
        }
        done.map_err(failed)?;
        let (pack, files) = making.finish(layer).map_err(|cause| in_pack(diff_id, cause))?;
        let list = file_list::encode(&files).map_err(|error| DeltaError::io("listing a layer", error))?;
        let mut file = NewFile::create(&self.dir)?;
        io::Write::write_all(&mut file, &list).map_err(|error| DeltaError::io("listing a layer", error))?;
        file.finish(&name(&diff_id, "files"))?;
        pack.finish(&name(&diff_id, "pack"))?;
        lock(&self.there).insert(diff_id);
        Ok(())
    }

    fn path(&self, layer: &Digest, ending: &str) -> PathBuf {
        self.dir.join(name(layer, ending))
    }
}

/// Whether a file was taken away, or is rotten.
fn is_lost(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || is_rot(error)
}

fn name(layer: &Digest, ending: &str) -> String {
    format!("{}.{ending}", layer.hex())
}

/// A disk that is full has its own name.
fn in_pack(layer: Digest, cause: PackError) -> DeltaError {
    match cause {
        PackError::Io(error) => DeltaError::io("writing a pack", error),
        cause @ (PackError::Damaged(_) | PackError::TooLarge) => DeltaError::Pack { layer, cause },
    }
}

/// A pack on its way.
struct Making<'a> {
    pack: PackWriter<NewFile>,
    cutter: Cutter,
    files: Vec<draft::File>,
    /// Bytes the list of files takes at most.
    list: u64,
    stopping: &'a AtomicBool,
    failed: Option<Failed>,
}

enum Failed {
    Stopped,
    Pack(PackError),
}

impl<'a> Making<'a> {
    fn new(file: NewFile, stopping: &'a AtomicBool) -> Result<Self, PackError> {
        let pack = PackWriter::new(file)?;
        Ok(Self { pack, cutter: Cutter::default(), files: Vec::new(), list: 0, stopping, failed: None })
    }

    fn finish(mut self, layer: &Layer) -> Result<(NewFile, Vec<draft::File>), PackError> {
        self.cutter.finish(|chunk| self.pack.put(chunk))?;
        Ok((self.pack.finish(layer.tar)?, self.files))
    }
}

impl Tap for Making<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.stopping.load(Ordering::Relaxed) {
            self.failed = Some(Failed::Stopped);
            return Err(io::ErrorKind::Other.into());
        }
        let put = self.cutter.push(bytes, |chunk| self.pack.put(chunk));
        put.map_err(|error| {
            self.failed = Some(Failed::Pack(error));
            io::ErrorKind::Other.into()
        })
    }

    fn file(&mut self, path: Vec<u8>, offset: u64, length: u64) {
        // Beyond its bound a list is cut: what is not in it is sent without references.
        self.list = self.list.saturating_add(path.len() as u64 + 30);
        if self.list <= LIST_MAX {
            self.files.push(draft::File { path, offset, length });
        }
    }
}
