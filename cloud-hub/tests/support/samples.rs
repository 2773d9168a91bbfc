//! Small images made in memory: layouts, docker archives and the tars inside, good ones and raw material for bad ones.
//!
//! Part of the unit tests of `images` and of the integration tests of the hub.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use shared::id::Digest;
use shared::oci::{Platform, media};
use shared::recipe::Recipe;
use shared::release::{Blob, Compression, Image, Layer};

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An image with its bytes.
#[derive(Debug, Clone)]
pub struct Sample {
    pub platform: Platform,
    pub config: Vec<u8>,
    /// How each layer travels, its bytes, and the tar inside.
    pub layers: Vec<(Compression, Vec<u8>, Vec<u8>)>,
}

/// Bytes that do not compress, other ones for another seed.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(&mut next).flatten().take(length).collect()
}

/// `os/architecture[/variant]`.
pub fn platform(text: &str) -> Platform {
    let mut parts = text.split('/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    Platform { os: next(), architecture: next(), variant: next() }
}

/// An image of layers given as tars.
pub fn image(platform_text: &str, tars: &[(Compression, Vec<u8>)]) -> Sample {
    let layers = tars.iter().map(|(compression, tar)| (*compression, compress(*compression, tar), tar.clone())).collect();
    let diff_ids: Vec<Digest> = tars.iter().map(|(_, tar)| Digest::of(tar)).collect();
    Sample { platform: platform(platform_text), config: config(platform_text, &diff_ids), layers }
}

/// An image config.
pub fn config(platform_text: &str, diff_ids: &[Digest]) -> Vec<u8> {
    let Platform { os, architecture, variant } = platform(platform_text);
    let config = serde_json::json!({
        "os": os, "architecture": architecture, "variant": variant, "config": {"Cmd": ["/bin/app"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    config.to_string().into_bytes()
}

impl Sample {
    /// The image manifest.
    pub fn manifest(&self) -> Vec<u8> {
        let layer = |(compression, bytes, _): &(Compression, Vec<u8>, Vec<u8>)| {
            let media_type = match compression {
                Compression::None => media::LAYER,
                Compression::Gzip => media::LAYER_GZIP,
                Compression::Zstd => media::LAYER_ZSTD,
            };
            descriptor(media_type, bytes)
        };
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": media::MANIFEST, "config": descriptor(media::CONFIG, &self.config),
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
        });
        manifest.to_string().into_bytes()
    }

    /// What reading it must give.
    pub fn expected(&self) -> Image {
        let layer = |(compression, bytes, tar): &(Compression, Vec<u8>, Vec<u8>)| Layer {
            blob: blob(bytes),
            compression: *compression,
            tar: blob(tar),
            recipe: Recipe::of(tar).id(),
        };
        Image {
            platform: self.platform.clone(),
            manifest: blob(&self.manifest()),
            config: blob(&self.config),
            layers: self.layers.iter().map(layer).collect(),
        }
    }

    /// Manifest, config and layers.
    pub fn blobs(&self) -> Vec<Vec<u8>> {
        let layers = self.layers.iter().map(|(_, bytes, _)| bytes.clone());
        layers.chain([self.config.clone(), self.manifest()]).collect()
    }
}

/// Digest and size of bytes.
pub fn blob(bytes: &[u8]) -> Blob {
    Blob { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

/// A descriptor of bytes.
pub fn descriptor(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()})
}

/// An index of images, with an attestation beside them as BuildKit adds it.
pub fn index(images: &[&Sample]) -> Vec<u8> {
    let entry = |image: &&Sample| {
        let mut entry = descriptor(media::MANIFEST, &image.manifest());
        entry["platform"] = serde_json::to_value(&image.platform).unwrap();
        entry
    };
    let mut manifests: Vec<_> = images.iter().map(entry).collect();
    let mut attestation = descriptor(media::MANIFEST, b"never fetched");
    attestation["platform"] = serde_json::json!({"os": "unknown", "architecture": "unknown"});
    attestation["annotations"] = serde_json::json!({"vnd.docker.reference.type": "attestation-manifest"});
    manifests.push(attestation);
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": media::INDEX, "manifests": manifests});
    index.to_string().into_bytes()
}

/// An OCI layout: one image directly, several behind one index.
pub fn layout(images: &[&Sample]) -> Files {
    let mut files = Files::from([("oci-layout".into(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())]);
    let mut put = |bytes: Vec<u8>| drop(files.insert(format!("blobs/sha256/{}", Digest::of(&bytes).hex()), bytes));
    images.iter().flat_map(|image| image.blobs()).for_each(&mut put);
    let root = match images {
        [image] => descriptor(media::MANIFEST, &image.manifest()),
        images => {
            put(index(images));
            descriptor(media::INDEX, &index(images))
        }
    };
    let top = serde_json::json!({"schemaVersion": 2, "manifests": [root]});
    files.insert("index.json".into(), top.to_string().into_bytes());
    files
}

/// What `docker save` writes; `linked`: the layer is a link to a file beside it, as Docker did for shared layers.
pub fn docker_save(images: &[(&Sample, &str)], linked: bool) -> Files {
    let mut files = Files::new();
    let mut manifest = Vec::new();
    for (image, tag) in images {
        let config = format!("{}.json", Digest::of(&image.config).hex());
        files.insert(config.clone(), image.config.clone());
        let mut names = Vec::new();
        for (_, bytes, _) in &image.layers {
            let hex = Digest::of(bytes).hex();
            let name = format!("{hex}/layer.tar");
            if linked {
                files.insert(format!("{hex}.tar"), bytes.clone());
                files.insert(name.clone(), format!("link:../{hex}.tar").into_bytes());
            } else {
                files.insert(name.clone(), bytes.clone());
            }
            names.push(name);
        }
        manifest.push(serde_json::json!({"Config": config, "RepoTags": [tag], "Layers": names}));
    }
    files.insert("manifest.json".into(), serde_json::Value::from(manifest).to_string().into_bytes());
    files
}

/// A tar of `files`; a content `link:target` becomes a symbolic link.
pub fn archive(files: &Files) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        match bytes.strip_prefix(b"link:") {
            Some(target) => append_link(&mut builder, name, std::str::from_utf8(target).unwrap()),
            None => append(&mut builder, name, bytes),
        }
    }
    builder.into_inner().unwrap()
}

/// A tar of files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        append(&mut builder, name, bytes);
    }
    builder.into_inner().unwrap()
}

/// A tar of one symbolic link.
pub fn symlink(name: &str, target: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    append_link(&mut builder, name, target);
    builder.into_inner().unwrap()
}

/// A tar of one file with PAX records.
pub fn tar_with_pax(records: &[(&str, &str)], name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_pax_extensions(records.iter().map(|(key, value)| (*key, value.as_bytes()))).unwrap();
    append(&mut builder, name, bytes);
    builder.into_inner().unwrap()
}

fn append(builder: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, bytes).unwrap();
}

fn append_link(builder: &mut tar::Builder<Vec<u8>>, name: &str, target: &str) {
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    builder.append_link(&mut header, name, target).unwrap();
}

fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => gzip(bytes),
        Compression::Zstd => zstd(bytes, 3),
    }
}

/// RFC 1952.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// RFC 8878.
pub fn zstd(bytes: &[u8], level: i32) -> Vec<u8> {
    zstd::encode_all(bytes, level).unwrap()
}

/// With a window of 2^`log` bytes, as `zstd --long` writes it.
pub fn zstd_long(bytes: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(log).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes files into a directory.
pub fn write(files: &Files, dir: &Path) {
    for (name, bytes) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}
