//! Which patch a layer comes by: `<diff_id>.patch` beside the patches, one line with digest and size.
//!
//! It is written when the hub has named the patch, so that a transfer goes on after a kill or a reboot without asking, and
//! a patch that is complete is applied while the hub is away. It stands as long as the patch is worth having.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use shared::id::Digest;
use shared::release::Blob;

use super::{BlobError, Blobs, failed, sync_dir, unlink};

impl Blobs {
    /// The patch that `layer` comes by, if the hub has named one.
    pub fn patch_of(&self, layer: Digest) -> Result<Option<Blob>, BlobError> {
        let path = self.patch_path(layer);
        match fs::read_to_string(&path) {
            // A line that a power cut left half is no patch.
            Ok(line) => Ok(parse(&line)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(failed("reading", &path, 0)(error)),
        }
    }

    /// Remembers the patch that `layer` comes by. What arrived of another one is removed.
    pub fn remember_patch(&self, layer: Digest, patch: Blob) -> Result<(), BlobError> {
        if self.patch_of(layer)?.is_some_and(|before| before != patch) {
            self.forget_patch(layer)?;
        }
        let path = self.patch_path(layer);
        let line = format!("{} {}\n", patch.digest, patch.size);
        let written = File::create(&path).and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()));
        written.map_err(failed("writing", &path, 0))?;
        sync_dir(&self.0.dir)
    }

    /// Removes the patch of `layer`, however much of it is there. Call it when nobody is writing it.
    pub fn forget_patch(&self, layer: Digest) -> Result<(), BlobError> {
        if let Some(patch) = self.patch_of(layer)? {
            let path = self.path(patch.digest);
            unlink(&path)?;
            unlink(&path.with_extension("part"))?;
            unlink(&path.with_extension("mark"))?;
        }
        unlink(&self.patch_path(layer))
    }

    fn patch_path(&self, layer: Digest) -> PathBuf {
        self.path(layer).with_extension("patch")
    }
}

fn parse(line: &str) -> Option<Blob> {
    let (digest, size) = line.strip_suffix('\n')?.split_once(' ')?;
    Some(Blob { digest: digest.parse().ok()?, size: size.parse().ok()? })
}
