//! One attempt at an image.
//!
//! That there is room for all of it is known before the first byte of a layer is asked for. A layer that was to come from a
//! neighbour and does not comes over the link after all; one that is on its way over the link comes from a neighbour as soon
//! as one has it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use shared::fault::{Fault, node};
use shared::id::Digest;
use shared::release::{Blob, Image, Layer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::line::Line;
use super::{FetchError, Fetched, Wanted, blob, layer};
use crate::images::blobs::{Begun, BlobError, blocking};
use crate::images::content::Content;
use crate::images::room::{self, Disk, Need};
use crate::images::{ChunkSource, Progress};
use crate::neighbours::{Brings, News};

/// Layers whose patches are asked for at once.
const PATCHES: usize = 4;
/// In one attempt neighbours are waited for so long at most, however they get on: 170 MB take that at 64 kbit/s.
const WAIT_MAX: Duration = Duration::from_secs(6 * 3600);
/// When it was in vain for so long in one attempt, the next layer is waited for no more.
const VAIN_MAX: Duration = Duration::from_secs(3600);

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
    progress: &'a watch::Sender<Progress>,
    begun: Instant,
    /// Bytes that travelled.
    done: u64,
    /// Bytes that must travel, as far as it is known.
    total: u64,
    /// Bytes, as their publisher compressed them, of missing layers that no patch is known of: they may come from neighbours.
    open: u64,
    /// Neighbours were waited for so long, and did not bring it.
    vain: Duration,
}

impl<'a, S: ChunkSource> Attempt<'a, S> {
    pub(super) fn new(
        line: Line<'a, S>,
        place: Place<'a>,
        image: &'a Image,
        wanted: &'a Wanted,
        progress: &'a watch::Sender<Progress>,
    ) -> Self {
        Self { line, place, image, wanted, progress, begun: Instant::now(), done: 0, total: 0, open: 0, vain: Duration::ZERO }
    }

    pub(super) async fn run(mut self) -> Result<Fetched, FetchError> {
        let mut missing: Vec<Layer> = self.wanted.missing(self.place.content).collect();
        let on_site = self.on_site(&missing).await;
        let over_link = || missing.iter().filter(|layer| !on_site.contains(&layer.tar.digest));
        let mut brings = self.bring(over_link());
        let mut patches = self.patches(over_link()).await?;
        brings.retain(|layer, _| patches.contains_key(layer)); // The hub is away: perhaps it is not for another node.
        if !missing.is_empty() {
            // Otherwise nothing is asked for, and what an earlier attempt unpacked of it may take the room already.
            let files = self.wanted.layers.iter().map(|layer| layer.tar.size).sum();
            self.make_room(&missing, patches.values(), files)?;
        }
        self.progress.send_replace(Progress::default());
        let is_open = |layer: &&Layer| !patches.contains_key(&layer.tar.digest);
        self.open = missing.iter().filter(is_open).map(|layer| layer.blob.size).sum();
        self.tell(self.wanted.documents.iter().chain(patches.values()).map(|blob| blob.size).sum());
        for document in self.wanted.documents {
            self.document(document).await?;
        }
        // First what this node brings, for others wait for it; last what nobody can bring now.
        missing.sort_by_key(|layer| (!patches.contains_key(&layer.tar.digest), !on_site.contains(&layer.tar.digest)));
        for layer in missing {
            let digest = layer.tar.digest;
            self.layer(&layer, patches.remove(&digest)).await?;
            brings.remove(&digest);
        }
        self.tell(self.total);
        Ok(Fetched { sent: self.total, whole: self.whole() })
    }

    /// Layers that come from neighbours, as it looks now.
    async fn on_site(&self, missing: &[Layer]) -> BTreeSet<Digest> {
        let Some(neighbours) = self.line.source().neighbours() else { return BTreeSet::new() };
        let layers: Vec<Digest> = missing.iter().map(|layer| layer.tar.digest).collect();
        neighbours.on_site(&layers).await
    }

    /// Says to the neighbours that this node brings `layers`.
    fn bring<'l>(&self, layers: impl Iterator<Item = &'l Layer>) -> BTreeMap<Digest, Brings> {
        let Some(neighbours) = self.line.source().neighbours() else { return BTreeMap::new() };
        layers.map(|layer| (layer.tar.digest, neighbours.bring(layer.tar.digest))).collect()
    }

    /// The patches of `layers`, as far as the hub is there to name them.
    async fn patches<'l>(&self, layers: impl Iterator<Item = &'l Layer>) -> Result<BTreeMap<Digest, Blob>, FetchError> {
        let (source, content) = (self.line.source(), self.place.content);
        let tars: Vec<Blob> = layers.map(|layer| layer.tar).collect();
        let patch_of = |tar: Blob| async move {
            let patch = layer::patch(source, content, tar).await?;
            Ok::<_, FetchError>(patch.map(|patch| (tar.digest, patch)))
        };
        let named: Vec<_> = stream::iter(tars).map(patch_of).buffered(PATCHES).try_collect().await?;
        Ok(named.into_iter().flatten().collect())
    }

    /// Brings a document, from a neighbour if one has it.
    async fn document(&mut self, document: Blob) -> Result<(), FetchError> {
        let mut before = 0;
        while !self.is_nearby(document).await? {
            let done = self.done;
            let say = |here, new| self.more(done + here, new);
            let offered = async {
                match self.line.source().neighbours() {
                    Some(neighbours) => neighbours.pause(before).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                brought = blob(&self.line, &self.place.content.blobs, document, &say) => {
                    brought?;
                    break;
                }
                () = offered => before += 1,
            }
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
        match blocking("writing", &blobs.path(document.digest), write).await? {
            // What was there before of it was wrong, and is gone.
            Err(BlobError::Differs(_)) => Ok(false),
            written => Ok(written.map(|()| true)?),
        }
    }

    /// Brings a layer: from a neighbour that has it or brings it, or else over the link, by `patch` if that is known. What a
    /// neighbour has meanwhile need not be waited for.
    async fn layer(&mut self, layer: &Layer, mut patch: Option<Blob>) -> Result<(), FetchError> {
        let source = self.line.source();
        let Some(neighbours) = source.neighbours() else { return self.over_link(layer, patch, &AtomicBool::default()).await };
        let mut before = 0;
        loop {
            let asked = Instant::now();
            let may_wait = || self.begun.elapsed() < WAIT_MAX && self.vain < VAIN_MAX && !source.is_at_hand();
            let came = neighbours.take(layer, may_wait, &|news| self.hear(news)).await;
            self.wait_for(None);
            if came? {
                let (open, travels) = patch.map_or((layer.blob.size, 0), |patch| (0, patch.size));
                self.open = self.open.saturating_sub(open);
                self.tell(self.total.saturating_sub(travels));
                return Ok(());
            }
            self.vain += asked.elapsed();
            let all_here = AtomicBool::default();
            let offered = async {
                neighbours.offered(layer.tar.digest, before).await;
                if all_here.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await; // Nothing of it travels any more.
                }
            };
            tokio::select! {
                brought = self.over_link(layer, patch, &all_here) => return brought,
                () = offered => before += 1,
            }
            patch = self.place.content.patches.patch_of(layer.tar.digest)?;
        }
    }

    /// Brings a layer over the link. `all_here` becomes true when all of its patch arrived.
    async fn over_link(&mut self, layer: &Layer, patch: Option<Blob>, all_here: &AtomicBool) -> Result<(), FetchError> {
        let patch = match patch {
            Some(patch) => patch,
            None => self.late_patch(layer).await?,
        };
        let brings = self.line.source().neighbours().map(|neighbours| neighbours.bring(layer.tar.digest));
        let before = self.done;
        let say = |here: u64, new| {
            brings.iter().for_each(|brings| brings.tell(new, Instant::now()));
            all_here.fetch_or(here >= patch.size, Ordering::Relaxed);
            self.more(before + here.min(patch.size), new);
        };
        layer::layer(&self.line, self.place.content, layer, patch, &say).await?;
        self.done += patch.size;
        Ok(())
    }

    /// The patch of a layer that was to come from a neighbour, or for which the hub was away. While it is away, this node
    /// does not say that it brings the layer.
    async fn late_patch(&mut self, layer: &Layer) -> Result<Blob, FetchError> {
        let patch = loop {
            let brings = self.bring([layer].into_iter());
            if let Some(patch) = layer::patch(self.line.source(), self.place.content, layer.tar).await? {
                break patch;
            }
            drop(brings);
            self.line.back().await;
        };
        self.make_room(&[*layer], [&patch].into_iter(), layer.tar.size)?;
        self.open = self.open.saturating_sub(layer.blob.size);
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
            packs: layers
                .iter()
                .map(|layer| layer.blob.size.min(layer.tar.size).saturating_sub(content.packs.begun(layer.tar.digest)))
                .sum(),
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
        let whole = self.whole().saturating_sub(total).saturating_sub(self.open);
        self.progress.send_modify(|progress| {
            let reused = whole.saturating_sub(progress.taken);
            (progress.done, progress.total, progress.reused) = (self.done, total, reused);
        });
    }

    /// Takes in how a layer comes from a neighbour.
    fn hear(&self, news: News<'_>) {
        match news {
            News::Waits(neighbour) => self.wait_for(Some(Fault::new(&node::NEIGHBOUR_BRINGS).with("neighbour", neighbour))),
            News::Gives(neighbour) => self.wait_for(Some(Fault::new(&node::NEIGHBOUR_GIVES).with("neighbour", neighbour))),
            News::Came(bytes) => self.progress.send_modify(|progress| progress.taken = progress.taken.saturating_add(bytes)),
        }
    }

    fn wait_for(&self, waits: Option<Fault>) {
        self.progress.send_modify(|progress| progress.waits = waits);
    }

    /// So many bytes travelled, and so many of them just now.
    fn more(&self, done: u64, new: u64) {
        self.progress.send_modify(|progress| progress.tell(done, new, Instant::now()));
    }
}
