//! What a rollout would send.

use serde::{Deserialize, Serialize};
use shared::id::{Digest, Name};
use utoipa::ToSchema;

use super::Problem;

/// One line of the answer to a comparison (`application/x-ndjson`); the last one is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum DiffLine {
    /// So many layers are compared. A patch that is not there yet is made, which takes its time.
    Progress {
        /// Layers so far.
        done: u64,
        /// Layers in all.
        total: u64,
    },
    /// All layers are compared.
    Done {
        /// What came of it.
        diff: ReleaseDiff,
    },
    /// It ended early.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// What nodes that have one release need for another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseDiff {
    /// The release that nodes have, `app@version`.
    pub from: String,
    /// The release they shall have, `app@version`.
    pub to: String,
    /// For each platform of the new release.
    pub platforms: Vec<PlatformDiff>,
}

/// What a node of one platform needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlatformDiff {
    /// The platform, for example `linux/arm64`.
    pub platform: String,
    /// Every layer of the new release's images once.
    pub layers: Vec<LayerDiff>,
    /// Bytes that travel to the node.
    pub transfer: u64,
    /// Bytes of the same layers as a registry sends them.
    pub registry: u64,
    /// Bytes of all layers as a registry sends them.
    pub image: u64,
}

/// How one layer gets to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LayerDiff {
    /// sha256 of its tar.
    #[schema(value_type = String)]
    pub layer: Digest,
    /// The services that use it.
    #[schema(value_type = Vec<String>)]
    pub services: Vec<Name>,
    /// `unchanged`; `patch` from layers of the old release; `cold`, which needs none.
    pub change: Change,
    /// Bytes that travel to the node.
    pub transfer: u64,
    /// Bytes of its blob, as a registry sends it.
    pub registry: u64,
    /// Bytes of its tar.
    pub size: u64,
    /// The old layers that the patch refers to.
    #[schema(value_type = Vec<String>)]
    pub from: Vec<Digest>,
}

/// What becomes of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// The old release has it.
    Unchanged,
    /// A patch makes it from layers of the old release.
    Patch,
    /// It is sent without reference to anything.
    Cold,
}
