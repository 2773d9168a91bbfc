//! One attempt at an image, in which the way of each layer is chosen once.
//!
//! How each layer comes, and that there is room for all of it, is known before the first byte of one is asked for. A layer
//! that was to come from a neighbour and does not comes over the link after all.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared::id::Digest;
use shared::release::{Blob, Image, Layer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::line::Line;
use super::{FetchError, Fetched, Wanted, blob, layer};
use crate::images::blobs::{Begun, blocking};
use crate::images::content::Content;
use crate::images::room::{self, Disk, Need};
use crate::images::{ChunkSource, Progress};

/// Layers whose patches are asked for at once.
const PATCHES: usize = 4;

/// Where an image comes to.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) content: &'a Content,
    /// Where the runtime unpacks layers, if it is known.
    pub(super) root: Option<&'a Path>,
}

pub(super) struct Attempt<'a, S> {
    line: Line<'a, S>,
    place: Place<'a>,
    image: &'a Image,
    wanted: &'a Wanted,
    /// Layers that come from neighbours.
    on_site: BTreeSet<Digest>,
    progress: &'a watch::Sender<Progress>,
    /// Bytes that travelled.
    done: u64,
    /// Bytes that must travel.
    total: u64,
}

impl<'a, S: ChunkSource> Attempt<'a, S> {
    pub(super) fn new(
        line: Line<'a, S>,
        place: Place<'a>,
        image: &'a Image,
        wanted: &'a Wanted,
        on_site: BTreeSet<Digest>,
        progress: &'a watch::Sender<Progress>,
    ) -> Self {
        Self { line, place, image, wanted, on_site, progress, done: 0, total: 0 }
    }

    pub(super) async fn run(mut self) -> Result<Fetched, FetchError> {
        let missing: Vec<Layer> = self.wanted.missing(self.place.content).collect();
        let mut patches = self.patches(&missing).await?;
        if !missing.is_empty() {
            // Otherwise nothing is asked for, and what an earlier attempt unpacked of it may take the room already.
            let files = self.wanted.layers.iter().map(|layer| layer.tar.size).sum();
            self.make_room(&missing, patches.values(), files)?;
        }
        self.progress.send_replace(Progress::default());
        self.tell(self.wanted.documents.iter().chain(patches.values()).map(|blob| blob.size).sum());
        for document in self.wanted.documents {
            self.document(document).await?;
        }
        for layer in missing {
            let patch = patches.remove(&layer.tar.digest);
            self.layer(&layer, patch).await?;
        }
        self.tell(self.total);
        Ok(Fetched { sent: self.total, whole: self.whole() })
    }

    /// The patches of those layers that come over the link.
    async fn patches(&self, missing: &[Layer]) -> Result<BTreeMap<Digest, Blob>, FetchError> {
        let tars = missing.iter().map(|layer| layer.tar);
        let over_link: Vec<Blob> = tars.filter(|tar| !self.on_site.contains(&tar.digest)).collect();
        let (source, content) = (self.line.source(), self.place.content);
        let patch_of = |tar: Blob| async move { Ok((tar.digest, layer::patch(source, content, tar).await?)) };
        stream::iter(over_link).map(patch_of).buffered(PATCHES).try_collect().await
    }

    async fn document(&mut self, document: Blob) -> Result<(), FetchError> {
        if !self.is_nearby(document).await? {
            let before = self.done;
            let say = |here, new| self.more(before + here, new);
            blob(&self.line, &self.place.content.blobs, document, &say).await?;
        }
        self.done += document.size;
        Ok(())
    }

    /// Whether a document is here already, or came from a neighbour.
    async fn is_nearby(&self, document: Blob) -> Result<bool, FetchError> {
        let blobs = &self.place.content.blobs;
        if blobs.has(&document) {
            return Ok(true);
        }
        let Some(neighbours) = self.line.source().neighbours() else { return Ok(false) };
        let Some(bytes) = neighbours.document(document).await else { return Ok(false) };
        let Begun::Missing(mut partial) = blobs.begin(document).await? else { return Ok(true) };
        let write = move || {
            let from = usize::try_from(partial.offset()).unwrap_or(usize::MAX);
            partial.append(bytes.get(from..).unwrap_or_default())?;
            partial.finish()
        };
        blocking("writing", &blobs.path(document.digest), write).await??;
        Ok(true)
    }

    /// Brings a layer, by `patch` if it was to come over the link.
    async fn layer(&mut self, layer: &Layer, patch: Option<Blob>) -> Result<(), FetchError> {
        let neighbours = self.line.source().neighbours();
        if let Some(neighbours) = neighbours
            && neighbours.take(layer).await?
        {
            self.tell(self.total.saturating_sub(patch.map_or(0, |patch| patch.size)));
            return Ok(());
        }
        let patch = match patch {
            Some(patch) => patch,
            None => self.patch_after_all(layer).await?,
        };
        let (before, brings) = (self.done, neighbours.map(|neighbours| neighbours.bring(layer.tar.digest)));
        let say = |here: u64, new| {
            brings.iter().for_each(|brings| brings.tell(here));
            self.more(before + here.min(patch.size), new);
        };
        layer::layer(&self.line, self.place.content, layer.tar, patch, &say).await?;
        self.done += patch.size;
        Ok(())
    }

    /// The patch of a layer that was to come from a neighbour.
    async fn patch_after_all(&mut self, layer: &Layer) -> Result<Blob, FetchError> {
        let patch = layer::patch(self.line.source(), self.place.content, layer.tar).await?;
        self.make_room(&[*layer], [&patch].into_iter(), layer.tar.size)?;
        self.tell(self.total + patch.size);
        Ok(patch)
    }

    /// Whether there is room for the packs of `layers`, which are made of one of `patches` after the other, and for `files`
    /// bytes of unpacked files.
    fn make_room<'p>(&self, layers: &[Layer], patches: impl Iterator<Item = &'p Blob>, files: u64) -> Result<(), FetchError> {
        let Place { content, root } = self.place;
        let missing = |patch: &Blob| patch.size.saturating_sub(content.patches.allocated(patch.digest));
        let need = Need {
            patch: patches.map(missing).max().unwrap_or(0),
            packs: layers.iter().map(|layer| layer.blob.size.min(layer.tar.size)).sum(),
            files,
        };
        room::check(need, Disk::of(content.packs.dir()), root.and_then(Disk::of), content.reserve).map_err(|short| {
            FetchError::NoRoom { image: self.image.id(), need, short: Box::new(short), reserve: content.reserve }
        })
    }

    /// Bytes of the whole image as its publisher compressed it.
    fn whole(&self) -> u64 {
        let layers = self.image.layers.iter().map(|layer| &layer.blob);
        self.wanted.documents.iter().chain(layers).map(|blob| blob.size).sum()
    }

    /// So many bytes must travel.
    fn tell(&mut self, total: u64) {
        self.total = total;
        let reused = self.whole().saturating_sub(total);
        self.progress.send_modify(|progress| (progress.done, progress.total, progress.reused) = (self.done, total, reused));
    }

    /// So many bytes travelled, and so many of them just now.
    fn more(&self, done: u64, new: u64) {
        self.progress.send_modify(|progress| progress.tell(done, new, Instant::now()));
    }
}
