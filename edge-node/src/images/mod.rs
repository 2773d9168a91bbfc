//! Images: bytes from wherever they are to packs on disk, and from there to a file tree.
//!
//! ```text
//! ChunkSource ──frames──▶ fetch ──in order──▶ blobs ──a patch and old packs──▶ packs ──▶ extract ──▶ a directory
//! (hub, memory)          window, retries      resume, sha256                   chunks    tar rules   (overlayfs upper dir)
//! ```
//!
//! The node pulls: it asks for frames of at most [`FRAME_MAX`] bytes and keeps a few requests under way.
//! Nothing a source answers is believed: a blob counts only after its sha256 fits, a layer only after the
//! sha256 and the size of its tar fit the signed release. What is on disk survives a cut link, a killed
//! daemon and a power cut; [`blobs`] says how much of it.
//!
//! Not here: what containerd needs to know about an image. That is `runtime::containerd::image`.

pub mod blobs;
pub mod claims;
pub mod content;
pub mod extract;
pub mod fetch;
pub mod fingerprint;
pub mod memory;
pub mod packs;
pub mod rate;
pub mod room;
pub mod stop;
pub mod transfers;

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use shared::fault::Fault;
use shared::id::Digest;
use shared::release::Blob;
pub use shared::wire::FRAME_MAX;
use tokio::time::Instant;

use crate::neighbours::Neighbours;
use rate::Rate;

/// How often a source without a better way to know is asked whether it is back.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Where the bytes of blobs come from: the hub over the link, a bundle on a stick, memory.
pub trait ChunkSource: Send + Sync {
    /// `length` bytes of `blob` from byte `offset` on; `length` is at most [`FRAME_MAX`] and never reaches
    /// beyond the blob's signed size. An answer of another length counts as far as it has the bytes that follow.
    ///
    /// Called several times at once; the order of answers does not matter.
    fn read(&self, blob: Digest, offset: u64, length: u32) -> impl Future<Output = Result<Bytes, SourceError>> + Send;

    /// How the layer of this diff_id can be had where there are packs of the layers `have`, the newest first: a patch
    /// ([`shared::recipe::patch`]), which is read as a blob. The answer may take as long as making the patch does.
    fn patch(&self, layer: Digest, have: &[Digest]) -> impl Future<Output = Result<Blob, SourceError>> + Send;

    /// Whether `blob` would come over the link, whose budget counts then.
    fn is_metered(&self, _blob: Digest) -> bool {
        true
    }

    /// The other nodes of this site: what they have need not come from here.
    fn neighbours(&self) -> Option<&Neighbours> {
        None
    }

    /// Whether somebody on site put it in: then nobody on site holds it.
    fn is_at_hand(&self) -> bool {
        false
    }

    /// Returns when it makes sense to ask again after [`SourceError::Away`].
    fn back(&self) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(ASK_AGAIN)
    }
}

/// Why a source did not answer with bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The link is down. Not a failure: [`ChunkSource::back`] says when to go on.
    #[error("the source is away")]
    Away,
    /// The source is there and will not send this blob.
    #[error("{0}")]
    NotThere(Fault),
    /// The source gave up waiting for this frame.
    #[error("no answer in time")]
    Timeout,
}

/// How far an image is, in bytes of its blobs as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of the link that are on disk.
    pub done: u64,
    /// Bytes in all of the link, without what the node has already.
    pub total: u64,
    /// Bytes that came from neighbours instead.
    pub taken: u64,
    /// Bytes of the image, as its publisher compressed it, that need not come.
    pub reused: u64,
    /// How fast they come.
    pub rate: Rate,
    /// The neighbour it waits for or comes from, in words.
    pub waits: Option<Fault>,
    /// How many questions wait for the link or its budget.
    pub stuck: u32,
}

impl Progress {
    /// Of all the bytes `done` are on disk, and `new` of them came just now.
    pub fn tell(&mut self, done: u64, new: u64, now: Instant) {
        self.done = done;
        self.rate.add(new, now);
    }
}
