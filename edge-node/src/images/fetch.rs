//! The windowed pull: brings every missing blob of an image to disk.
//!
//! Blobs come one after the other, lowest layer last to wait for: manifest, config, layers. Within a blob up to
//! [`WINDOW`] frames are asked for at once, in order, and written in order, so memory stays below
//! `WINDOW × FRAME_MAX` and the file on disk never has holes. An answer that comes early waits in the window.
//!
//! While the source is away the requests wait with what the window holds; nothing is lost and nothing is asked
//! twice that has arrived. When the source is there and silent, [`pace`] decides. A wrong byte cannot be seen
//! before the blob is whole: then the blob is thrown away and fetched once more, and a second time is a fault.
//!
//! The future may be dropped at any point. What was written counts when the work goes on; of a source that
//! answers in order at most the frame being written is asked for again.

mod pace;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::fault::{Fault, Faulty, image};
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, LAYERS_MAX, chain_ids};
use shared::release::{Blob, Image};
use tokio::sync::watch;

use super::blobs::{Begun, BlobError, Blobs, Partial, blocking};
use super::{ChunkSource, FRAME_MAX, Progress, SourceError};
use pace::{FAILURES_MAX, Pace};

/// Frames under way at once.
pub const WINDOW: usize = 8;

/// Why an image did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The blob directory failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The source will not send a blob.
    #[error("{0}")]
    NotThere(Fault),
    /// The source is there and sends no bytes.
    #[error("no bytes of {blob} from {offset} on after {failures} attempts")]
    Silent {
        /// The blob.
        blob: Digest,
        /// The first byte that is missing.
        offset: u64,
        /// Attempts.
        failures: u32,
    },
    /// The source sent wrong bytes twice.
    #[error("the bytes of {0} were wrong twice")]
    Differs(Digest),
    /// The manifest or config is too large.
    #[error("document {} has {} bytes", .0.digest, .0.size)]
    TooLarge(Blob),
    /// The image has too many layers.
    #[error("{layers} layers")]
    TooManyLayers {
        /// The image.
        image: Digest,
        /// Its layers.
        layers: usize,
    },
}

impl Faulty for FetchError {
    fn fault(&self) -> Fault {
        match self {
            Self::Blobs(error) => error.fault(),
            Self::NotThere(fault) => fault.clone(),
            Self::Silent { blob, offset, failures } => {
                Fault::new(&image::BLOB_SILENT).with("blob", blob.short()).with("offset", offset).with("failures", failures)
            }
            Self::Differs(blob) => Fault::new(&image::BLOB_DIFFERS).with("blob", blob.short()),
            Self::TooLarge(blob) => Fault::new(&image::DOCUMENT_TOO_LARGE)
                .with("blob", blob.digest.short())
                .with("size", blob.size)
                .with("limit", DOCUMENT_MAX),
            Self::TooManyLayers { image, layers } => {
                Fault::new(&image::TOO_MANY_LAYERS).with("image", image.short()).with("layers", layers).with("limit", LAYERS_MAX)
            }
        }
    }
}

/// Brings all bytes of `image` to disk, except layers whose chain id is in `present`: the runtime has them unpacked.
///
/// Waits as long as the source is away; drop the future to stop.
pub async fn fetch<S: ChunkSource>(
    source: &S,
    blobs: &Blobs,
    image: &Image,
    present: &BTreeSet<Digest>,
    progress: &watch::Sender<Progress>,
) -> Result<(), FetchError> {
    let wanted = wanted(image, present)?;
    let total = wanted.iter().map(|blob| blob.size).sum();
    let mut done = 0;
    for blob in wanted {
        let tell = |here: u64| progress.send_replace(Progress { done: done + here, total });
        match one(source, blobs, blob, &tell).await {
            Err(FetchError::Blobs(BlobError::Differs(_))) => again(source, blobs, blob, &tell).await?,
            ended => ended?,
        }
        done += blob.size;
    }
    progress.send_replace(Progress { done, total });
    Ok(())
}

/// The blobs of `image` that must be on disk before it can be unpacked, each once, in the order they are fetched.
pub fn wanted(image: &Image, present: &BTreeSet<Digest>) -> Result<Vec<Blob>, FetchError> {
    if let Some(large) = [image.manifest, image.config].into_iter().find(|blob| blob.size > DOCUMENT_MAX) {
        return Err(FetchError::TooLarge(large));
    }
    if image.layers.len() > LAYERS_MAX {
        return Err(FetchError::TooManyLayers { image: image.id(), layers: image.layers.len() });
    }
    let chain = chain_ids(&image.diff_ids());
    let missing = image.layers.iter().zip(&chain).filter(|(_, chain)| !present.contains(chain)).map(|(layer, _)| layer.blob);
    let mut seen = BTreeSet::new();
    Ok([image.manifest, image.config].into_iter().chain(missing).filter(|blob| seen.insert(blob.digest)).collect())
}

/// The second and last attempt at a blob whose bytes were wrong.
async fn again<S: ChunkSource>(
    source: &S,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64) -> Progress + Sync),
) -> Result<(), FetchError> {
    tracing::warn!(blob = %blob.digest, "bytes do not fit the digest, fetching the blob once more");
    match one(source, blobs, blob, tell).await {
        Err(FetchError::Blobs(BlobError::Differs(digest))) => Err(FetchError::Differs(digest)),
        ended => ended,
    }
}

/// One blob, from where it stopped.
async fn one<S: ChunkSource>(
    source: &S,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64) -> Progress + Sync),
) -> Result<(), FetchError> {
    let Begun::Missing(mut partial) = blobs.begin(blob).await? else { return Ok(()) };
    tell(partial.offset());
    let pace = Pace::default();
    let mut arriving = stream::iter(frames(partial.offset(), blob.size))
        .map(|(offset, length)| frame(source, &pace, blob.digest, offset, length))
        .buffered(WINDOW);
    let path = blobs.path(blob.digest);
    while let Some(bytes) = arriving.try_next().await? {
        partial = blocking("writing", &path, move || append(partial, &bytes)).await??;
        tell(partial.offset());
    }
    blocking("finishing", &path, move || partial.finish()).await??;
    Ok(())
}

fn append(mut partial: Box<Partial>, bytes: &Bytes) -> Result<Box<Partial>, BlobError> {
    partial.append(bytes)?;
    Ok(partial)
}

/// Offset and length of the frames that are still missing.
fn frames(from: u64, size: u64) -> impl Iterator<Item = (u64, u32)> {
    let next = move |offset: &u64| offset.checked_add(u64::from(FRAME_MAX)).filter(|next| *next < size);
    let length = move |offset: u64| u32::try_from(size - offset).unwrap_or(u32::MAX).min(FRAME_MAX);
    std::iter::successors((from < size).then_some(from), next).map(move |offset| (offset, length(offset)))
}

/// One frame, asked for until it comes or [`FAILURES_MAX`] is reached.
async fn frame<S: ChunkSource>(source: &S, pace: &Pace, blob: Digest, offset: u64, length: u32) -> Result<Bytes, FetchError> {
    let mut failures = 0;
    while failures < FAILURES_MAX {
        match pace.bound(source.read(blob, offset, length)).await {
            Ok(bytes) if u32::try_from(bytes.len()) == Ok(length) => return Ok(bytes),
            Err(SourceError::NotThere(fault)) => return Err(FetchError::NotThere(fault)),
            Err(SourceError::Away) => source.back().await,
            Ok(_) | Err(SourceError::Timeout) => {
                failures += 1;
                tokio::time::sleep(shared::time::backoff(failures)).await;
            }
        }
    }
    Err(FetchError::Silent { blob, offset, failures })
}

#[cfg(test)]
mod tests;
