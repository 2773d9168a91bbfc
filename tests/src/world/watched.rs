//! The runtime in memory, with somebody who looks on.

use std::sync::Arc;
use std::time::Duration;

use edge_node::held::Held;
use edge_node::images::content::Content;
use edge_node::images::extract::check;
use edge_node::images::packs::PackTar;
use edge_node::images::stop::Stop;
use edge_node::runtime::memory::Memory;
use edge_node::runtime::{Observed, ProbeFailure, Runtime, RuntimeError, Usage};
use shared::fault::{Fault, image as texts};
use shared::id::Name;
use shared::manifest::Probe;
use shared::plan::Step;
use shared::release::{Blob, Image};
use shared::state::InstanceId;

use super::history::History;

/// A runtime whose steps are judged by a [`History`] before they are done.
pub struct Watched {
    /// Whose.
    pub node: Name,
    /// The real one.
    pub memory: Memory,
    /// What its daemon holds.
    pub held: Arc<Held>,
    /// Where its images' bytes lie.
    pub content: Content,
    /// The judge.
    pub history: Arc<History>,
}

impl Watched {
    /// Whether all bytes of `image` lie there; layers that are unpacked already need none.
    fn has_arrived(&self, image: &Image, seen: &Observed) -> bool {
        let chain = shared::oci::chain_ids(&image.diff_ids());
        let mut layers = image.layers.iter().zip(&chain).filter(|(_, chain)| !seen.layers.contains(chain));
        layers.all(|(layer, _)| self.is_whole(layer.tar))
            && [image.manifest, image.config].iter().all(|blob| self.content.blobs.has(blob))
    }

    /// Whether a layer of `image` was found damaged, in it or in another one that has it, too.
    fn lost_a_layer(&self, image: &Image, seen: &Observed) -> bool {
        let chain = shared::oci::chain_ids(&image.diff_ids());
        let holding = self.held.holding();
        let mut images = holding.releases.values().flat_map(|release| release.images.values().flatten());
        images.any(|other| {
            let mut layers = shared::oci::chain_ids(&other.diff_ids()).into_iter();
            seen.damaged.contains(&other.id()) && layers.any(|layer| chain.contains(&layer))
        })
    }

    /// Whether the layer's pack holds its tar.
    fn is_whole(&self, layer: Blob) -> bool {
        let pack = self.content.packs.read(layer.digest);
        pack.is_ok_and(|pack| check(layer, PackTar::new(pack), &Stop::default()).is_ok())
    }
}

impl Runtime for Watched {
    async fn observe(&self) -> Result<Observed, RuntimeError> {
        self.memory.observe().await
    }

    async fn apply(&self, step: &Step) -> Result<(), RuntimeError> {
        if let Ok(seen) = self.memory.observe().await {
            self.history.holds(&self.node, self.held.holding());
            if let Step::Unpack(image) = step
                && self.lost_a_layer(image, &seen)
                && !self.has_arrived(image, &seen)
            {
                // Its packs were not needed while the layer was whole; now they come again.
                return Err(RuntimeError::Refused(Fault::new(&texts::LAYER_UNKNOWN).with("layer", image.id().short())));
            }
            self.history.about_to(&self.node, step, &seen, |image| self.has_arrived(image, &seen));
        }
        self.memory.apply(step).await
    }

    async fn probe(&self, instance: &InstanceId, probe: &Probe, limit: Duration) -> Result<(), ProbeFailure> {
        self.memory.probe(instance, probe, limit).await
    }

    async fn usage(&self) -> Result<Usage, RuntimeError> {
        self.memory.usage().await
    }

    async fn changed(&self) {
        self.memory.changed().await;
    }
}
