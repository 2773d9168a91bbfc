//! The node's runtime on a private containerd, in this process, with one image unpacked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use edge_node::boot::Boot;
use edge_node::budget::Ledger;
use edge_node::clock::Clock;
use edge_node::images::content::Content;
use edge_node::images::fetch::{Present, fetch};
use edge_node::images::memory::Memory;
use edge_node::runtime::containerd::{Config, Containerd};
use edge_node::runtime::{Runtime, RuntimeError};
use serde_json::json;
use shared::id::{Digest, Name};
use shared::oci::{Platform, chain_ids, media};
use shared::plan::Step;
use shared::release::{Blob, Compression, Image, InstanceSpec, Layer};

use super::bare::Bare;
use crate::containerd::Private;
use crate::demo::{Failure, program};
use crate::image;

/// See the module.
pub(super) struct Desk {
    runtime: Containerd,
    content: Content,
    image: Image,
    /// The containerd.
    pub private: Private,
}

impl Desk {
    /// Below `dir`; nothing is unpacked yet.
    pub(super) async fn new(dir: &Path, image: Image) -> Result<Self, Failure> {
        let private = Private::start(dir).await;
        let state = dir.join("node");
        let content = Content::open(&state, "boot").map_err(|error| error.to_string())?;
        let boot = Arc::new(Boot::begin(&state, false).map_err(|error| error.to_string())?);
        let config = Config {
            socket: private.socket(),
            namespace: private.namespace().into(),
            state,
            run: dir.join("run"),
            log_sink: PathBuf::from(program("edge-node").get_program()),
            bridge: private.bridge().into(),
            subnet: private.subnet().into(),
            host_network: true,
            ..Config::default()
        };
        let runtime = Containerd::new(config, content.clone(), boot).map_err(said)?;
        Ok(Self { runtime, content, image, private })
    }

    /// Brings the image from `source` to the point where containers can be made of it.
    pub(super) async fn receive(&self, source: &Memory) -> Result<(), Failure> {
        self.fetch(source).await?;
        self.unpack().await
    }

    /// Brings the image from `source` to disk.
    pub(super) async fn fetch(&self, source: &Memory) -> Result<(), Failure> {
        let progress = tokio::sync::watch::Sender::default();
        let fetched =
            fetch(source, &self.content, &self.image, &Present::default(), &Ledger::unlimited(Clock::system()), &progress).await;
        fetched.map(drop).map_err(|error| error.to_string())
    }

    /// Unpacks it.
    pub(super) async fn unpack(&self) -> Result<(), Failure> {
        self.apply(Step::Unpack(self.image.clone())).await
    }

    /// Makes one more container of the sample app, and returns when it runs.
    pub(super) async fn create(&self) -> Result<(), Failure> {
        self.apply(Step::Create(Box::new(self.spec()?))).await
    }

    async fn apply(&self, step: Step) -> Result<(), Failure> {
        self.runtime.apply(&step).await.map_err(said)
    }

    fn spec(&self) -> Result<InstanceSpec, Failure> {
        let definition = service();
        Ok(InstanceSpec {
            app: name("bench")?,
            service: name("counter")?,
            release: Digest::of(b"release"),
            hash: Digest::of(definition.to_string().as_bytes()),
            definition: serde_json::from_value(definition).map_err(|error| error.to_string())?,
            image: self.image.clone(),
            configs: BTreeMap::new(),
        })
    }

    /// A bare client that makes containers like those of [`create`](Self::create).
    pub(super) async fn bare(&self) -> Result<Bare, Failure> {
        let seen = self.runtime.observe().await.map_err(said)?.instances;
        let (id, _) = seen.first_key_value().ok_or("no container to copy")?;
        let top = chain_ids(&self.image.diff_ids()).last().ok_or("no layer")?.to_string();
        Bare::like(&self.private.socket(), self.private.namespace(), &id.to_string(), top).await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: RuntimeError) -> Failure {
    error.to_string()
}

fn name(text: &str) -> Result<Name, Failure> {
    Name::new(text).map_err(|error| error.to_string())
}

/// The counter in the node's own network, on a port of the kernel's choice, so that there can be many.
pub(super) fn service() -> serde_json::Value {
    json!({
        "image": "sample-app:1.0.0", "command": ["counter"], "network_mode": "host",
        "environment": {"SAMPLE_VERSION": "1.0.0", "SAMPLE_LISTEN": "127.0.0.1:0"},
    })
}

/// An image as a signed release names it, and a source of its bytes.
pub(super) fn signed(image: &image::Image) -> Result<(Image, Memory), Failure> {
    let mut source = Memory::default();
    for layer in &image.layers {
        source.insert_layer(&layer.tar.bytes).map_err(|error| error.to_string())?;
    }
    for blob in [&image.manifest, &image.config] {
        source.insert(blob.bytes.clone());
    }
    Ok((named(image), source))
}

/// An image as a signed release names it.
pub(super) fn named(image: &image::Image) -> Image {
    let blob = |blob: &image::Blob| Blob { digest: blob.digest, size: blob.bytes.len() as u64 };
    let layers = image.layers.iter().map(|layer| Layer {
        blob: blob(&layer.blob),
        compression: match layer.blob.media_type {
            media::LAYER_GZIP => Compression::Gzip,
            media::LAYER_ZSTD => Compression::Zstd,
            _ => Compression::None,
        },
        tar: blob(&layer.tar),
        recipe: layer.recipe(),
    });
    let platform = Platform { os: "linux".into(), architecture: image.architecture.clone(), variant: String::new() };
    Image { platform, manifest: blob(&image.manifest), config: blob(&image.config), layers: layers.collect() }
}
