//! A release: one immutable version of an app, pinned to image digests, and what a node makes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::fault::{self, Fault, Faulty};
use crate::id::{Digest, Name};
use crate::manifest::{App, Mount, Service};
use crate::oci::{LAYERS_MAX, Platform};
use crate::recipe::RecipeId;
use crate::wire;

/// Largest encoded release, in bytes: what a node accepts into memory.
pub const RELEASE_MAX: usize = 2 << 20;

/// One immutable version of an app: its manifest and the images its services run, by digest.
///
/// Its id is the sha256 of its canonical bytes ([`wire::v1`]); the publisher signs those bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What the publisher wrote, in normal form.
    pub manifest: App,
    /// For every service its image, once per platform it was published for.
    pub images: BTreeMap<Name, Vec<Image>>,
}

/// An image of one platform, pinned by digest down to each layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The machine it runs on.
    pub platform: Platform,
    /// The image manifest.
    pub manifest: Blob,
    /// The image config.
    pub config: Blob,
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

/// Some content: digest and number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// sha256 of the bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

/// One layer of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// The layer as it travels.
    pub blob: Blob,
    /// How it is compressed.
    pub compression: Compression,
    /// sha256 and size of the uncompressed tar, checked while it is unpacked.
    pub tar: Blob,
    /// What the tar is made of, piece by piece: what others on site send of it is compared with this.
    pub recipe: RecipeId,
}

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Plain tar.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Image {
    /// The image's id: the digest of its manifest.
    pub const fn id(&self) -> Digest {
        self.manifest.digest
    }

    /// The uncompressed layers' digests, lowest first.
    pub fn diff_ids(&self) -> Vec<Digest> {
        self.layers.iter().map(|layer| layer.tar.digest).collect()
    }
}

/// Everything the runtime needs to make one instance: a service with all it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceSpec {
    /// The app.
    pub app: Name,
    /// The service.
    pub service: Name,
    /// The release it came from; not part of [`hash`](Self::hash).
    pub release: Digest,
    /// The container definition.
    pub definition: Service,
    /// The image of this node's platform.
    pub image: Image,
    /// The contents of the configs the service sees, by config name.
    pub configs: BTreeMap<Name, String>,
    /// Changes when anything the container is made of changes. An instance with the same hash is never touched.
    pub hash: Digest,
}

impl Release {
    /// Canonical bytes: what is hashed and signed.
    pub fn to_bytes(&self) -> Vec<u8> {
        wire::v1::Release::from(self).encode()
    }

    /// Reads canonical bytes; the caller has checked the signature over them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, wire::WireError> {
        wire::v1::Release::decode(bytes)?.try_into()
    }

    /// Checks what a signature does not say: a valid manifest, and for every service at least one image of bounded shape.
    pub fn check(&self) -> Result<(), Fault> {
        self.manifest.check().map_err(|refused| refused.fault())?;
        for service in self.manifest.spec.services.keys() {
            let images = self.images.get(service).filter(|images| !images.is_empty());
            let images = images.ok_or_else(|| Fault::new(&fault::image::SERVICE_WITHOUT_IMAGE).with("service", service))?;
            if let Some(large) = images.iter().find(|image| image.layers.len() > LAYERS_MAX) {
                let layers = large.layers.len();
                return Err(Fault::new(&fault::image::TOO_MANY_LAYERS)
                    .with("image", large.id().short())
                    .with("layers", layers)
                    .with("limit", LAYERS_MAX));
            }
        }
        Ok(())
    }

    /// The image of `service` for `machine`: the best match, `None` when the release was not published for it.
    pub fn image(&self, service: &Name, machine: &Platform) -> Option<&Image> {
        let fits = |image: &&Image| image.platform.runs_on(machine);
        self.images.get(service)?.iter().filter(fits).max_by_key(|image| &image.platform.variant)
    }

    /// The instance of `service` on `machine`; `None` when the service or its image is missing.
    pub fn instance(&self, id: Digest, service: &Name, machine: &Platform) -> Option<InstanceSpec> {
        let definition = self.manifest.spec.services.get(service)?.clone();
        let image = self.image(service, machine)?.clone();
        let configs: BTreeMap<Name, String> = definition
            .configs
            .iter()
            .filter_map(|grant| Some((grant.source.clone(), self.manifest.spec.configs.get(&grant.source)?.content.clone())))
            .collect();
        let app = self.manifest.metadata.name.clone();
        let hash = instance_hash(&app, service, &definition, &image, &configs);
        Some(InstanceSpec { app, service: service.clone(), release: id, definition, image, configs, hash })
    }
}

/// The hash covers what the container is made of and nothing else: `depends_on` (order only), `restart`,
/// `healthcheck` and `stop_grace_period` may change without a restart, so they are left out.
fn instance_hash(app: &Name, service: &Name, definition: &Service, image: &Image, configs: &BTreeMap<Name, String>) -> Digest {
    let mut definition = definition.clone();
    definition.image = image.id().to_string();
    definition.depends_on = BTreeMap::new();
    definition.restart = crate::manifest::Restart::default();
    definition.healthcheck = None;
    definition.stop_grace_period = crate::manifest::Period::default();
    definition.labels = BTreeMap::new();
    let parts = serde_json::json!({"v": 1, "app": app, "service": service, "definition": definition, "configs": configs});
    Digest::of(parts.to_string().as_bytes())
}

impl InstanceSpec {
    /// Named volumes the instance uses, with where they are mounted.
    pub fn named_volumes(&self) -> impl Iterator<Item = (&Name, &str)> {
        self.definition.volumes.iter().filter_map(|mount| match mount {
            Mount::Volume { source, target, .. } => Some((source, target.as_str())),
            Mount::Bind { .. } | Mount::Tmpfs { .. } => None,
        })
    }
}
