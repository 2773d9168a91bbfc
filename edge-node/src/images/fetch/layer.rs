//! One layer: from the patch the source names to a pack.
//!
//! A patch that cannot be applied is not worth having: it is thrown away and another one is asked for, at last one that
//! needs no old layer at all. Only a disk that fails ends the fetch at once.

use std::fs::File;
use std::io::BufReader;

use shared::id::Digest;
use shared::recipe::apply::{ApplyError, apply};
use shared::recipe::pack::{Pack, PackError};
use shared::recipe::patch::{PatchReader, size_max};
use shared::release::{Blob, Layer};
use shared::rot::is_rot;

use super::line::Line;
use super::pace::FAILURES_MAX;
use super::{ChunkSource, FetchError, SourceError, blob};
use crate::images::blobs::{BlobError, blocking, failed};
use crate::images::content::Content;
use crate::images::packs::PackFile;
use crate::images::stop::{Stop, StopOnDrop};

/// Patches that are tried for one layer.
const ATTEMPTS: u32 = 3;

/// The patch that `layer` comes by: the one that was named before, or else the source is asked. `None`: it is away.
pub(super) async fn patch<S: ChunkSource>(source: &S, content: &Content, layer: Blob) -> Result<Option<Blob>, FetchError> {
    match content.patches.patch_of(layer.digest)? {
        Some(patch) => Ok(Some(patch)),
        None => ask(source, content, layer, &have(content).await?).await,
    }
}

/// Asks until the source answers or is away.
async fn ask<S: ChunkSource>(source: &S, content: &Content, layer: Blob, have: &[Digest]) -> Result<Option<Blob>, FetchError> {
    for failures in 1..=FAILURES_MAX {
        match source.patch(layer.digest, have).await {
            Ok(patch) if patch.size > size_max(layer.size) => {
                let why = format!("it has {} bytes for a layer of {}", patch.size, layer.size);
                return Err(FetchError::Unfit { layer: layer.digest, why });
            }
            Ok(patch) => {
                let patches = content.patches.clone();
                blocking("remembering", content.packs.dir(), move || patches.remember_patch(layer.digest, patch)).await??;
                return Ok(Some(patch));
            }
            Err(SourceError::NotThere(fault)) => return Err(FetchError::NotThere(fault)),
            Err(SourceError::Away) => return Ok(None),
            Err(SourceError::Timeout) => tokio::time::sleep(shared::time::backoff(failures)).await,
        }
    }
    Err(FetchError::Silent { blob: layer.digest, offset: 0, failures: FAILURES_MAX })
}

/// Brings `patch` to disk and makes the pack of `layer` of it. `tell` hears how many bytes of the
/// patch are there, and how many of them just came.
pub(super) async fn layer<S: ChunkSource>(
    line: &Line<'_, S>,
    content: &Content,
    layer: &Layer,
    mut patch: Blob,
    tell: &(impl Fn(u64, u64) + Sync),
) -> Result<(), FetchError> {
    let digest = layer.tar.digest;
    for attempt in 1.. {
        let (useless, why) = match blob(line, &content.patches, patch, tell).await {
            Ok(()) => match unite(content, *layer, patch).await? {
                Ok(()) => return forget(content, digest).await,
                Err(why) => (true, why),
            },
            Err(error @ FetchError::Differs(_)) => (true, error.to_string()),
            // The hub does not have it any more. Made again it has the same bytes, and what arrived of it counts.
            Err(error @ FetchError::NotThere(_)) => (false, error.to_string()),
            Err(error) => return Err(error),
        };
        if useless {
            forget(content, digest).await?;
        }
        if attempt == ATTEMPTS {
            return Err(FetchError::Unfit { layer: digest, why });
        }
        tracing::warn!(layer = %digest.short(), why, "a patch is not to be had or of no use, asking again");
        let have = if useless && attempt + 1 == ATTEMPTS { Vec::new() } else { have(content).await? };
        patch = loop {
            match ask(line.source(), content, layer.tar, &have).await? {
                Some(patch) => break patch,
                None => line.back().await,
            }
        };
    }
    Ok(())
}

/// The layers there are packs of.
async fn have(content: &Content) -> Result<Vec<Digest>, FetchError> {
    let packs = content.packs.clone();
    Ok(blocking("listing", content.packs.dir(), move || packs.list()).await??)
}

/// Removes the patch of a layer.
async fn forget(content: &Content, layer: Digest) -> Result<(), FetchError> {
    let patches = content.patches.clone();
    Ok(blocking("removing", content.packs.dir(), move || patches.forget_patch(layer)).await??)
}

/// Makes the pack of `layer` from its patch and the packs that it names. The inner error says why the patch is of no use.
async fn unite(content: &Content, layer: Layer, patch: Blob) -> Result<Result<(), String>, FetchError> {
    let digest = layer.tar.digest;
    let claim = content.packs.claim(digest).await;
    let stop = StopOnDrop::default();
    let (work, asked, path) = (content.clone(), stop.asked(), content.packs.path(digest));
    let made = blocking("making a layer", &path, move || {
        let _claim = claim; // until the work has ended, also when nobody waits for it any more
        if work.packs.has(digest) {
            return Ok(());
        }
        let made = make(&work, layer, patch, &asked);
        if made.is_err() {
            work.packs.give_up(digest)?;
        }
        made
    });
    match made.await? {
        Ok(()) => Ok(Ok(())),
        Err(Problem::Disk(error)) => Err(error.into()),
        Err(Problem::Patch(why)) => Ok(Err(why)),
    }
}

/// Why a pack was not made.
enum Problem {
    /// It may be made another time.
    Disk(BlobError),
    /// Not with this patch.
    Patch(String),
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        Self::Disk(error)
    }
}

fn make(content: &Content, layer: Layer, patch: Blob, stop: &Stop) -> Result<(), Problem> {
    let path = content.patches.path(patch.digest);
    let file = File::open(&path).map_err(failed("opening", &path, 0))?;
    let mut patch = PatchReader::new(BufReader::new(file)).map_err(|error| Problem::Patch(error.to_string()))?;
    let head = patch.head().clone();
    if (head.to, head.recipe) != (layer.tar, layer.recipe) {
        return Err(Problem::Patch(format!("it makes {}", head.to.digest.short())));
    }
    let mut from = Vec::with_capacity(head.from.len());
    for old in &head.from {
        from.push(open(content, *old)?);
    }
    let pack = content.packs.begin(layer.tar.digest)?;
    let made = apply(&mut patch, &mut from, pack, &|| stop.is_asked());
    let pack = made.map_err(|error| problem(content, layer.tar.digest, &head.from, error))?;
    if stop.is_asked() {
        return Err(Problem::Patch("stopped".into())); // A pack that appears now may be one that nobody needs any more.
    }
    Ok(content.packs.finish(layer.tar.digest, &pack)?)
}

/// A pack that is not there or damaged makes the patch useless.
fn open(content: &Content, old: Digest) -> Result<Pack<PackFile>, Problem> {
    content.packs.read(old).map_err(|error| match error {
        BlobError::Absent(_) | BlobError::Differs(_) => Problem::Patch(error.to_string()),
        disk @ (BlobError::Full { .. } | BlobError::InUse(_) | BlobError::Io { .. }) => Problem::Disk(disk),
    })
}

fn problem(content: &Content, layer: Digest, from: &[Digest], error: ApplyError) -> Problem {
    let failed_at = |layer: Digest, cause| Problem::Disk(failed("writing", &content.packs.path(layer), 0)(cause));
    match error {
        ApplyError::New(PackError::Io(cause)) => failed_at(layer, cause),
        ApplyError::Old { layer: number, cause } => {
            let old = from.get(usize::from(number)).copied().unwrap_or(layer);
            match cause {
                PackError::Io(cause) if !is_rot(&cause) => failed_at(old, cause),
                // Its bytes have changed on this disk, or cannot be read: it is of no use to anybody.
                damaged @ (PackError::Io(_) | PackError::Damaged(_) | PackError::TooLarge) => match content.packs.remove(old) {
                    Ok(()) => Problem::Patch(format!("old layer {}: {damaged}", old.short())),
                    Err(error) => Problem::Disk(error),
                },
            }
        }
        other @ (ApplyError::Patch(_)
        | ApplyError::Codec(_)
        | ApplyError::Unfit(_)
        | ApplyError::New(PackError::Damaged(_) | PackError::TooLarge)
        | ApplyError::Stopped) => Problem::Patch(other.to_string()),
    }
}
