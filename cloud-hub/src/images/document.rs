//! Manifests, indexes and configs: bytes to types, with everything refused that a node could not run.

use serde::Deserialize;
use shared::id::Digest;
use shared::oci::{self, Descriptor, ImageConfig, LAYERS_MAX, Manifest, Platform, media};
use shared::release::{Blob, Compression};

use super::ImageError;

/// Docker's image config; the same JSON as OCI's.
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Most manifests of one index.
const MANIFESTS_MAX: usize = 256;

/// What the bytes of a manifest reference can be.
#[derive(Debug)]
pub(crate) enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Vec<Descriptor>),
}

/// What decides between the two: the media type when there is one, else the shape (OCI allows to leave it out).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
    fs_layers: Option<serde::de::IgnoredAny>,
}

/// Reads a manifest or index; `what` names it in errors.
pub(crate) fn parse(what: &Digest, bytes: &[u8]) -> Result<Document, ImageError> {
    let shape: Shape = json(what, bytes)?;
    if shape.schema_version == 1 || shape.fs_layers.is_some() {
        return Err(ImageError::Schema1 { what: what.to_string() });
    }
    // A document that is both is read differently by different programs (CVE-2021-41190).
    if shape.manifests.is_some() && shape.layers.is_some() {
        return Err(ImageError::document(what, "it is both an index and a manifest"));
    }
    match shape.media_type.as_str() {
        media::INDEX | media::DOCKER_INDEX => index(what, bytes),
        media::MANIFEST | media::DOCKER_MANIFEST => manifest(what, bytes),
        "" if shape.manifests.is_some() => index(what, bytes),
        "" => manifest(what, bytes),
        other => Err(ImageError::NotAnImage { media_type: printable(other) }),
    }
}

fn index(what: &Digest, bytes: &[u8]) -> Result<Document, ImageError> {
    let index: oci::Index = json(what, bytes)?;
    if index.manifests.len() > MANIFESTS_MAX {
        return Err(ImageError::TooMany { what: what.to_string(), of: "manifests", max: MANIFESTS_MAX as u64 });
    }
    Ok(Document::Index(index.manifests))
}

fn manifest(what: &Digest, bytes: &[u8]) -> Result<Document, ImageError> {
    let manifest: Manifest = json(what, bytes)?;
    if ![media::CONFIG, DOCKER_CONFIG].contains(&manifest.config.media_type.as_str()) {
        return Err(ImageError::NotAnImage { media_type: printable(&manifest.config.media_type) });
    }
    if manifest.layers.len() > LAYERS_MAX {
        return Err(ImageError::TooMany { what: what.to_string(), of: "layers", max: LAYERS_MAX as u64 });
    }
    Ok(Document::Manifest(manifest))
}

/// Reads an image config that belongs to a manifest of `layers` layers.
pub(crate) fn config(what: &Digest, bytes: &[u8], layers: usize) -> Result<ImageConfig, ImageError> {
    let config: ImageConfig = json(what, bytes)?;
    if config.rootfs.kind != "layers" {
        return Err(ImageError::document(what, "its rootfs is not of the type layers"));
    }
    let diff_ids = config.rootfs.diff_ids.len();
    if diff_ids != layers {
        return Err(ImageError::LayerCount { layers, diff_ids });
    }
    Ok(config)
}

/// The platform an image config is for.
pub(crate) fn platform(config: &ImageConfig) -> Platform {
    Platform { os: config.os.clone(), architecture: config.architecture.clone(), variant: config.variant.clone() }
}

/// How a layer travels; refuses what nobody here unpacks.
pub(crate) fn compression(layer: &Descriptor) -> Result<Compression, ImageError> {
    let (digest, media_type) = (layer.digest, printable(&layer.media_type));
    match layer.media_type.as_str() {
        media::LAYER | media::DOCKER_LAYER => Ok(Compression::None),
        media::LAYER_GZIP | media::DOCKER_LAYER_GZIP => Ok(Compression::Gzip),
        media::LAYER_ZSTD | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Ok(Compression::Zstd),
        foreign if foreign.contains("nondistributable") || foreign.contains("foreign") => {
            Err(ImageError::ForeignLayer { digest, media_type })
        }
        _ => Err(ImageError::LayerType { digest, media_type }),
    }
}

/// Attestations stand in an index beside the images they are about (BuildKit); they are nothing to run.
pub(crate) fn is_attestation(descriptor: &Descriptor) -> bool {
    let unknown = descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown");
    unknown || descriptor.annotations.contains_key("vnd.docker.reference.type")
}

/// What a descriptor promises.
pub(crate) const fn blob(descriptor: &Descriptor) -> Blob {
    Blob { digest: descriptor.digest, size: descriptor.size }
}

fn json<'a, T: Deserialize<'a>>(what: &Digest, bytes: &'a [u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::document(what, error))
}

/// Foreign text for an error: short and without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size":1}"#;

    #[test]
    fn documents_are_what_they_say_and_nothing_else() {
        let many = format!(r#"{{"schemaVersion":2,"layers":[{}],"config":{CONFIG}}}"#, vec![CONFIG; 128].join(","));
        for (text, expected) in [
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, "Schema1"),
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, "both an index and a manifest"),
            (r#"{"schemaVersion":2,"mediaType":"application/vnd.example"}"#, "NotAnImage"),
            (r#"{"schemaVersion":2,"manifests":[]}"#, "Index"),
            (r#"{"schemaVersion":2,"layers":[]}"#, "missing field"),
            (
                r#"{"schemaVersion":2,"layers":[],"config":{"mediaType":"application/wasm","digest":"x","size":1}}"#,
                "not a digest",
            ),
            (&format!(r#"{{"schemaVersion":2,"layers":[],"config":{CONFIG}}}"#), "Manifest"),
            (&format!(r#"{{"schemaVersion":2,"layers":[],"config":{}}}"#, CONFIG.replace("oci.image", "wasm")), "NotAnImage"),
            (&many, "TooMany"),
            ("{", "EOF"),
            ("[]", "Document"),
            ("", "Document"),
            (&"[".repeat(100_000), "Document"),
        ] {
            let result = format!("{:?}", parse(&Digest::of(b"x"), text.as_bytes()));
            assert!(result.contains(expected), "{}: {result}", printable(text));
        }
    }

    #[test]
    fn layers_are_tars_that_may_be_passed_on() {
        let layer = |media_type: &str| Descriptor {
            media_type: media_type.into(),
            digest: Digest::of(b"x"),
            size: 1,
            platform: None,
            annotations: [].into(),
        };
        for (media_type, expected) in [
            (media::LAYER, "Ok(None)"),
            (media::DOCKER_LAYER_GZIP, "Ok(Gzip)"),
            (media::LAYER_ZSTD, "Ok(Zstd)"),
            ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", "Err(ForeignLayer"),
            ("application/vnd.oci.image.layer.nondistributable.v1.tar", "Err(ForeignLayer"),
            ("application/vnd.oci.image.layer.v1.tar+encrypted", "Err(LayerType"),
            ("", "Err(LayerType"),
        ] {
            let result = format!("{:?}", compression(&layer(media_type)));
            assert!(result.starts_with(expected), "{media_type}: {result}");
        }
    }
}
