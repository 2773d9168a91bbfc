//! Signed envelopes, and what a release is made of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{WireError, malformed, name};
use crate::id::{Digest, Name};
use crate::oci::Platform as CorePlatform;
use crate::recipe::RecipeId;
use crate::{release, sign};

/// [`sign::Envelope`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Canonical bytes.
    #[serde(with = "crate::wire::raw")]
    pub payload: Vec<u8>,
    /// Key id and signature, once per key.
    pub signatures: Vec<([u8; 32], Vec<u8>)>,
}

impl From<&sign::Envelope> for Envelope {
    fn from(envelope: &sign::Envelope) -> Self {
        let signatures = envelope.signatures.iter().map(|s| (*s.key.as_bytes(), s.bytes.clone())).collect();
        Self { payload: envelope.payload.clone(), signatures }
    }
}

impl From<Envelope> for sign::Envelope {
    fn from(envelope: Envelope) -> Self {
        let signature = |(key, bytes)| sign::Signature { key: Digest::from_bytes(key), bytes };
        Self { payload: envelope.payload, signatures: envelope.signatures.into_iter().map(signature).collect() }
    }
}

/// [`release::Release`]: the bytes a publisher signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The App manifest as JSON; its `apiVersion` is its own version.
    pub manifest: String,
    /// Service to images, one per platform.
    pub images: BTreeMap<String, Vec<Image>>,
}

/// [`release::Image`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// os, architecture, variant.
    pub platform: (String, String, String),
    /// Digest and size of the image manifest.
    pub manifest: ([u8; 32], u64),
    /// Digest and size of the image config.
    pub config: ([u8; 32], u64),
    /// The layers, lowest first.
    pub layers: Vec<Layer>,
}

/// [`release::Layer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Digest and size as it travels.
    pub blob: ([u8; 32], u64),
    /// 0 none, 1 gzip, 2 zstd.
    pub compression: u8,
    /// Digest and size of the uncompressed tar.
    pub tar: ([u8; 32], u64),
    /// blake3 of its recipe.
    pub recipe: [u8; 32],
}

impl From<&release::Release> for Release {
    fn from(release: &release::Release) -> Self {
        let images =
            |(service, images): (&Name, &Vec<release::Image>)| (service.to_string(), images.iter().map(Image::from).collect());
        Self {
            // A manifest is plain data with string keys: it always has a JSON form.
            manifest: serde_json::to_string(&release.manifest).unwrap_or_default(),
            images: release.images.iter().map(images).collect(),
        }
    }
}

impl TryFrom<Release> for release::Release {
    type Error = WireError;
    fn try_from(release: Release) -> Result<Self, WireError> {
        let manifest = serde_json::from_str(&release.manifest).map_err(|error| malformed("manifest of a release", error))?;
        let mut images = BTreeMap::new();
        for (service, list) in release.images {
            let list: Result<Vec<_>, _> = list.into_iter().map(release::Image::try_from).collect();
            images.insert(name(&service)?, list?);
        }
        Ok(Self { manifest, images })
    }
}

impl From<&release::Image> for Image {
    fn from(image: &release::Image) -> Self {
        let CorePlatform { os, architecture, variant } = image.platform.clone();
        Self {
            platform: (os, architecture, variant),
            manifest: pair(image.manifest),
            config: pair(image.config),
            layers: image.layers.iter().map(Layer::from).collect(),
        }
    }
}

impl TryFrom<Image> for release::Image {
    type Error = WireError;
    fn try_from(image: Image) -> Result<Self, WireError> {
        let (os, architecture, variant) = image.platform;
        let layers: Result<Vec<_>, _> = image.layers.into_iter().map(release::Layer::try_from).collect();
        Ok(Self {
            platform: CorePlatform { os, architecture, variant },
            manifest: blob(image.manifest),
            config: blob(image.config),
            layers: layers?,
        })
    }
}

impl From<&release::Layer> for Layer {
    fn from(layer: &release::Layer) -> Self {
        let compression = match layer.compression {
            release::Compression::None => 0,
            release::Compression::Gzip => 1,
            release::Compression::Zstd => 2,
        };
        Self { blob: pair(layer.blob), compression, tar: pair(layer.tar), recipe: *layer.recipe.as_bytes() }
    }
}

impl TryFrom<Layer> for release::Layer {
    type Error = WireError;
    fn try_from(layer: Layer) -> Result<Self, WireError> {
        let compression = match layer.compression {
            0 => release::Compression::None,
            1 => release::Compression::Gzip,
            2 => release::Compression::Zstd,
            other => return Err(malformed("layer", format!("compression {other}"))),
        };
        let recipe = RecipeId::from_bytes(layer.recipe);
        Ok(Self { blob: blob(layer.blob), compression, tar: blob(layer.tar), recipe })
    }
}

fn pair(blob: release::Blob) -> ([u8; 32], u64) {
    (*blob.digest.as_bytes(), blob.size)
}

fn blob((digest, size): ([u8; 32], u64)) -> release::Blob {
    release::Blob { digest: Digest::from_bytes(digest), size }
}
