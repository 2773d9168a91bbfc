//! Blobs, images, releases and apps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use shared::id::{Digest, Name};
use shared::release::Image;
use utoipa::ToSchema;

use super::{Metadata, Problem};

/// How far an upload is. Send the next bytes with `?offset=<this offset>&size=<bytes of the whole blob>`, as `PATCH` or
/// `PUT`, which do the same; without `size` the body must end the blob. `HEAD` answers 200 for a whole blob, otherwise 404;
/// in both cases the header `upload-offset` says how many bytes the hub holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// The blob.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Bytes the hub holds.
    pub offset: u64,
    /// All bytes are there and fit the digest.
    pub complete: bool,
}

/// Fetch an image from a registry into the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IngestRequest {
    /// The image, for example `registry.example/team/counter:1.0.0` or `…@sha256:…`.
    pub reference: String,
    /// The machines to fetch it for, for example `linux/amd64`, `linux/arm/v7`; all that the image has when empty.
    #[serde(default)]
    pub platforms: Vec<String>,
    /// User for the registry; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Password or token for the registry; not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// One line of the answer to an ingest (`application/x-ndjson`); the last one is `done` or `failed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum IngestLine {
    /// Bytes of one blob so far; a blob the hub already holds begins complete. Some may be left out when they come fast.
    Progress {
        /// What is being done: `fetch` or `check`.
        step: String,
        /// With which blob.
        #[schema(value_type = String)]
        blob: Digest,
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// All blobs are stored and verified.
    Done {
        /// The reference pinned to the digest it led to.
        reference: String,
        /// One image per platform, as a release names them.
        #[schema(value_type = Vec<Object>)]
        images: Vec<Image>,
    },
    /// It ended early; what is stored stays, so that trying again goes on.
    Failed {
        /// Why.
        problem: Problem,
    },
}

/// A published release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Named `app@version`; the labels are those of the manifest.
    pub metadata: Metadata,
    /// What was published.
    pub spec: ReleaseSpec,
    /// What the hub knows about it.
    pub status: ReleaseStatus,
}

/// What was published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseSpec {
    /// The app.
    #[schema(value_type = String)]
    pub app: Name,
    /// Its version.
    pub version: String,
    /// For every service its images.
    #[schema(value_type = BTreeMap<String, Vec<ReleaseImage>>)]
    pub images: BTreeMap<Name, Vec<ReleaseImage>>,
    /// The whole manifest in normal form; left out of lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub manifest: Option<serde_json::Value>,
}

/// One image of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseImage {
    /// The machine it runs on, for example `linux/arm64`.
    pub platform: String,
    /// Digest of the image manifest.
    #[schema(value_type = String)]
    pub digest: Digest,
    /// Bytes that travel to a node that has none of them.
    pub size: u64,
}

/// What the hub knows about a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// The release's id: sha256 of its canonical bytes.
    #[schema(value_type = String)]
    pub id: Digest,
    /// Names of the publishers whose signatures it bears (key ids where the publisher is gone).
    pub signed_by: Vec<String>,
    /// Bytes of all its distinct blobs.
    pub size: u64,
    /// Deployments that use it now.
    #[schema(value_type = Vec<String>)]
    pub deployments: Vec<Name>,
}

/// An app: all its releases together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppEntry {
    /// Named after the app; the labels are those of the newest release.
    pub metadata: Metadata,
    /// What the hub knows about it.
    pub status: AppStatusEntry,
}

/// What the hub knows about an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppStatusEntry {
    /// The newest release's line for people.
    #[serde(default)]
    pub description: String,
    /// Number of releases.
    pub releases: u64,
    /// The version published last.
    pub latest: String,
    /// Its release id.
    #[schema(value_type = String)]
    pub latest_id: Digest,
    /// Deployments of this app.
    #[schema(value_type = Vec<String>)]
    pub deployments: Vec<Name>,
}
