//! Where releases and image bytes come from: the bundle that is in, else the link.
//!
//! What a bundle has is taken from it. For the rest the link is asked while it is up and not paused; otherwise nobody waits
//! for it as long as a bundle is in: the import shall say what is missing. What waited for the link goes on with the bundle.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use shared::fault::{Fault, bundle};
use shared::id::Digest;
use shared::release::Blob;
use tokio::sync::watch;

use super::Bundle;
use crate::held::Held;
use crate::images::content::Content;
use crate::images::{ChunkSource, SourceError};
use crate::link::Link;
use crate::neighbours::Neighbours;

/// The sources of this node. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Supply {
    link: Link,
    content: Content,
    held: Arc<Held>,
    neighbours: Option<Neighbours>,
    plugged: Arc<watch::Sender<Option<Arc<Plugged>>>>,
}

/// A bundle that is in.
struct Plugged {
    bundle: Arc<Bundle>,
    /// Patches that the hub named before, of layers that the bundle has by others: they are not waited for.
    others: BTreeSet<Digest>,
}

impl Supply {
    /// The link, and the neighbours if images are shared with them.
    pub fn new(link: Link, content: Content, held: Arc<Held>, neighbours: Option<Neighbours>) -> Self {
        Self { link, content, held, neighbours, plugged: Arc::new(watch::Sender::new(None)) }
    }

    /// Takes from `bundle` until the guard is dropped. Blocks.
    pub(super) fn plug(&self, bundle: Arc<Bundle>) -> Inserted {
        let named = |(layer, patch): (&Digest, &super::Patch)| {
            // What cannot be read now is asked for anew anyway.
            let before = self.content.patches.patch_of(*layer).ok()??;
            (before != patch.blob).then_some(before.digest)
        };
        let others = bundle.patches.iter().filter_map(named).collect();
        let plugged = Arc::new(Plugged { bundle, others });
        self.plugged.send_replace(Some(plugged.clone()));
        Inserted { supply: self.clone(), plugged }
    }

    /// A signed release of at most `most` bytes.
    pub async fn release(&self, id: Digest, most: usize) -> Result<Vec<u8>, SourceError> {
        let Some(plugged) = self.plugged() else { return self.link.document(id, most).await };
        let found = blocking(move || plugged.bundle.release(id, most)).await?;
        match found {
            Some(bytes) => Ok(bytes),
            None if self.link.is_online() => self.link.document(id, most).await,
            None => Err(SourceError::NotThere(Fault::new(&bundle::LACKS_RELEASE).with("release", id.short()))),
        }
    }

    /// Whether what the bundle lacks may come over the link. A pause is of the link, and holds for all of it meanwhile.
    fn may_use_link(&self) -> bool {
        self.link.is_online() && !self.held.is_pausing()
    }

    fn plugged(&self) -> Option<Arc<Plugged>> {
        self.plugged.borrow().clone()
    }
}

impl ChunkSource for Supply {
    async fn read(&self, blob: Digest, offset: u64, length: u32) -> Result<Bytes, SourceError> {
        let Some(plugged) = self.plugged() else { return self.link.read(blob, offset, length).await };
        if plugged.bundle.has(blob) {
            let part = blocking(move || plugged.bundle.part(blob, offset, length)).await?;
            return part.map(Bytes::from).ok_or_else(|| lacks(blob));
        }
        if self.may_use_link() && !plugged.others.contains(&blob) {
            return self.link.read(blob, offset, length).await;
        }
        Err(lacks(blob))
    }

    async fn patch(&self, layer: Digest, have: &[Digest]) -> Result<Blob, SourceError> {
        let Some(plugged) = self.plugged() else { return self.link.patch(layer, have).await };
        if let Some(patch) = plugged.bundle.patches.get(&layer)
            && patch.from.iter().all(|old| self.content.packs.has(*old))
        {
            return Ok(patch.blob);
        }
        if self.may_use_link() {
            return self.link.patch(layer, have).await;
        }
        Err(lacks(layer))
    }

    fn is_metered(&self, blob: Digest) -> bool {
        self.plugged().is_none_or(|plugged| !plugged.bundle.has(blob))
    }

    fn neighbours(&self) -> Option<&Neighbours> {
        self.neighbours.as_ref().filter(|_| !self.is_at_hand())
    }

    fn is_at_hand(&self) -> bool {
        self.plugged().is_some()
    }

    async fn back(&self) {
        let mut plugged = self.plugged.subscribe();
        tokio::select! {
            () = self.link.back() => {}
            _ = plugged.wait_for(Option::is_some) => {} // An error means that the daemon ends.
        }
    }
}

fn lacks(what: Digest) -> SourceError {
    SourceError::NotThere(Fault::new(&bundle::LACKS).with("what", what.short()))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Fault> + Send + 'static) -> Result<T, SourceError> {
    // It fails only when the daemon ends.
    let done = tokio::task::spawn_blocking(work).await.map_err(|_| SourceError::Away)?;
    done.map_err(SourceError::NotThere)
}

/// Takes its bundle out when dropped, and no other that was put in meanwhile.
pub(super) struct Inserted {
    supply: Supply,
    plugged: Arc<Plugged>,
}

impl Drop for Inserted {
    fn drop(&mut self) {
        let is_in = |plugged: &Option<Arc<Plugged>>| plugged.as_ref().is_some_and(|other| Arc::ptr_eq(other, &self.plugged));
        self.supply.plugged.send_if_modified(|plugged| is_in(plugged) && plugged.take().is_some());
        self.supply.held.look_again(); // A pause holds again what came by hand.
    }
}
