//! Images: from a registry, a layout or an archive to a verified [`Image`] per platform.
//!
//! ```text
//! registry ──pull──▶ blobs ─┐
//! OCI layout, directory ────┼─▶ find: index → manifests of the wanted platforms
//! OCI layout, tar ──────────┤   examine: manifest, config, every layer: digest, size, diff_id, size of the tar
//! docker save ──────────────┘   ──▶ Vec<Image>
//! ```
//!
//! Whatever the source, the same [`examine()`] reads the same bytes through [`Content`], so a registry and an archive of
//! the same image give the same [`Image`]. Nothing is ever extracted to a path: content is found by digest, and tars
//! are read as streams. Signature and manifest digests rest on these checks: a node repeats them while it unpacks, but
//! only here is the compressed blob tied to its diff_id before anybody signs it.
//!
//! `hubctl` uses [`archive::read`] on the operator's machine and uploads [`archive::ArchiveImage::blobs`]; the hub then
//! runs [`examine()`] on what arrived. This module knows neither the store nor the network; [`mod@pull`] is the one bridge.

pub mod archive;
mod docker;
mod document;
mod error;
mod examine;
mod finder;
mod measure;
pub mod pull;
#[cfg(test)]
#[path = "../../tests/support/samples.rs"]
pub(crate) mod samples;
mod source;
mod walk;

use std::io::Read;

use shared::id::Digest;
use shared::oci::Platform;
#[cfg(doc)]
use shared::release::Image;

pub use self::error::ImageError;
pub use self::examine::{Known, examine, platform_of};
pub(crate) use self::finder::Finder;
pub use self::measure::{Tap, ZSTD_WINDOW_LOG, read_tar};

/// Which images of a source are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// In a layout or archive with several images: the one of this name (`ref.name` annotation or repository tag).
    pub name: Option<String>,
    /// Platforms that must be there; empty: every Linux platform the source has.
    pub platforms: Vec<Platform>,
}

impl Wanted {
    /// Whether an image of `platform` is wanted.
    pub fn takes(&self, platform: &Platform) -> bool {
        match self.platforms.as_slice() {
            [] => platform.os == "linux",
            wanted => wanted.iter().any(|wanted| platform.runs_on(wanted)),
        }
    }

    /// Whether all that is wanted is among `found`.
    fn check(&self, found: &[Platform], available: &[Platform]) -> Result<(), ImageError> {
        let missing = |wanted: &&Platform| !found.iter().any(|found| found.runs_on(wanted));
        match self.platforms.iter().find(missing) {
            Some(wanted) => Err(ImageError::no_platform(wanted, available)),
            None if found.is_empty() => Err(ImageError::no_platform(&"linux", available)),
            None => Ok(()),
        }
    }
}

/// Bounds of what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest blob, in bytes.
    pub blob: u64,
    /// Largest uncompressed layer, in bytes.
    pub tar: u64,
    /// A layer may grow to so many times its blob, beyond the first GiB (gzip itself ends at 1,032).
    pub ratio: u64,
    /// Most files of one layer.
    pub files: u64,
    /// Largest archive that is unpacked from gzip or zstd before it is read, in bytes.
    pub archive: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { blob: 16 << 30, tar: 32 << 30, ratio: 200, files: 500_000, archive: 64 << 30 }
    }
}

/// What is being done with which blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Bytes come in.
    Fetch,
    /// Bytes are hashed and inflated.
    Check,
}

/// How far one step is; the last one of a blob has `done == total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// With which blob.
    pub blob: Digest,
    /// Bytes done.
    pub done: u64,
    /// Bytes of the blob.
    pub total: u64,
}

/// Told about progress: a few times per MiB at most.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

/// A progress that nobody wants to see.
pub fn quiet(_: Progress) {}

/// A blob's size and its bytes from the first one on.
pub type Opened<'a> = (u64, Box<dyn Read + Send + 'a>);

/// Content by digest, wherever it lies. Reading blocks.
pub trait Content {
    /// The bytes of a blob from the first one on, with their number; `None` when it is not there. Not verified.
    fn open(&self, digest: &Digest) -> Result<Option<Opened<'_>>, ImageError>;
}

impl Content for crate::blobs::Blobs {
    fn open(&self, digest: &Digest) -> Result<Option<Opened<'_>>, ImageError> {
        let found = self.reader(digest)?;
        Ok(found.map(|(size, reader)| (size, Box::new(reader) as Box<dyn Read + Send>)))
    }
}
