//! From a manifest's digest to a verified [`Image`]: every byte is read once.

use std::collections::BTreeMap;
use std::io::Read;

use shared::id::Digest;
use shared::oci::{DOCUMENT_MAX, Descriptor, ImageConfig, Platform};
use shared::release::{Blob, Compression, Image, Layer};

use super::document::{self, Document};
use super::measure::measure;
use super::{Content, ImageError, Limits, OnProgress};

/// Layers measured before, by blob: images of several platforms and versions share them.
pub type Known = BTreeMap<Digest, Layer>;

/// Verifies the image of `manifest`: digests and sizes of manifest, config and layers, each layer's diff_id and the
/// size of its tar. Layers in `known` are trusted if they are there; the others are added. Blocks, and takes as long
/// as inflating all layers.
pub fn examine(
    content: &dyn Content,
    manifest: Digest,
    known: &mut Known,
    limits: &Limits,
    progress: OnProgress<'_>,
) -> Result<Image, ImageError> {
    let bytes = read_document(content, manifest, None)?;
    let Document::Manifest(parsed) = document::parse(&manifest, &bytes)? else {
        return Err(ImageError::document(manifest, "it is an index where a manifest is needed"));
    };
    let config = read_config(content, &parsed)?;
    let mut layers = Vec::with_capacity(parsed.layers.len());
    for (descriptor, diff_id) in parsed.layers.iter().zip(&config.rootfs.diff_ids) {
        let layer = examine_layer(content, descriptor, known, limits, progress)?;
        if layer.tar.digest != *diff_id {
            return Err(ImageError::WrongDiffId { layer: descriptor.digest, expected: *diff_id, found: layer.tar.digest });
        }
        layers.push(layer);
    }
    Ok(Image {
        platform: document::platform(&config),
        manifest: Blob { digest: manifest, size: bytes.len() as u64 },
        config: document::blob(&parsed.config),
        layers,
    })
}

/// The platform of the image of `manifest`, from its config. Blocks.
pub fn platform_of(content: &dyn Content, manifest: &shared::oci::Manifest) -> Result<Platform, ImageError> {
    read_config(content, manifest).map(|config| document::platform(&config))
}

/// A manifest, index or config: at most [`DOCUMENT_MAX`] bytes that fit their digest, and `size` when it is known.
pub(super) fn read_document(content: &dyn Content, digest: Digest, size: Option<u64>) -> Result<Vec<u8>, ImageError> {
    let (found, reader) = content.open(&digest)?.ok_or(ImageError::Missing { digest })?;
    if let Some(expected) = size.filter(|expected| *expected != found) {
        return Err(ImageError::WrongSize { digest, expected, found });
    }
    if found > DOCUMENT_MAX {
        return Err(ImageError::TooLarge { what: digest.to_string(), max: DOCUMENT_MAX });
    }
    let mut bytes = Vec::new();
    reader.take(DOCUMENT_MAX).read_to_end(&mut bytes).map_err(|error| ImageError::io("reading a document", error))?;
    let found = Digest::of(&bytes);
    if found != digest { Err(ImageError::WrongDigest { expected: digest, found }) } else { Ok(bytes) }
}

fn read_config(content: &dyn Content, manifest: &shared::oci::Manifest) -> Result<ImageConfig, ImageError> {
    let Descriptor { digest, size, .. } = manifest.config;
    document::config(&digest, &read_document(content, digest, Some(size))?, manifest.layers.len())
}

fn examine_layer(
    content: &dyn Content,
    descriptor: &Descriptor,
    known: &mut Known,
    limits: &Limits,
    progress: OnProgress<'_>,
) -> Result<Layer, ImageError> {
    let compression = document::compression(descriptor)?;
    let blob = document::blob(descriptor);
    if blob.size > limits.blob {
        return Err(ImageError::TooLarge { what: format!("layer {}", blob.digest), max: limits.blob });
    }
    let (found, mut reader) = content.open(&blob.digest)?.ok_or(ImageError::Missing { digest: blob.digest })?;
    if found != blob.size {
        return Err(ImageError::WrongSize { digest: blob.digest, expected: blob.size, found });
    }
    if let Some(layer) = known.get(&blob.digest).filter(|layer| is_same(layer, compression, blob)) {
        return Ok(*layer);
    }
    let layer = measure(blob, compression, &mut *reader, limits, progress)?;
    known.insert(blob.digest, layer);
    Ok(layer)
}

fn is_same(layer: &Layer, compression: Compression, blob: Blob) -> bool {
    layer.compression == compression && layer.blob == blob
}
