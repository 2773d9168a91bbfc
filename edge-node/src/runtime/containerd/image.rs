//! From packs and documents on disk to an image that can start, and back.
//!
//! ```text
//! lease ─▶ for each layer: Prepare ─▶ extract into its directory, check diff_id ─▶ Commit as <chain id>
//!       ─▶ config and manifest into the content store ─▶ syncfs ─▶ image record ─▶ release the lease
//! ```
//!
//! The image record is the last thing made, and only after `syncfs`: without it a power cut left every file of a
//! freshly imported image empty in 8 of 8 trials while containerd called it complete. So *a record exists and its layers
//! exist* means ready, unless the machine went down since ([`super::verify`]). Records are named `causeway/<manifest
//! digest>`; nothing of an image's own labels is ever copied, because labels steer containerd (CVE-2026-53488).
//!
//! containerd gets no layer content: the manifest names only the config, and the config names the top layer's snapshot,
//! which holds those below. What the image was made of stays on our side, so that it can be made again without the hub.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::introspection_client::IntrospectionClient;
use containerd_client::services::v1::{
    CreateImageRequest, DeleteImageRequest, Image as Record, ListImagesRequest, PluginsRequest, UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use prost_types::FieldMask;
use shared::fault::{Fault, Faulty, image as texts};
use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, ImageConfig, LAYERS_MAX, Manifest, chain_ids, media};
use shared::release::{Blob, Image};
use shared::time::UnixMillis;

use super::client::{Client, exists, failed, missing};
use super::content::{self, Source};
use super::layer;
use super::lease::{self, Lease};
use super::proof::{Judged, Proof, Proofs};
use super::snapshot::{Layers, Snapshots, directories};
use super::verify::Scrubs;
use crate::images::blobs::BlobError;
use crate::images::claims::Claims;
use crate::images::content::Content;
use crate::runtime::RuntimeError;

/// Begins the name of each of our image records.
const PREFIX: &str = "causeway/";
/// Our own label of a record: the chain id of its top layer.
const TOP: &str = "causeway.top-layer";

/// The images of one containerd namespace. Cheap to clone; clones share.
#[derive(Clone)]
pub struct Images {
    pub(super) client: Client,
    pub(super) snapshotter: String,
    pub(super) content: Content,
    pub(super) proofs: Proofs,
    pub(super) scrubs: Scrubs,
    pub(super) images: Claims,
    layers: Claims,
    root: Arc<OnceLock<PathBuf>>,
}

/// What is unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// Ids of the images that can start.
    pub images: BTreeSet<Digest>,
    /// Ids of those that must be verified first.
    pub doubtful: BTreeSet<Digest>,
    /// Ids of those that are damaged.
    pub damaged: BTreeSet<Digest>,
    /// Chain ids of all layers that are not damaged, of those images or of others.
    pub layers: BTreeSet<Digest>,
}

impl Images {
    /// Images of `client`'s namespace, unpacked by `snapshotter` from `content`.
    pub fn new(client: Client, snapshotter: &str, content: Content, proofs: Proofs) -> Self {
        Self {
            client,
            snapshotter: snapshotter.into(),
            content,
            proofs,
            scrubs: Scrubs::default(),
            images: Claims::default(),
            layers: Claims::default(),
            root: Arc::default(),
        }
    }

    /// Makes `image` ready from what is on disk. Layers that are unpacked are kept, and unpacked again where they are
    /// damaged: then no process may run on them. Done before: succeeds again. Cut off at any point: the next call goes on.
    /// Refused: nothing of it stays.
    ///
    /// `now` dates the lease that protects the work.
    pub async fn unpack(&self, image: &Image, now: UnixMillis) -> Result<(), RuntimeError> {
        let _claim = self.images.claim(image.id()).await;
        if !self.unpacked().await?.images.contains(&image.id()) {
            let documents = self.documents(image).await?;
            let lease = Lease::take(&self.client, lease_of(image.id()), now).await?;
            let made = self.make(&lease, image, documents, now).await;
            // What failed for want of containerd goes on under the same lease; what was refused begins anew.
            if matches!(made, Ok(()) | Err(RuntimeError::Refused(_))) {
                lease.release(&self.client).await?;
            }
            made?;
        }
        Ok(())
    }

    async fn make(&self, lease: &Lease, image: &Image, documents: [Vec<u8>; 2], now: UnixMillis) -> Result<(), RuntimeError> {
        self.remove_leftovers(lease).await?;
        let top = self.unpack_layers(lease, image).await?;
        self.write_documents(lease, image, top, documents, now).await?;
        self.sync(lease, top).await?;
        self.record(image, top).await
    }

    /// What is unpacked, in two calls.
    pub async fn unpacked(&self) -> Result<Unpacked, RuntimeError> {
        let Layers { all: layers, signed } = Snapshots::new(&self.client, &self.snapshotter).layers().await?;
        let images = self.records(&layers).await?;
        let Judged { ready, doubtful, damaged } = self.proofs.judge(&images, signed);
        let layers = layers.into_keys().filter(|layer| self.proofs.of(*layer) != Some(Proof::Damaged)).collect();
        Ok(Unpacked { images: ready, doubtful, damaged, layers })
    }

    /// Removes layers in doubt that belong to no image, as an unpacking leaves them that was cut off: nobody would ever verify
    /// them. What they were unpacked from is still there. Call it before anything is unpacked.
    pub async fn remove_orphans(&self) -> Result<(), RuntimeError> {
        if !self.proofs.is_doubtful() {
            return Ok(());
        }
        let snapshots = Snapshots::new(&self.client, &self.snapshotter);
        // What was prepared and not finished stands on them.
        let filters = ["kind==active", "kind==view"].map(str::to_owned).to_vec();
        for info in snapshots.list(filters).await?.iter().filter(|info| info.name.starts_with(layer::KEY)) {
            snapshots.remove(&info.name).await?;
        }
        let Layers { all, signed } = snapshots.layers().await?;
        let needed: BTreeSet<Digest> = self.records(&all).await?.into_values().flatten().collect();
        let orphans = signed.into_iter().filter(|layer| !needed.contains(layer));
        let mut orphans: Vec<_> = orphans.map(|layer| (chain(layer, &all).map_or(0, |chain| chain.len()), layer)).collect();
        orphans.sort_unstable();
        for (_, layer) in orphans.into_iter().rev() {
            // One that somebody else stands on stays, and stays in doubt.
            if let Err(error) = snapshots.remove(&layer.to_string()).await {
                tracing::warn!(%error, layer = %layer.short(), "a layer of no image stays");
            }
        }
        Ok(())
    }

    /// The images of which there is all, with the chain ids of their layers.
    async fn records(&self, layers: &BTreeMap<Digest, Option<Digest>>) -> Result<BTreeMap<Digest, Vec<Digest>>, RuntimeError> {
        let request = self.client.request(ListImagesRequest::default());
        let records = ImagesClient::new(self.client.channel()).list(request).await.map_err(failed("listing images"))?;
        let complete = |record: &Record| {
            let top: Digest = record.labels.get(TOP)?.parse().ok()?;
            Some((id_of(&record.name)?, chain(top, layers)?))
        };
        Ok(records.into_inner().images.iter().filter_map(complete).collect())
    }

    /// Where the snapshotter unpacks layers, when containerd says it.
    pub async fn root(&self) -> Option<PathBuf> {
        if self.root.get().is_none() {
            let filters = vec![format!("type==io.containerd.snapshotter.v1,id=={}", self.snapshotter)];
            let mut introspection = IntrospectionClient::new(self.client.channel());
            let told = introspection.plugins(self.client.request(PluginsRequest { filters })).await;
            let root = told.ok()?.into_inner().plugins.into_iter().find_map(|mut plugin| plugin.exports.remove("root"))?;
            self.root.get_or_init(|| root.into());
        }
        self.root.get().cloned()
    }

    /// Removes an image, and every layer that neither another image nor a container needs. Returns when they are gone
    /// from disk. An image that is not there is no error.
    pub async fn remove(&self, id: Digest) -> Result<(), RuntimeError> {
        let _claim = self.images.claim(id).await;
        lease::release(&self.client, &lease_of(id)).await?;
        let request = self.client.request(DeleteImageRequest { name: name_of(id), sync: true, ..Default::default() });
        match ImagesClient::new(self.client.channel()).delete(request).await {
            Err(status) if !missing(&status) => Err(failed("removing an image")(status)),
            _ => Ok(()),
        }
    }

    /// The config of an unpacked image.
    pub async fn config(&self, id: Digest) -> Result<ImageConfig, RuntimeError> {
        let manifest: Manifest = parse(id, &self.document(id).await?)?;
        parse(id, &self.document(manifest.config.digest).await?)
    }

    /// Makes sure that containerd has manifest and config of an unpacked image; false when we do not have them either.
    pub(super) async fn renew_documents(&self, image: &Image, now: UnixMillis) -> Result<bool, RuntimeError> {
        match self.config(image.id()).await {
            Ok(_) => return Ok(true),
            Err(error @ RuntimeError::Unreachable(_)) => return Err(error),
            Err(error) => tracing::warn!(%error, image = %image.id().short(), "manifest and config are written again"),
        }
        let Ok(documents) = self.documents(image).await else { return Ok(false) };
        let Some(top) = chain_ids(&image.diff_ids()).last().copied() else { return Ok(false) };
        let lease = Lease::take(&self.client, lease_of(image.id()), now).await?;
        lease.hold(&self.snapshotter, &top.to_string()).await?; // what else holds the layers is removed
        for blob in [image.manifest, image.config] {
            content::remove(&self.client, blob.digest).await?;
        }
        lease::collect(&self.client, now).await?;
        self.write_documents(&lease, image, top, documents, now).await?;
        self.sync(&lease, top).await?;
        lease.release(&self.client).await?;
        Ok(true)
    }

    async fn document(&self, digest: Digest) -> Result<Vec<u8>, RuntimeError> {
        let absent = || RuntimeError::Failed { doing: "reading an image", cause: format!("{digest} is missing") };
        content::read(&self.client, digest, DOCUMENT_MAX).await?.ok_or_else(absent)
    }

    /// Manifest and config, checked against what was signed.
    async fn documents(&self, image: &Image) -> Result<[Vec<u8>; 2], RuntimeError> {
        let (blobs, wanted) = (self.content.blobs.clone(), [image.manifest, image.config]);
        if let Some(large) = wanted.iter().find(|blob| blob.size > DOCUMENT_MAX) {
            return Err(differs(image.id(), &format!("{} has {} bytes", large.digest.short(), large.size)));
        }
        let read = move || {
            let [manifest, config] = wanted;
            Ok::<_, BlobError>([blobs.read(&manifest)?, blobs.read(&config)?])
        };
        let documents = blocking("reading blobs", read).await?.map_err(|error| RuntimeError::Refused(error.fault()))?;
        let [manifest, config] = &documents;
        check_documents(image, &parse(image.id(), manifest)?, &parse(image.id(), config)?)?;
        Ok(documents)
    }

    /// Snapshots that an earlier life of the daemon prepared and did not finish.
    async fn remove_leftovers(&self, lease: &Lease) -> Result<(), RuntimeError> {
        let snapshots = Snapshots::new(lease.client(), &self.snapshotter);
        for key in lease.snapshots(&self.snapshotter).await?.iter().filter(|key| key.starts_with(layer::KEY)) {
            snapshots.remove(key).await?;
        }
        Ok(())
    }

    /// Every layer in turn; the chain id of the top one.
    async fn unpack_layers(&self, lease: &Lease, image: &Image) -> Result<Digest, RuntimeError> {
        let mut parent = None;
        for (layer, chain) in image.layers.iter().zip(chain_ids(&image.diff_ids())) {
            let _claim = self.layers.claim(chain).await;
            // Held before the look, so that it cannot vanish after it.
            lease.hold(&self.snapshotter, &chain.to_string()).await?;
            let snapshots = Snapshots::new(lease.client(), &self.snapshotter);
            if snapshots.labels(&chain.to_string()).await?.is_some() {
                self.renew(image, chain).await?;
            } else {
                layer::unpack(&snapshots, lease.client(), &self.content.packs, layer.tar, parent, chain).await?;
                self.proofs.note(chain, Proof::Whole);
            }
            parent = Some(chain);
        }
        parent.ok_or_else(|| RuntimeError::Refused(Fault::new(&texts::IMAGE_EMPTY).with("image", image.id().short())))
    }

    /// The config holds the layers, the manifest holds the config, the record will hold the manifest. The lease holds the
    /// layers meanwhile.
    async fn write_documents(
        &self,
        lease: &Lease,
        image: &Image,
        top: Digest,
        [manifest, config]: [Vec<u8>; 2],
        now: UnixMillis,
    ) -> Result<(), RuntimeError> {
        let layers = (format!("containerd.io/gc.ref.snapshot.{}", self.snapshotter), top.to_string());
        let config_ref = ("containerd.io/gc.ref.content.config".to_owned(), image.config.digest.to_string());
        self.write_document(lease, image.config, config.into(), layers, now).await?;
        self.write_document(lease, image.manifest, manifest.into(), config_ref, now).await
    }

    /// What containerd has already it does not write again, whether it is whole or not: therefore it is read back.
    async fn write_document(
        &self,
        lease: &Lease,
        blob: Blob,
        bytes: Bytes,
        label: (String, String),
        now: UnixMillis,
    ) -> Result<(), RuntimeError> {
        let labels = [label];
        content::write(lease.client(), blob, Source::Memory(bytes.clone()), &labels).await?;
        match self.document(blob.digest).await {
            Ok(_) => return Ok(()),
            Err(error @ RuntimeError::Unreachable(_)) => return Err(error),
            Err(error) => tracing::warn!(%error, blob = %blob.digest.short(), "a document is damaged and written again"),
        }
        content::remove(lease.client(), blob.digest).await?;
        lease::collect(&self.client, now).await?; // its bytes go, which would be taken over otherwise
        content::write(lease.client(), blob, Source::Memory(bytes), &labels).await?;
        self.document(blob.digest).await.map(drop)
    }

    /// Everything written so far reaches the disk: content and containerd's own records lie on the file system of the layers.
    async fn sync(&self, lease: &Lease, top: Digest) -> Result<(), RuntimeError> {
        let snapshots = Snapshots::new(lease.client(), &self.snapshotter);
        let key = layer::key(top)?;
        let mounts = snapshots.view(&key, &top.to_string()).await?;
        let place = directories(&mounts).and_then(|dirs| dirs.into_iter().next());
        let sync = move || match place {
            Some(path) => File::open(path).and_then(|dir| rustix::fs::syncfs(&dir).map_err(Into::into)),
            None => {
                rustix::fs::sync(); // a snapshotter that shows no directory: all file systems
                Ok(())
            }
        };
        let synced = blocking("syncing", sync).await?;
        snapshots.remove(&key).await?;
        synced.map_err(|cause| RuntimeError::Failed { doing: "syncing", cause: cause.to_string() })
    }

    async fn record(&self, image: &Image, top: Digest) -> Result<(), RuntimeError> {
        let target = Descriptor {
            media_type: media::MANIFEST.into(),
            digest: image.id().to_string(),
            size: i64::try_from(image.manifest.size).unwrap_or_default(),
            ..Default::default()
        };
        let labels = [(TOP.to_owned(), top.to_string())].into();
        let record = Some(Record { name: name_of(image.id()), target: Some(target), labels, ..Default::default() });
        let mut images = ImagesClient::new(self.client.channel());
        let create = CreateImageRequest { image: record.clone(), ..Default::default() };
        match images.create(self.client.request(create)).await {
            Ok(_) => Ok(()),
            Err(status) if exists(&status) => {
                let mask = FieldMask { paths: vec!["target".into(), "labels".into()] };
                let update = UpdateImageRequest { image: record, update_mask: Some(mask), ..Default::default() };
                let updated = images.update(self.client.request(update)).await;
                updated.map(drop).map_err(failed("recording an image"))
            }
            Err(status) => Err(failed("recording an image")(status)),
        }
    }
}

/// The layer `top` and all below it, the topmost first; `None` when one is missing.
fn chain(top: Digest, layers: &BTreeMap<Digest, Option<Digest>>) -> Option<Vec<Digest>> {
    let mut chain = vec![top];
    while let Some(below) = layers.get(chain.last()?)? {
        if chain.len() == LAYERS_MAX {
            return None;
        }
        chain.push(*below);
    }
    Some(chain)
}

/// Whether manifest and config say what was signed.
fn check_documents(image: &Image, manifest: &Manifest, config: &ImageConfig) -> Result<(), RuntimeError> {
    if (manifest.config.digest, manifest.config.size) != (image.config.digest, image.config.size) {
        return Err(differs(image.id(), "config"));
    }
    if config.rootfs.diff_ids != image.diff_ids() {
        return Err(differs(image.id(), "diff_ids"));
    }
    Ok(())
}

fn parse<T: serde::de::DeserializeOwned>(image: Digest, bytes: &[u8]) -> Result<T, RuntimeError> {
    serde_json::from_slice(bytes).map_err(|error| differs(image, &error.to_string()))
}

fn differs(image: Digest, what: &str) -> RuntimeError {
    RuntimeError::Refused(Fault::new(&texts::DOCUMENTS_DIFFER).with("image", image.short()).with("what", what))
}

/// Runs what may block on a thread where it may.
pub(super) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| RuntimeError::Failed { doing, cause: error.to_string() })
}

fn name_of(id: Digest) -> String {
    format!("{PREFIX}{}", id.hex())
}

fn id_of(name: &str) -> Option<Digest> {
    format!("sha256:{}", name.strip_prefix(PREFIX)?).parse().ok()
}

fn lease_of(id: Digest) -> String {
    format!("image-{}", id.hex())
}
