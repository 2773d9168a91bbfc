//! A layer into a directory: a tar in, files with owners, modes and attributes out.
//!
//! ```text
//! pack ──▶ signed ──▶ tarball ──▶ tree
//!          count and  headers,    one entry at a time below a directory
//!          hash       PAX,        that nothing can leave
//!                     limits
//! ```
//!
//! The directory is an overlayfs upper directory, so whiteouts become what overlayfs understands (a character
//! device 0:0; the attribute `trusted.overlay.opaque`). What ends up on disk is what containerd's own extractor
//! makes of the same layer; a test compares the trees. Where it is stricter it says so with a named fault: a layer
//! is either unpacked to exactly the signed content or refused.
//!
//! The `tar` crate only names header fields here. Its own unpacking follows symlinks it made, and its PAX reader
//! cuts records at newlines, which breaks binary attributes such as `security.capability`.

mod error;
mod name;
mod pax;
mod signed;
mod tarball;
mod tree;

use std::io::Read;
use std::path::{Path, PathBuf};

use shared::release::Blob;

use super::stop::Stop;
pub use error::{ExtractError, Rule, Why};
use signed::Signed;
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

/// Unpacks `tar`, which must have the signed size and sha256, into `target`.
///
/// Blocks: call it where that is allowed. After an error the directory holds a part of the layer and must be removed.
/// Nothing outside of it is ever written. Memory stays below 1 MiB.
pub fn extract(signed: Blob, tar: impl Read + 'static, target: &Target, stop: &Stop) -> Result<(), ExtractError> {
    unpack(Signed::new(signed, tar, stop), target).map_err(|why| ExtractError { layer: signed.digest, why })
}

fn unpack(tar: Signed, target: &Target) -> Result<(), Why> {
    let mut tarball = Tarball::new(tar);
    let mut tree = Tree::open(target)?;
    while let Some(entry) = tarball.next()? {
        tree.put(&entry, &mut tarball)?;
    }
    tree.finish()?;
    tarball.finish()
}

/// Removes what is in the directory of `layer`, and makes the directory if it is gone.
pub fn clear(layer: Blob, dir: &Path) -> Result<(), ExtractError> {
    tree::clear(dir).map_err(|why| ExtractError { layer: layer.digest, why })
}

/// Reads the whole of `tar` and checks size and sha256 without writing anything.
pub fn check(signed: Blob, tar: impl Read + 'static, stop: &Stop) -> Result<(), ExtractError> {
    Signed::new(signed, tar, stop).finish().map_err(|why| ExtractError { layer: signed.digest, why })
}

#[cfg(test)]
mod tests;
