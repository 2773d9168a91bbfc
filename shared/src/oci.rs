//! The parts of the OCI image specification that Causeway reads: manifest, config, platform.
//!
//! Unknown fields are ignored, as the specification asks of readers; digests decide, not fields.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// Media types, from the image specification v1.1 and Docker's schema 2.
pub mod media {
    /// OCI image manifest.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI image index.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image config.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// Docker's manifest.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's manifest list.
    pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Uncompressed layer.
    pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// Layer in gzip.
    pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// Layer in zstd.
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's layer in gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker's uncompressed layer.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
}

/// Largest manifest, index or config that is read, in bytes (the distribution specification's own advice).
pub const DOCUMENT_MAX: u64 = 4 << 20;
/// Most layers of one image (overlayfs takes 500 lower directories; Docker stops at 127).
pub const LAYERS_MAX: usize = 127;

/// A pointer to content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// In an index: the machine the manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free text; `org.opencontainers.image.ref.name` names an image in a layout.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Operating system and processor, in Go's names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, `arm` …
    pub architecture: String,
    /// `v7` for 32-bit ARM; empty elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

impl Platform {
    /// Whether an image for `self` runs on a `machine` (arm64's `v8` is the same as no variant).
    pub fn runs_on(&self, machine: &Self) -> bool {
        let variant = |p: &Self| match (p.architecture.as_str(), p.variant.as_str()) {
            ("arm64", "v8") => String::new(),
            ("arm", "") => "v7".into(),
            (_, variant) => variant.to_owned(),
        };
        self.os == machine.os && self.architecture == machine.architecture && variant(self) <= variant(machine)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

/// An image index or Docker manifest list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The manifests, one per platform (and attestations, which have the platform `unknown/unknown`).
    pub manifests: Vec<Descriptor>,
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The image config.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
}

/// An image config: what runs by default, and the layers' uncompressed digests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64` …
    pub architecture: String,
    /// `v7` …
    #[serde(default)]
    pub variant: String,
    /// Defaults of the process.
    #[serde(default)]
    pub config: ProcessConfig,
    /// The layers.
    pub rootfs: RootFs,
}

/// Defaults of an image's process. Labels and volumes are not read on purpose: an image must not steer
/// containerd (CVE-2026-53488) nor the node's disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ProcessConfig {
    /// `user`, `uid`, `user:group` or `uid:gid`.
    pub user: String,
    /// `KEY=value`.
    #[serde(deserialize_with = "null_is_empty")]
    pub env: Vec<String>,
    /// The program and its first arguments.
    #[serde(deserialize_with = "null_is_empty")]
    pub entrypoint: Vec<String>,
    /// Further arguments.
    #[serde(deserialize_with = "null_is_empty")]
    pub cmd: Vec<String>,
    /// Where it starts.
    pub working_dir: String,
    /// How it is asked to end.
    pub stop_signal: String,
}

/// Docker writes `null` for an empty list.
fn null_is_empty<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    Option::<Vec<String>>::deserialize(d).map(Option::unwrap_or_default)
}

/// The layers of an image config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// sha256 of each uncompressed layer tar, lowest first.
    pub diff_ids: Vec<Digest>,
}

/// The chain id of each prefix of `diff_ids` (image specification, "Layer ChainID"): the names of containerd's
/// committed snapshots.
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let next = match chain.last() {
            None => *diff_id,
            Some(parent) => Digest::of(format!("{parent} {diff_id}").as_bytes()),
        };
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Platform { os: next(), architecture: next(), variant: next() }
    }

    #[test]
    fn images_run_on_their_own_kind_of_machine() {
        for (image, machine, runs) in [
            ("linux/amd64", "linux/amd64", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm/v6", "linux/arm/v7", true),
            ("linux/arm/v7", "linux/arm/v6", false),
            ("linux/arm64", "linux/amd64", false),
            ("windows/amd64", "linux/amd64", false),
        ] {
            assert_eq!(platform(image).runs_on(&platform(machine)), runs, "{image} on {machine}");
        }
    }

    #[test]
    fn chain_ids_follow_the_specification() {
        let [a, b] = [Digest::of(b"a"), Digest::of(b"b")];
        assert_eq!(chain_ids(&[a, b]), [a, Digest::of(format!("{a} {b}").as_bytes())]);
        assert!(chain_ids(&[]).is_empty());
    }

    #[test]
    fn docker_configs_with_null_lists_are_read() {
        let config: ImageConfig = serde_json::from_str(
            r#"{"os":"linux","architecture":"amd64","config":{"Entrypoint":null,"Cmd":["/a"],"Env":null,"Labels":{"x":"y"}},
                "rootfs":{"type":"layers","diff_ids":[]}}"#,
        )
        .expect("config");
        assert_eq!(config.config.cmd, ["/a"]);
        assert!(config.config.entrypoint.is_empty());
    }
}
