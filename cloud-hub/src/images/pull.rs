//! From a registry into the hub's blobs, then [`examine()`].
//!
//! A blob that is cut goes on where it ended; one that moves too slowly ends: whatever a registry does, a pull is over
//! after a time that is known from the sizes in the manifest.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, Descriptor, Platform};
use shared::release::{Blob, Image};
use shared::time::backoff;
use tokio::time::sleep;

use super::finder::Found;
use super::{Finder, ImageError, Known, Limits, Progress, Step, Wanted, document, examine};
use crate::blobs::{Begin, BlobError, Blobs, write_stream};
use crate::registry::{Registry, RegistryError, Source};

/// Attempts in a row without [`GAIN`] before a pull is given up.
const FAILURES_MAX: u32 = 4;
/// Bytes that make an attempt count as progress.
const GAIN: u64 = 1 << 20;
/// The slowest registry that is waited for, in bytes per second.
const SLOWEST: u64 = 16 << 10;
/// How long to wait for another pull that fetches the same blob.
const BUSY_WAIT: Duration = Duration::from_secs(600);

/// A progress that outlives the call.
pub type SharedProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The reference pinned to the digest it led to.
    pub reference: String,
    /// One per platform, verified, all bytes in the blobs.
    pub images: Vec<Image>,
}

/// Pulls the `wanted` images of `source`. What was fetched before a failure stays and is not fetched again.
pub async fn pull(
    source: &Source,
    wanted: &Wanted,
    blobs: &Blobs,
    limits: &Limits,
    progress: SharedProgress,
) -> Result<Pulled, ImageError> {
    let pull = Pull { registry: Registry::open(source)?, blobs, limits, progress };
    let (root, (found, left_out)) = pull.find(wanted).await?;
    let mut images = Vec::new();
    let mut known = Known::new();
    for found in pull.choose(found, left_out, wanted).await? {
        pull.fetch_image(&found).await?;
        let image;
        (image, known) = pull.examine(found.descriptor.digest, known).await?;
        images.push(image);
    }
    Ok(Pulled { reference: pull.registry.pinned(&root), images })
}

struct Pull<'p> {
    registry: Registry,
    blobs: &'p Blobs,
    limits: &'p Limits,
    progress: SharedProgress,
}

impl Pull<'_> {
    /// The root's digest and the manifests behind it, with the platforms that were left out.
    async fn find(&self, wanted: &Wanted) -> Result<(Digest, (Vec<Found>, Vec<Platform>)), ImageError> {
        let bytes = retry(|| self.registry.manifest(None)).await?;
        let digest = Digest::of(&bytes);
        if let Some(expected) = self.registry.digest().filter(|expected| *expected != digest) {
            return Err(ImageError::WrongDigest { expected, found: digest });
        }
        let (media_type, size) = (String::new(), bytes.len() as u64);
        let root = Descriptor { media_type, digest, size, platform: None, annotations: BTreeMap::new() };
        let mut finder = Finder::new(wanted, vec![root]);
        finder.give(bytes)?;
        while let Some(next) = finder.next() {
            let Descriptor { digest, size, .. } = *next;
            let bytes = retry(|| self.registry.manifest(Some(&digest))).await?;
            check(Blob { digest, size }, &bytes)?;
            finder.give(bytes)?;
        }
        Ok((digest, finder.finish()))
    }

    /// The wanted ones by what their configs say; of two for one platform the first (image index specification).
    async fn choose(&self, found: Vec<Found>, mut available: Vec<Platform>, wanted: &Wanted) -> Result<Vec<Found>, ImageError> {
        let mut chosen: BTreeMap<Platform, Found> = BTreeMap::new();
        for found in found {
            let platform = self.platform(&found).await?;
            if wanted.takes(&platform) && !chosen.contains_key(&platform) {
                chosen.insert(platform.clone(), found);
            }
            available.push(platform);
        }
        let platforms: Vec<Platform> = chosen.keys().cloned().collect();
        wanted.check(&platforms, &available)?;
        Ok(chosen.into_values().collect())
    }

    async fn platform(&self, found: &Found) -> Result<Platform, ImageError> {
        let config = document::blob(&found.manifest.config);
        if config.size > DOCUMENT_MAX {
            return Err(ImageError::TooLarge { what: format!("config {}", config.digest), max: DOCUMENT_MAX });
        }
        self.fetch(config).await?;
        let bytes = self.blobs.read_all(&config.digest, DOCUMENT_MAX).await?;
        let config = document::config(&config.digest, &bytes, found.manifest.layers.len())?;
        Ok(document::platform(&config))
    }

    /// Layers, then the manifest: who has the manifest has it all.
    async fn fetch_image(&self, found: &Found) -> Result<(), ImageError> {
        for layer in &found.manifest.layers {
            document::compression(layer)?;
            if layer.size > self.limits.blob {
                return Err(ImageError::TooLarge { what: format!("layer {}", layer.digest), max: self.limits.blob });
            }
        }
        for layer in &found.manifest.layers {
            self.fetch(document::blob(layer)).await?;
        }
        self.blobs.put_bytes(found.bytes.clone()).await?;
        Ok(())
    }

    /// Gets one blob within the time its size allows.
    async fn fetch(&self, blob: Blob) -> Result<(), ImageError> {
        let time = Duration::from_secs(120 + blob.size / SLOWEST);
        match tokio::time::timeout(time, self.fetch_in_pieces(blob)).await {
            Ok(result) => result,
            Err(_) => Err(self.registry.too_slow().into()),
        }
    }

    async fn fetch_in_pieces(&self, blob: Blob) -> Result<(), ImageError> {
        let mut failures = 0;
        loop {
            let Begin::Write(mut part) = begin(self.blobs, blob).await? else {
                self.tell(blob, blob.size);
                return Ok(());
            };
            let before = part.offset();
            let mut failure = self.registry.too_slow();
            if before < blob.size {
                match self.registry.blob(&blob.digest, before).await {
                    Ok((begin, stream)) => {
                        if begin != before {
                            part.restart()?;
                        }
                        part = write_stream(part, self.counted(blob, begin, stream)).await?;
                    }
                    Err(error) if error.is_retryable() => failure = error,
                    Err(error) => return Err(error.into()),
                }
            }
            let gained = part.offset().saturating_sub(before);
            if part.offset() == blob.size {
                match tokio::task::spawn_blocking(move || part.finish()).await {
                    Ok(Ok(())) => return Ok(()),
                    // Some of it came from an earlier attempt that a power cut may have damaged: once more from the start.
                    Ok(Err(BlobError::WrongDigest { .. })) if before > 0 => {}
                    Ok(Err(error)) => return Err(error.into()),
                    Err(error) => return Err(ImageError::io("finishing a blob", std::io::Error::other(error))),
                }
            }
            failures = if gained >= GAIN { 1 } else { failures + 1 };
            if failures > FAILURES_MAX {
                return Err(failure.into());
            }
            sleep(backoff(failures)).await;
        }
    }

    /// The same stream, telling how far it is.
    fn counted(
        &self,
        blob: Blob,
        begin: u64,
        stream: impl Stream<Item = Result<Bytes, RegistryError>>,
    ) -> impl Stream<Item = Result<Bytes, RegistryError>> {
        let (mut done, mut told) = (begin, begin);
        stream.inspect(move |piece| {
            done += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
            if done >= told + GAIN || done == blob.size {
                told = done;
                self.tell(blob, done);
            }
        })
    }

    fn tell(&self, blob: Blob, done: u64) {
        (self.progress)(Progress { step: Step::Fetch, blob: blob.digest, done: done.min(blob.size), total: blob.size });
    }

    async fn examine(&self, manifest: Digest, mut known: Known) -> Result<(Image, Known), ImageError> {
        let (blobs, limits, progress) = (self.blobs.clone(), self.limits.clone(), Arc::clone(&self.progress));
        let work = move || examine(&blobs, manifest, &mut known, &limits, &*progress).map(|image| (image, known));
        let joined = tokio::task::spawn_blocking(work).await;
        joined.unwrap_or_else(|error| Err(ImageError::io("examining an image", std::io::Error::other(error))))
    }
}

/// Begins a blob; waits while another pull writes the same one.
async fn begin(blobs: &Blobs, blob: Blob) -> Result<Begin, BlobError> {
    const STEP: Duration = Duration::from_millis(500);
    let mut waited = Duration::ZERO;
    loop {
        match blobs.begin(blob).await {
            Err(BlobError::Busy { .. }) if waited < BUSY_WAIT => {
                sleep(STEP).await;
                waited += STEP;
            }
            result => return result,
        }
    }
}

/// Asks again when the registry is unreachable or busy: 1, 2, 4 seconds later.
async fn retry<T, F: Future<Output = Result<T, RegistryError>>>(ask: impl Fn() -> F) -> Result<T, RegistryError> {
    let mut failures = 0;
    loop {
        match ask().await {
            Err(error) if error.is_retryable() && failures < FAILURES_MAX - 1 => {
                failures += 1;
                sleep(backoff(failures)).await;
            }
            result => return result,
        }
    }
}

fn check(expected: Blob, bytes: &[u8]) -> Result<(), ImageError> {
    let Blob { digest, size } = expected;
    let found = Digest::of(bytes);
    if found != digest {
        return Err(ImageError::WrongDigest { expected: digest, found });
    }
    if bytes.len() as u64 != size {
        return Err(ImageError::WrongSize { digest, expected: size, found: bytes.len() as u64 });
    }
    Ok(())
}
