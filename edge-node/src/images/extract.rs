//! A layer into a directory: compressed tar in, files with owners, modes and attributes out.
//!
//! ```text
//! blob ──▶ decode ──▶ tarball ──▶ tree
//!          inflate,   headers,    one entry at a time below a directory
//!          count and  PAX,        that nothing can leave
//!          hash       limits
//! ```
//!
//! The directory is an overlayfs upper directory, so whiteouts become what overlayfs understands (a character
//! device 0:0; the attribute `trusted.overlay.opaque`). What ends up on disk is what containerd's own extractor
//! makes of the same layer; a test compares the trees. Where it is stricter it says so with a named fault: a layer
//! is either unpacked to exactly the signed content or refused.
//!
//! The `tar` crate only names header fields here. Its own unpacking follows symlinks it made, and its PAX reader
//! cuts records at newlines, which breaks binary attributes such as `security.capability`.

mod decode;
mod error;
mod name;
mod pax;
mod tarball;
mod tree;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use shared::release::Layer;

use decode::Decoded;
pub use error::{ExtractError, Rule, Why};
use tarball::Tarball;
use tree::Tree;

/// Most entries of one layer, directories made on the way included.
pub const ENTRIES_MAX: u32 = 1_000_000;
/// Deepest entry, in directories.
pub const DEPTH_MAX: usize = 128;
/// Longest path in bytes (Linux' `PATH_MAX` without its NUL).
pub const PATH_MAX: usize = 4095;

/// Where a layer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The directory that takes the layer's own files.
    pub upper: PathBuf,
    /// The directories of the layers below, topmost first; empty for the lowest layer. A directory that this layer
    /// does not name itself takes owner, mode and attributes from there.
    pub below: Vec<PathBuf>,
}

/// Tells an extraction on another thread to end soon. Cheap to clone; clones share.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Ends it.
    pub fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it shall end.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Unpacks `blob`, the bytes of `layer`, into `target`, and checks size and sha256 of the whole tar.
///
/// Blocks: call it where that is allowed. After an error the directory holds a part of the layer and must be removed.
/// Nothing outside of it is ever written. Memory stays below 1 MiB plus what the decompressor needs (zstd: the frame's
/// window, at most 32 MiB).
pub fn extract(layer: &Layer, blob: File, target: &Target, stop: &Stop) -> Result<(), ExtractError> {
    unpack(layer, blob, target, stop).map_err(|why| ExtractError { layer: layer.tar.digest, why })
}

fn unpack(layer: &Layer, blob: File, target: &Target, stop: &Stop) -> Result<(), Why> {
    let mut tarball = Tarball::new(Decoded::new(blob, layer.compression, layer.tar, stop.clone())?);
    let mut tree = Tree::open(target)?;
    while let Some(entry) = tarball.next()? {
        tree.put(&entry, &mut tarball)?;
    }
    tree.finish()?;
    tarball.finish()
}

/// Reads the whole of `blob` and checks size and sha256 of its tar without writing anything.
pub fn check(layer: &Layer, blob: File, stop: &Stop) -> Result<(), ExtractError> {
    let decoded = Decoded::new(blob, layer.compression, layer.tar, stop.clone());
    decoded.and_then(Decoded::finish).map_err(|why| ExtractError { layer: layer.tar.digest, why })
}

#[cfg(test)]
mod tests;
