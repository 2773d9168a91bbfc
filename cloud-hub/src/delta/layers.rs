//! The layers of releases, by diff_id. They stand in the releases' envelopes only; those of the releases that were looked
//! at last stay in memory, so that a thousand nodes that ask for the same release read it once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use shared::id::Digest;
use shared::release::Layer;

use super::lru::Lru;
use crate::access::lock;
use crate::hub::Hub;
use crate::store::StoreError;

/// Layers in memory: about 2 MB.
const LAYERS_MAX: usize = 20_000;

/// The releases that were looked at last.
#[derive(Debug)]
pub(crate) struct Layers(Mutex<Lru<Digest, Arc<[Layer]>>>);

impl Default for Layers {
    fn default() -> Self {
        Self(Mutex::new(Lru::new(LAYERS_MAX)))
    }
}

impl Hub {
    /// The layers of a release of any service and platform, each once, by diff_id; none when there is no such release.
    pub(crate) async fn layers_of(&self, release: Digest) -> Result<Arc<[Layer]>, StoreError> {
        let table = &self.delta.layers().0;
        if let Some(layers) = lock(table).get(&release) {
            return Ok(layers);
        }
        let Some(whole) = self.whole_release(release).await? else { return Ok(Arc::default()) };
        let layers = whole.images.values().flatten().flat_map(|image| &image.layers);
        let layers: BTreeMap<Digest, Layer> = layers.map(|layer| (layer.tar.digest, *layer)).collect();
        let layers: Arc<[Layer]> = layers.into_values().collect();
        lock(table).put(release, Arc::clone(&layers), layers.len() + 1);
        Ok(layers)
    }
}
