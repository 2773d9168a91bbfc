//! The windowed pull: brings everything that is missing of an image to disk.
//!
//! Manifest and config come as they are, each layer as a patch that makes its pack out of the packs that are there
//! ([`layer`]). One comes after the other: manifest, config, the layers from the lowest up. Within a blob several frames
//! are asked for at once, in order, and written in order, so the file on disk never has holes. How many and how long they
//! are is up to the link: [`window`] keeps it full, and never so full that a desired state or a report has to wait behind
//! an image. What is asked for or waits to be written is at most [`AHEAD`] bytes, the bound of the memory.
//!
//! ```text
//! one ─▶ frame, frame, frame ─▶ line: ledger (whether), window (how much at once), pace (how long to wait) ─▶ source
//!  └─▶ what arrived, in order ─▶ Partial
//! ```
//!
//! Before each frame the budget of the link is asked ([`crate::budget::Ledger`]): while it allows none, the fetch waits
//! where it is, and the ledger says why. While the source is away the requests wait with what arrived; nothing is lost
//! and nothing is asked twice that has arrived. When the source is there and silent, [`pace`] decides. A wrong byte cannot be seen
//! before the blob is whole: then the blob is thrown away and fetched once more, and a second time is a fault.
//!
//! The future may be dropped at any point. What was written counts when the work goes on; of a source that
//! answers in order, and a disk that is faster than it, at most the frame being written is asked for again.

mod attempt;
mod layer;
mod line;
mod pace;
mod window;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesOrdered;
use shared::fault::{Fault, Faulty, image};
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, LAYERS_MAX, chain_ids};
use shared::people::bytes;
use shared::release::{Blob, Image, Layer};
use tokio::sync::watch;

use super::blobs::{Begun, BlobError, Blobs, Partial, blocking};
use super::content::Content;
use super::room::{Need, NoRoom};
use super::{ChunkSource, Progress, SourceError};
use crate::budget::Ledger;
use attempt::{Attempt, Place};
use line::{Flying, Line, Turn};
use pace::FAILURES_MAX;
use window::WINDOW_MAX;

/// Who waits so long for the budget syncs what is there.
const LONG: Duration = Duration::from_secs(10);
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
    /// The disk has no room for it.
    #[error("image {image} needs {} bytes in {}", short.need, short.disk.path.display())]
    NoRoom {
        /// The image.
        image: Digest,
        /// What it needs.
        need: Need,
        /// Where there is too little.
        short: Box<NoRoom>,
        /// Bytes that stay free.
        reserve: u64,
    },
    /// No patch made the layer.
    #[error("no patch makes layer {layer}: {why}")]
    Unfit {
        /// Its diff_id.
        layer: Digest,
        /// What was wrong with the last one.
        why: String,
    },
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
            Self::NoRoom { image, need, short, reserve } => Fault::new(&image::NO_ROOM)
                .with("image", image.short())
                .with("need", bytes(short.need))
                .with("patch", bytes(need.patch))
                .with("packs", bytes(need.packs))
                .with("files", bytes(need.files))
                .with("reserve", bytes(*reserve))
                .with("free", bytes(short.disk.free))
                .with("path", short.disk.path.display()),
            Self::Unfit { layer, why } => Fault::new(&image::PATCH_UNFIT).with("layer", layer.short()).with("why", why),
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

/// What the runtime has.
#[derive(Debug, Clone, Default)]
pub struct Present {
    /// Chain ids of the layers that are unpacked.
    pub layers: BTreeSet<Digest>,
    /// Where it unpacks them, if it is known.
    pub root: Option<PathBuf>,
}

/// What an image cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fetched {
    /// Bytes of its documents and of the patches that were needed when the fetch began, with what had arrived of them.
    pub sent: u64,
    /// Bytes of the whole image as its publisher compressed it: what a node that has nothing pulls from a registry.
    pub whole: u64,
}

/// Brings all bytes of `image` to disk: manifest and config as blobs, layers as packs, except those that `present` names.
///
/// Waits as long as the source is away, or until a neighbour has what is missing; drop the future to stop.
pub async fn fetch<S: ChunkSource>(
    source: &S,
    content: &Content,
    image: &Image,
    present: &Present,
    ledger: &Ledger,
    progress: &watch::Sender<Progress>,
) -> Result<Fetched, FetchError> {
    let wanted = wanted(image, &present.layers)?;
    let _wants = source.neighbours().map(|neighbours| neighbours.want(wanted.layers.iter().map(|layer| layer.tar.digest)));
    let place = Place { content, root: present.root.as_deref() };
    Attempt::new(Line::new(source, ledger, progress), place, image, &wanted, progress).run().await
}

/// What must be on disk before an image can be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Manifest and config.
    pub documents: [Blob; 2],
    /// The layers, each once, the lowest first.
    pub layers: Vec<Layer>,
}

impl Wanted {
    /// Layers of which there is no pack.
    fn missing(&self, content: &Content) -> impl Iterator<Item = Layer> {
        self.layers.iter().filter(|layer| !content.packs.has(layer.tar.digest)).copied()
    }
}

/// What must be on disk before `image` can be unpacked, when the layers in `present` are unpacked already.
pub fn wanted(image: &Image, present: &BTreeSet<Digest>) -> Result<Wanted, FetchError> {
    let documents = [image.manifest, image.config];
    if let Some(large) = documents.into_iter().find(|blob| blob.size > DOCUMENT_MAX) {
        return Err(FetchError::TooLarge(large));
    }
    if image.layers.len() > LAYERS_MAX {
        return Err(FetchError::TooManyLayers { image: image.id(), layers: image.layers.len() });
    }
    let chain = chain_ids(&image.diff_ids());
    let missing = image.layers.iter().zip(&chain).filter(|(_, chain)| !present.contains(chain)).map(|(layer, _)| *layer);
    let mut seen = BTreeSet::new();
    Ok(Wanted { documents, layers: missing.filter(|layer| seen.insert(layer.tar.digest)).collect() })
}

/// A whole blob; one whose bytes were wrong is fetched once more.
async fn blob<S: ChunkSource>(
    line: &Line<'_, S>,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64, u64) + Sync),
) -> Result<(), FetchError> {
    match one(line, blobs, blob, tell).await {
        Err(FetchError::Blobs(BlobError::Differs(_))) => again(line, blobs, blob, tell).await,
        ended => ended,
    }
}

/// The second and last attempt at a blob whose bytes were wrong.
async fn again<S: ChunkSource>(
    line: &Line<'_, S>,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64, u64) + Sync),
) -> Result<(), FetchError> {
    tracing::warn!(blob = %blob.digest, "bytes do not fit the digest, fetching the blob once more");
    match one(line, blobs, blob, tell).await {
        Err(FetchError::Blobs(BlobError::Differs(digest))) => Err(FetchError::Differs(digest)),
        ended => ended,
    }
}

/// One blob, from where it stopped. `tell` hears how many bytes of it are there, and how many of them just came. What arrives while the disk is busy is written with the next write.
async fn one<S: ChunkSource>(
    line: &Line<'_, S>,
    blobs: &Blobs,
    blob: Blob,
    tell: &(impl Fn(u64, u64) + Sync),
) -> Result<(), FetchError> {
    let Begun::Missing(partial) = blobs.begin(blob).await? else { return Ok(()) };
    tell(partial.offset(), 0);
    let path = blobs.path(blob.digest);
    let (mut written, mut next) = (partial.offset(), partial.offset());
    let (mut asked, mut arrived) = (FuturesOrdered::new(), Vec::new());
    let (mut idle, mut writing) = (Idle(Some(partial)), OptionFuture::default());
    while written < blob.size {
        let until = blob.size.min(written.saturating_add(AHEAD));
        let mut later = None;
        while next < until {
            match line.try_ask(blob.digest, until - next) {
                Turn::Go(flying) => {
                    let offset = next;
                    next += u64::from(flying.length());
                    asked.push_back(frame(line, blob.digest, offset, flying));
                }
                Turn::Full => break,
                Turn::Later(time) => {
                    later = Some(time);
                    break;
                }
            }
        }
        let rests = later.is_some_and(|time| time >= LONG);
        let has_work = |partial: &mut Box<Partial>| !arrived.is_empty() || rests && partial.is_unsynced();
        if let Some(partial) = idle.0.take_if(has_work) {
            let bytes = std::mem::take(&mut arrived);
            writing = OptionFuture::from(Some(Box::pin(blocking("writing", &path, move || append(partial, &bytes, rests)))));
        }
        tokio::select! {
            Some(done) = &mut writing => {
                writing = OptionFuture::default();
                let partial = done??;
                let new = partial.offset().saturating_sub(written);
                written = partial.offset();
                tell(written, new);
                idle.0 = Some(partial);
            }
            Some(pieces) = asked.next() => arrived.extend(pieces?),
            () = line.later(later), if later.is_some() => {}
            else => break, // Nothing is under way only when all is written.
        }
    }
    if let Some(partial) = idle.0.take() {
        blocking("finishing", &path, move || partial.finish()).await??;
    }
    Ok(())
}

/// What nobody writes to now. Given up, it is synced: who pauses a transfer may well cut the power next.
struct Idle(Option<Box<Partial>>);

impl Drop for Idle {
    fn drop(&mut self) {
        let partial = self.0.take().filter(|partial| partial.is_unsynced());
        if let (Some(mut partial), Ok(runtime)) = (partial, tokio::runtime::Handle::try_current()) {
            // If it fails, it only counts as less than it is.
            runtime.spawn_blocking(move || _ = partial.sync());
        }
    }
}

fn append(mut partial: Box<Partial>, pieces: &[Bytes], rests: bool) -> Result<Box<Partial>, BlobError> {
    for piece in pieces {
        partial.append(piece)?;
    }
    if rests {
        partial.sync()?;
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
            None => line.ask(blob, offset, end - offset).await,
        };
        match line.read(blob, offset, end - offset, flying).await {
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
