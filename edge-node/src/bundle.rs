//! Bundles: what the hub wants and all it is made of, in a file on a stick ([`shared::bundle`]).
//!
//! ```text
//! edge-node import FILE ─▶ Importer ─▶ Bundle::open: every byte is read once and must fit the hash
//!                              ├─▶ Supply: while the bundle is in, it is asked before the link
//!                              ├─▶ Inbox: the signed desired state in it, as if the hub had sent it
//!                              └─▶ waits until the loop has fetched everything
//! ```
//!
//! There is one way only: inbox, loop and fetch do with a bundle what they do with the link, and believe it as little. What
//! was accepted stays accepted, and what was copied stays copied, when the stick is pulled or the daemon is killed; the
//! next import, or the link, goes on from there.

mod importer;
mod supply;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::OFlags;
use shared::bundle::{self, Checked, Checker, Content};
use shared::fault::{Fault, Faulty};
use shared::id::{Digest, Name};
use shared::release::Blob;
use shared::time::UnixMillis;

pub use importer::{Importer, Parts};
pub use supply::Supply;

use crate::images::stop::Stop;

/// Bytes that are read at once.
const STEP: usize = 256 << 10;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Its bytes are no bundle.
    #[error(transparent)]
    Bundle(#[from] bundle::BundleError),
}

impl Faulty for OpenError {
    fn fault(&self) -> Fault {
        match self {
            Self::File { path, cause } => unreadable(path, cause),
            Self::Bundle(error) => error.fault(),
        }
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> Fault {
    Fault::new(&shared::fault::bundle::UNREADABLE).with("path", path.display()).with("cause", cause)
}

/// A patch in a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Patch {
    blob: Blob,
    /// The layers it begins with.
    from: Vec<Digest>,
}

/// Where bytes are.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset: u64,
    size: u64,
}

/// A bundle whose bytes fitted its hash when it was opened. What is read of it later may be anything again.
#[derive(Debug)]
pub struct Bundle {
    file: File,
    path: PathBuf,
    made: UnixMillis,
    states: BTreeMap<Name, Place>,
    releases: BTreeMap<Digest, Place>,
    /// Documents and patches, by their sha256.
    blobs: BTreeMap<Digest, Place>,
    /// By the layer they make.
    patches: BTreeMap<Digest, Patch>,
    /// Why it cannot be read any more.
    broken: Mutex<Option<Fault>>,
}

impl Bundle {
    /// Opens a bundle and reads all of it once; `told` hears how many bytes of how many. Blocks.
    pub fn open(path: &Path, stop: &Stop, told: impl Fn(u64, u64)) -> Result<Self, OpenError> {
        let failed = |cause| OpenError::File { path: path.into(), cause };
        // Whatever has this name must not hold up the daemon by being opened.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        if !meta.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
        }
        let (mut checker, mut buffer, mut at) = (Checker::default(), vec![0; STEP], 0_u64);
        loop {
            let read = file.read_at(&mut buffer, at).map_err(failed)?;
            let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            if stop.is_asked() {
                return Err(failed(io::ErrorKind::Interrupted.into()));
            }
            checker.push(bytes)?;
            at += bytes.len() as u64;
            told(at, meta.len().max(at));
        }
        Ok(Self::of(file, path, checker.finish()?))
    }

    fn of(file: File, path: &Path, Checked { index, begin }: Checked) -> Self {
        let mut bundle = Self {
            file,
            path: path.into(),
            made: index.made,
            states: BTreeMap::new(),
            releases: BTreeMap::new(),
            blobs: BTreeMap::new(),
            patches: BTreeMap::new(),
            broken: Mutex::default(),
        };
        for (entry, offset) in index.places() {
            let place = Place { offset: begin.saturating_add(offset), size: entry.size };
            match &entry.content {
                Content::Desired(node) => drop(bundle.states.insert(node.clone(), place)),
                Content::Release(id) => drop(bundle.releases.insert(*id, place)),
                Content::Document(digest) => drop(bundle.blobs.insert(*digest, place)),
                Content::Patch { layer, patch, from } => {
                    let blob = Blob { digest: *patch, size: entry.size };
                    bundle.blobs.insert(*patch, place);
                    bundle.patches.insert(*layer, Patch { blob, from: from.clone() });
                }
            }
        }
        bundle
    }

    /// When the hub made it, by its clock.
    pub const fn made(&self) -> UnixMillis {
        self.made
    }

    /// The nodes it is for.
    pub fn nodes(&self) -> impl Iterator<Item = &Name> {
        self.states.keys()
    }

    /// Why it cannot be read any more.
    pub fn broken(&self) -> Option<Fault> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The signed state of a node, if there is one of at most `most` bytes. Blocks.
    fn state(&self, node: &Name, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        self.whole(self.states.get(node), most)
    }

    /// A signed release, if there is one of at most `most` bytes. Blocks.
    fn release(&self, id: Digest, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        self.whole(self.releases.get(&id), most)
    }

    fn whole(&self, place: Option<&Place>, most: usize) -> Result<Option<Vec<u8>>, Fault> {
        let Some(place) = place.filter(|place| place.size <= most as u64) else { return Ok(None) };
        self.at(place.offset, usize::try_from(place.size).unwrap_or(0)).map(Some)
    }

    fn has(&self, blob: Digest) -> bool {
        self.blobs.contains_key(&blob)
    }

    /// A part of a document or of a patch; `None` where it has no such bytes. Blocks.
    fn part(&self, blob: Digest, offset: u64, length: u32) -> Result<Option<Vec<u8>>, Fault> {
        let Some(place) = self.blobs.get(&blob) else { return Ok(None) };
        match offset.checked_add(u64::from(length)) {
            Some(end) if end <= place.size => self.at(place.offset.saturating_add(offset), length as usize).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    fn at(&self, offset: u64, length: usize) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, offset) {
            Ok(()) => Ok(bytes),
            Err(cause) => {
                let fault = unreadable(&self.path, &cause);
                self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault.clone());
                Err(fault)
            }
        }
    }
}
