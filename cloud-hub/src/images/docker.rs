//! What `docker save` wrote before Docker 25, and what skopeo and Podman call docker-archive.
//!
//! `manifest.json` names a config and uncompressed layers by file; there is no image manifest. One is made here, from
//! the files' digests alone, so the same archive gives the same image id every time and everywhere. The files stay as
//! they are: recompressing would give other bytes with every version of a compressor.

use serde::{Deserialize, Serialize};
use shared::id::Digest;
use shared::oci::{LAYERS_MAX, media};
use shared::release::{Blob, Compression};

use super::ImageError;
use super::error::join;

/// Most images of one archive.
const IMAGES_MAX: usize = 256;

/// One image of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Saved {
    /// The file of the config.
    pub(super) config: String,
    /// `name:tag`; absent for an image without a name.
    #[serde(default)]
    pub(super) repo_tags: Option<Vec<String>>,
    /// The files of the layers, lowest first.
    pub(super) layers: Vec<String>,
}

/// Reads `manifest.json` and picks the image of that name, or all.
pub(super) fn saved(bytes: &[u8], name: Option<&str>) -> Result<Vec<Saved>, ImageError> {
    let all: Vec<Saved> = serde_json::from_slice(bytes).map_err(|error| ImageError::document("manifest.json", error))?;
    if all.len() > IMAGES_MAX {
        return Err(ImageError::TooMany { what: "manifest.json".into(), of: "images", max: IMAGES_MAX as u64 });
    }
    if all.iter().any(|image| image.layers.len() > LAYERS_MAX) {
        return Err(ImageError::TooMany { what: "manifest.json".into(), of: "layers", max: LAYERS_MAX as u64 });
    }
    let Some(name) = name else { return Ok(all) };
    let names: Vec<String> = all.iter().flat_map(|image| image.repo_tags.clone().unwrap_or_default()).collect();
    let named = |image: &Saved| image.repo_tags.iter().flatten().any(|tag| tag == name);
    match all.into_iter().filter(named).collect::<Vec<_>>() {
        none if none.is_empty() => Err(ImageError::NoName { name: name.into(), names: join(&names) }),
        some => Ok(some),
    }
}

/// The manifest of an image that has none. Its fields stand in this order for ever: the image id is its digest.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    schema_version: u32,
    media_type: &'a str,
    config: MadeDescriptor<'a>,
    layers: Vec<MadeDescriptor<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeDescriptor<'a> {
    media_type: &'a str,
    digest: Digest,
    size: u64,
}

/// Makes the manifest of a config and layers.
pub(super) fn manifest(config: Blob, layers: &[(Blob, Compression)]) -> Result<Vec<u8>, ImageError> {
    let describe = |media_type, Blob { digest, size }: Blob| MadeDescriptor { media_type, digest, size };
    let made = Made {
        schema_version: 2,
        media_type: media::MANIFEST,
        config: describe(media::CONFIG, config),
        layers: layers.iter().map(|(blob, compression)| describe(media_type(*compression), *blob)).collect(),
    };
    serde_json::to_vec(&made).map_err(|error| ImageError::document("manifest", error))
}

const fn media_type(compression: Compression) -> &'static str {
    match compression {
        Compression::None => media::LAYER,
        Compression::Gzip => media::LAYER_GZIP,
        Compression::Zstd => media::LAYER_ZSTD,
    }
}

/// How a file is compressed, by its first bytes.
pub(super) fn compression(begin: &[u8]) -> Compression {
    match begin {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Golden: image ids of published releases depend on these bytes.
    #[test]
    fn the_made_manifest_never_changes() {
        let blob = |text: &str| Blob { digest: Digest::of(text.as_bytes()), size: text.len() as u64 };
        let made = manifest(blob("c"), &[(blob("a"), Compression::None), (blob("b"), Compression::Gzip)]).unwrap();
        expect_test::expect![[r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6","size":1},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb","size":1},{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d","size":1}]}"#]]
        .assert_eq(std::str::from_utf8(&made).unwrap());
    }

    #[test]
    fn images_are_picked_by_their_tags() {
        let text = br#"[{"Config":"a","RepoTags":["x:1","x:2"],"Layers":[]},{"Config":"b","RepoTags":null,"Layers":[]}]"#;
        let configs = |name| saved(text, name).map(|all| all.into_iter().map(|one| one.config).collect::<Vec<_>>());
        assert_eq!(configs(None).unwrap(), ["a", "b"]);
        assert_eq!(configs(Some("x:2")).unwrap(), ["a"]);
        let error = configs(Some("y:1")).unwrap_err();
        assert!(matches!(&error, ImageError::NoName { names, .. } if names == "x:1, x:2"), "{error:?}");
        assert!(saved(b"{}", None).is_err());
    }
}
