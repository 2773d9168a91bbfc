//! The windowed pull: brings every missing blob of an image to disk.
//!
//! Blobs come one after the other, lowest layer last to wait for: manifest, config, layers. Within a blob several
//! frames are asked for at once, in order, and written in order, so the file on disk never has holes. How many and how
//! long they are is up to the link: [`window`] keeps it full, and never so full that a desired state or a report has to
//! wait behind an image. What is asked for or waits to be written is at most [`AHEAD`] bytes, the bound of the memory.
//!
//! ```text
//! one ─▶ frame, frame, frame ─▶ line: window (how much at once), pace (how long to wait) ─▶ source
//!  └─▶ what arrived, in order ─▶ Partial
//! ```
//!
//! While the source is away the requests wait with what arrived; nothing is lost and nothing is asked
//! twice that has arrived. When the source is there and silent, [`pace`] decides. A wrong byte cannot be seen
//! before the blob is whole: then the blob is thrown away and fetched once more, and a second time is a fault.
//!
//! The future may be dropped at any point. What was written counts when the work goes on; of a source that
//! answers in order, and a disk that is faster than it, at most the frame being written is asked for again.

mod line;
mod pace;
mod window;

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesOrdered;
use shared::fault::{Fault, Faulty, image};
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, LAYERS_MAX, chain_ids};
use shared::release::{Blob, Image};
use tokio::sync::watch;

use super::blobs::{Begun, BlobError, Blobs, Partial, blocking};
use super::{ChunkSource, Progress, SourceError};
use line::{Flying, Line};
use pace::FAILURES_MAX;
use window::WINDOW_MAX;

/// Most bytes of a blob that are asked for and not on disk yet.
const AHEAD: u64 = WINDOW_MAX;

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
    let source = &Line::new(source);
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
    line: &Line<'_, S>,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64) -> Progress + Sync),
) -> Result<(), FetchError> {
    tracing::warn!(blob = %blob.digest, "bytes do not fit the digest, fetching the blob once more");
    match one(line, blobs, blob, tell).await {
        Err(FetchError::Blobs(BlobError::Differs(digest))) => Err(FetchError::Differs(digest)),
        ended => ended,
    }
}

/// One blob, from where it stopped. What arrives while the disk is busy is written with the next write.
async fn one<S: ChunkSource>(
    line: &Line<'_, S>,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64) -> Progress + Sync),
) -> Result<(), FetchError> {
    let Begun::Missing(partial) = blobs.begin(blob).await? else { return Ok(()) };
    tell(partial.offset());
    let path = blobs.path(blob.digest);
    let (mut written, mut next) = (partial.offset(), partial.offset());
    let (mut asked, mut arrived) = (FuturesOrdered::new(), Vec::new());
    let (mut idle, mut writing) = (Some(partial), OptionFuture::default());
    while written < blob.size {
        let until = blob.size.min(written.saturating_add(AHEAD));
        while next < until
            && let Some(flying) = line.try_ask(until - next)
        {
            let offset = next;
            next += u64::from(flying.length());
            asked.push_back(frame(line, blob.digest, offset, flying));
        }
        if !arrived.is_empty()
            && let Some(partial) = idle.take()
        {
            let bytes = std::mem::take(&mut arrived);
            writing = OptionFuture::from(Some(Box::pin(blocking("writing", &path, move || append(partial, &bytes)))));
        }
        tokio::select! {
            Some(done) = &mut writing => {
                writing = OptionFuture::default();
                let partial = done??;
                written = partial.offset();
                tell(written);
                idle = Some(partial);
            }
            Some(pieces) = asked.next() => arrived.extend(pieces?),
            else => break, // Nothing is under way only when all is written.
        }
    }
    if let Some(partial) = idle {
        blocking("finishing", &path, move || partial.finish()).await??;
    }
    Ok(())
}

fn append(mut partial: Box<Partial>, pieces: &[Bytes]) -> Result<Box<Partial>, BlobError> {
    for piece in pieces {
        partial.append(piece)?;
    }
    Ok(partial)
}

/// The bytes that `flying` has room for, asked for until they come or [`FAILURES_MAX`] is reached. After a failure they
/// are asked for in shorter pieces if the window says so: the link may be another one.
async fn frame<S: ChunkSource>(
    line: &Line<'_, S>,
    blob: Digest,
    mut offset: u64,
    flying: Flying<'_>,
) -> Result<Vec<Bytes>, FetchError> {
    let end = offset + u64::from(flying.length());
    let (mut pieces, mut first, mut failures) = (Vec::new(), Some(flying), 0);
    while offset < end {
        let flying = match first.take() {
            Some(flying) => flying,
            None => line.ask(offset, end - offset).await,
        };
        match line.read(blob, offset, flying).await {
            Ok(bytes) => {
                offset += bytes.len() as u64;
                pieces.push(bytes);
                failures = 0;
            }
            Err(SourceError::NotThere(fault)) => return Err(FetchError::NotThere(fault)),
            Err(SourceError::Away) => line.back().await,
            Err(SourceError::Timeout) => {
                failures += 1;
                if failures == FAILURES_MAX {
                    return Err(FetchError::Silent { blob, offset, failures });
                }
                tokio::time::sleep(shared::time::backoff(failures)).await;
            }
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests;
